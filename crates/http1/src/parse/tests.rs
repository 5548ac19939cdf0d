use super::*;

const HEAD: &[u8] = b"GET /a?b=c HTTP/1.0\r\nHost: localhost:5000\r\nX-A:\t 1 \r\n\
    no colon\r\nFolded: a,\r\n b\r\nx-a: 2\r\n\r\nBody: not a field\r\n";

fn texts<'a>(headers: Headers<'a>) -> Vec<(&'a str, &'a str)> {
    headers.map(|(n, v)| (str::from_utf8(n).unwrap(), str::from_utf8(v).unwrap())).collect()
}

#[test]
fn reads_a_request() {
    let head = RequestHead::parse(HEAD).unwrap();
    assert_eq!(head.method, b"GET");
    assert_eq!(head.target, b"/a?b=c");
    assert_eq!(head.minor_version, 0);
    assert_eq!(
        texts(head.headers()),
        [("Host", "localhost:5000"), ("X-A", "1"), ("Folded", "a,\r\n b"), ("x-a", "2")]
    );
    assert_eq!(head.find("HOST"), Some(&b"localhost:5000"[..]));
    assert_eq!(head.find("x-a"), Some(&b"1"[..]));
    assert_eq!(head.find("body"), None);
}

#[test]
fn reads_a_response() {
    let head = ResponseHead::parse(b"HTTP/1.1 404 Not Found\nServer: x\n\n").unwrap();
    assert_eq!((head.status, head.minor_version), (404, 1));
    assert_eq!(texts(head.headers()), [("Server", "x")]);
    assert_eq!(head.find("server"), Some(&b"x"[..]));
    assert_eq!(ResponseHead::parse(b"HTTP/1.1 200\r\n\r\n").unwrap().status, 200);
}

#[test]
fn leaves_out_what_was_cut() {
    let whole = texts(RequestHead::parse(HEAD).unwrap().headers());
    for len in 0..HEAD.len() {
        let Some(head) = RequestHead::parse(&HEAD[..len]) else {
            assert!(len <= "GET ".len(), "nothing read of {len} bytes");
            continue;
        };
        assert!(b"/a?b=c HTTP/1.0".starts_with(head.target), "cut at {len}");
        let cut = texts(head.headers());
        assert_eq!(cut, whole[..cut.len()], "cut at {len}");
    }
}

#[test]
fn other_lines_are_no_heads() {
    for head in [
        "",
        "GET",
        "GET \r\n",
        "GET /x\r\n",
        " / HTTP/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "\r\n\r\n",
    ] {
        assert_eq!(RequestHead::parse(head.as_bytes()), None, "{head:?}");
    }
    for head in ["", "HTTP/1.1", "HTTP/1.1 20", "HTTP/2 200 \r\n", "GET / HTTP/1.1\r\n\r\n"] {
        assert_eq!(ResponseHead::parse(head.as_bytes()), None, "{head:?}");
    }
}
