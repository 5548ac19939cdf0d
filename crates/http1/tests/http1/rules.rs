//! One test per rule, each named after the section it follows.

use carafe_http1::{HEAD_LIMIT, Io, Outcome, PENDING_LIMIT, Role};

use crate::recorder::Observed;

const GET: &str = "GET / HTTP/1.1\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn server() -> Observed {
    Observed::new()
}

#[test]
fn whoever_reads_a_request_is_the_server() {
    let mut seen = server();
    seen.read("GET / HT");
    assert_eq!(seen.connection.role(), None);
    seen.read("TP/1.1\r\n");
    assert_eq!(seen.connection.role(), Some(Role::Server));
    seen.read("\r\n").write(OK).saw(&["> GET / Complete 0", "< 200 OK Complete 2"]);
}

#[test]
fn whoever_writes_a_request_is_the_client() {
    let mut seen = server();
    seen.write(GET).read(OK).saw(&["> GET / Complete 0", "< 200 OK Complete 2"]);
    assert_eq!(seen.connection.role(), Some(Role::Client));
}

#[test]
fn a_message_in_one_piece_is_one_event() {
    let mut seen = server();
    seen.read("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc").write(OK);
    assert_eq!(seen.recorder.complete, 2);
}

#[test]
fn other_protocols_are_dead_at_once() {
    let http2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let others: [&[u8]; 8] = [
        b"\x16\x03\x01\x02\x00\x01\x00",
        http2.as_bytes(),
        b"*1\r\n$4\r\nPING\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"EHLO example.org\r\n",
        b"GET /\r\n",
        b"GET HTTP/1.1\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ];
    for bytes in others {
        for io in [Io::Read, Io::Write] {
            let mut seen = server();
            seen.feed(io, bytes);
            assert!(seen.connection.is_dead(), "{}", bytes.escape_ascii());
            assert_eq!(seen.connection.role(), None);
            seen.feed(io, GET).saw(&[]);
        }
    }
}

#[test]
fn a_server_that_speaks_first_is_dead() {
    let mut seen = server();
    seen.read("GE").write("220 ready\r\n");
    assert!(seen.connection.is_dead());
}

#[test]
fn a_method_in_pieces_must_still_be_one() {
    let mut seen = server();
    seen.read("G").read("(T / HTTP/1.1\r\n\r\n").saw(&[]);
    assert!(seen.connection.is_dead());
}

#[test]
fn rfc_9112_2_2_empty_lines_before_a_request_and_bare_line_feeds() {
    let mut seen = server();
    seen.read("\r\n\r").read("\nGET /a HTTP/1.1\nHost: a\n\n\r\nGET /b HTTP/1.1\n\n");
    seen.saw(&["> GET /a Complete 0", "> GET /b Complete 0"]);
    assert_eq!(seen.recorder.requests[0].head, b"GET /a HTTP/1.1\nHost: a\n\n");
    assert_eq!(seen.recorder.requests[0].started_ns, 2);
}

#[test]
fn rfc_9112_5_2_folded_fields() {
    let mut seen = server();
    seen.read("POST / HTTP/1.1\r\nContent-Length:\r\n 3\r\nX: a\r\n b\r\n\r\nabc");
    seen.read(
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip,\r\n\tchunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    );
    seen.saw(&["> POST / Complete 3", "> POST / Complete 1"]);
}

#[test]
fn rfc_9112_6_2_equal_lengths_are_one() {
    let mut seen = server();
    seen.read("POST / HTTP/1.1\r\ncontent-length: 3\r\nCONTENT-LENGTH : 3, 3\r\n\r\nabc");
    seen.saw(&["> POST / Complete 3"]);
}

#[test]
fn rfc_9112_6_3_lengths_that_are_none_lose_the_framing() {
    let long = format!("Content-Length: {}1", " ".repeat(600));
    let bad = [
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 3, 4",
        "Content-Length: +3",
        "Content-Length: -1",
        "Content-Length: 0x3",
        "Content-Length:",
        "Content-Length: 1\r\n 2",
        "Content-Length: 3\r\n 3",
        "Content-Length: 18446744073709551616",
        "Transfer-Encoding: chunked, gzip",
    ];
    for field in bad {
        let mut seen = server();
        seen.read(format!("POST / HTTP/1.1\r\n{field}\r\n\r\nabc")).write(OK);
        seen.saw(&["> POST / Lost 0", "< 200 OK Complete 2"]);
    }
    let mut seen = server();
    let (first, second) = long.split_at(300);
    seen.read("POST / HTTP/1.1\r\n").read(first).read(second).read("\r\n\r\nabc");
    seen.saw(&["> POST / Lost 0"]);

    let coding = format!("Transfer-Encoding: chunked,{}gzip", " ".repeat(600));
    let (first, second) = coding.split_at(300);
    let mut seen = server();
    seen.read("POST / HTTP/1.1\r\n").read(first).read(second).read("\r\n\r\n0\r\n\r\n");
    seen.saw(&["> POST / Lost 0"]);
}

#[test]
fn rfc_9112_6_3_chunked_wins_over_a_length() {
    let mut seen = server();
    seen.read(
        "POST / HTTP/1.1\r\nContent-Length: 99\r\nTRANSFER-ENCODING: Chunked\r\n\r\n\
         3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    );
    seen.saw(&["> POST / Complete 3", "> GET / Complete 0"]);
}

#[test]
fn rfc_2616_identity_is_no_coding() {
    let mut seen = server();
    seen.read("POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc");
    seen.saw(&["> POST / Complete 3"]);
}

#[test]
fn rfc_9112_7_1_extensions_trailers_and_bare_line_feeds() {
    let mut seen = server();
    seen.read("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    seen.read("A ; a=\"1\"\r\n0123456789\r\n00b;x\n0123456789a\n0;end\r\nDigest: x\r\n b\r\n\r\n");
    seen.read(GET).saw(&["> POST / Complete 21", "> GET / Complete 0"]);
}

#[test]
fn rfc_9112_7_1_broken_chunks_lose_the_framing() {
    for chunks in
        ["\r\n", "g\r\n", "3\r\nabcd\r\n", "3x\r\n", "11111111111111111\r\n", "3\r\nabc\rx"]
    {
        let mut seen = server();
        seen.read("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").read(chunks);
        assert_eq!(seen.recorder.requests[0].outcome, Some(Outcome::Lost), "{chunks:?}");
    }
}

#[test]
fn rfc_9112_6_3_a_response_without_length_ends_with_the_connection() {
    for head in ["HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 200\r\nTransfer-Encoding: gzip\r\n\r\n"] {
        let mut seen = server();
        seen.write(GET).read(head).read("abc").read("defg").eof(Io::Read).close();
        let last = &seen.recorder.responses[0];
        assert_eq!((last.body_bytes, last.outcome), (7, Some(Outcome::Complete)));
    }
}

#[test]
fn rfc_9112_9_3_http_1_0_connections_can_persist() {
    let mut seen = server();
    for _ in 0..2 {
        seen.read("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        seen.write("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx");
    }
    assert_eq!(seen.recorder.requests.len(), 2);
    assert!(seen.recorder.responses.iter().all(|seen| seen.outcome == Some(Outcome::Complete)));
}

#[test]
fn rfc_9110_15_2_interim_responses_are_not_reported() {
    let mut seen = server();
    seen.read("PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    seen.write("HTTP/1.1 100 Continue\r\n\r\n").read("ab");
    seen.write("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n").write(OK);
    seen.saw(&["> PUT / Complete 2", "< 200 OK Complete 2"]);
}

#[test]
fn rfc_9112_6_3_head_204_and_304_have_no_body() {
    let mut seen = server();
    seen.read("HEAD / HTTP/1.1\r\n\r\nGET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    seen.write("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n");
    seen.write("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n");
    seen.write("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n");
    seen.saw(&[
        "> HEAD / Complete 0",
        "> GET /1 Complete 0",
        "> GET /2 Complete 0",
        "< 200 OK Complete 0",
        "< 204 No Content Complete 0",
        "< 304 Not Modified Complete 0",
    ]);
}

#[test]
fn rfc_9110_7_8_an_upgrade_makes_a_tunnel() {
    let mut seen = server();
    seen.read("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    seen.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x7f\x05");
    seen.read("GET / HTTP/1.1\r\n\r\n").close();
    seen.saw(&["> GET /ws Complete 0", "< 101 Switching Protocols Upgraded 0"]);
    assert!(seen.connection.is_dead());
    assert_eq!(seen.connection.role(), Some(Role::Server));
}

#[test]
fn rfc_9110_9_3_6_connect_makes_a_tunnel_when_it_succeeds() {
    let mut seen = server();
    seen.write("CONNECT a:443 HTTP/1.1\r\n\r\n").write(b"\x16\x03\x01");
    seen.read("HTTP/1.1 200 Established\r\nContent-Length: 5\r\n\r\n").read(b"\x16\x03\x03");
    seen.saw(&["> CONNECT a:443 Complete 0", "< 200 Established Upgraded 0"]);
    assert!(seen.connection.is_dead());
}

#[test]
fn rfc_9110_9_3_6_a_refused_connect_is_an_ordinary_exchange() {
    let mut seen = server();
    seen.write("CONNECT a:443 HTTP/1.1\r\n\r\n");
    seen.read("HTTP/1.1 407 Who\r\nContent-Length: 2\r\n\r\nno").write(GET).read(OK);
    seen.saw(&[
        "> CONNECT a:443 Complete 0",
        "> GET / Complete 0",
        "< 407 Who Complete 2",
        "< 200 OK Complete 2",
    ]);
}

#[test]
fn a_refused_connect_with_bytes_sent_ahead_loses_the_requests() {
    let mut seen = server();
    seen.write("CONNECT a:443 HTTP/1.1\r\n\r\n").write(b"\x16\x03\x01");
    seen.read("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    // What looks like a request can be the rest of what was sent ahead, unless it
    // begins with a whole request line.
    seen.write("GET /rest HT").write("TP/1.1\r\n\r\n").write(GET).read(OK);
    seen.saw(&[
        "> CONNECT a:443 Complete 0",
        "> GET / Complete 0",
        "< 403 No Complete 0",
        "< 200 OK Complete 2",
    ]);
}

#[test]
fn rfc_9112_9_3_2_pipelined_requests_are_answered_in_order() {
    let mut seen = server();
    seen.read("GET /1 HTTP/1.1\r\n\r\nHEAD /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n");
    let head = "HTTP/1.1 201 Made\r\nContent-Length: 9\r\n\r\n";
    seen.write(format!("{OK}{head}{OK}"));
    seen.saw(&[
        "> GET /1 Complete 0",
        "> HEAD /2 Complete 0",
        "> GET /3 Complete 0",
        "< 200 OK Complete 2",
        "< 201 Made Complete 0",
        "< 200 OK Complete 2",
    ]);
}

#[test]
fn too_many_unanswered_requests_lose_the_framing() {
    let mut seen = server();
    for _ in 0..PENDING_LIMIT {
        seen.read(GET);
    }
    seen.read("GET /over HTTP/1.1\r\n\r\n");
    assert_eq!(seen.recorder.requests.len(), PENDING_LIMIT + 1);
    assert_eq!(seen.recorder.requests[PENDING_LIMIT].outcome, Some(Outcome::Lost));
    assert_eq!(seen.recorder.unanswered, [Outcome::Lost]);

    seen.write(OK).read("GET /again HTTP/1.1\r\n\r\n").write(OK);
    assert_eq!(seen.recorder.responses.len(), 1);
    assert!(seen.recorder.requests[PENDING_LIMIT + 1].head.starts_with(b"GET /again"));
}

#[test]
fn rfc_9110_15_5_14_a_response_may_come_before_the_request_ends() {
    let mut seen = server();
    seen.read("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
    seen.write("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").read("defg").close();
    seen.saw(&["> POST / Aborted 7", "< 413 Too Large Complete 0"]);
}

#[test]
fn an_unfinished_request_is_answered_once() {
    let mut seen = server();
    seen.read("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc").write(OK).write(OK).read("de");
    seen.saw(&["> POST / Complete 5", "< 200 OK Complete 2"]);
}

#[test]
fn a_connect_refused_before_its_head_ends_is_an_ordinary_exchange() {
    let mut seen = server();
    seen.read("CONNECT a:1 HTTP/1.1\r\nX: ").write("HTTP/1.1 431 No\r\nContent-Length: 0\r\n\r\n");
    seen.read("y\r\n\r\n").read("GET / HT").read("TP/1.1\r\n\r\n");
    seen.saw(&["> CONNECT a:1 Complete 0", "> GET / Complete 0", "< 431 No Complete 0"]);
}

#[test]
fn rfc_6585_5_a_response_may_come_before_the_head_ends() {
    let mut seen = server();
    seen.read("POST / HTTP/1.1\r\nCookie: abc").write("HTTP/1.1 431 Too Large\r\n\r\n");
    seen.read("def\r\nContent-Length: 2\r\n\r\nxy").close();
    seen.saw(&["> POST / Complete 2", "< 431 Too Large Complete 0"]);
    let request = &seen.recorder.requests[0];
    assert!(request.truncated);
    assert_eq!(request.head, b"POST / HTTP/1.1\r\nCookie: abc");
}

#[test]
fn a_head_is_answered_early_only_once_and_not_by_interim_responses() {
    let mut seen = server();
    seen.read("POST / HTTP/1.1\r\nCookie: ").write("HTTP/1.1 103 Early Hints\r\n\r\n").saw(&[]);
    seen.write("HTTP/1.1 204 None\r\n\r\n").write(OK).read("a\r\n\r\n").read(GET).write(OK);
    seen.saw(&[
        "> POST / Complete 0",
        "> GET / Complete 0",
        "< 204 None Complete 0",
        "< 200 OK Complete 2",
    ]);
}

#[test]
fn a_response_that_nothing_asked_for_is_followed_but_not_reported() {
    let mut seen = server();
    seen.read(GET).write(OK).write(OK).read(GET).write("HTTP/1.1 204 None\r\n\r\n");
    seen.saw(&[
        "> GET / Complete 0",
        "> GET / Complete 0",
        "< 200 OK Complete 2",
        "< 204 None Complete 0",
    ]);
}

#[test]
fn a_client_that_leaves_half_way_aborts_its_request() {
    for close in [false, true] {
        let mut seen = server();
        seen.read("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
        if close {
            seen.close()
        } else {
            seen.eof(Io::Read)
        };
        assert_eq!(seen.recorder.summary()[0], "> POST / Aborted 3");
    }
}

#[test]
fn a_server_that_leaves_half_way_aborts_its_response() {
    let mut seen = server();
    seen.write(GET).write(GET).read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
    seen.eof(Io::Read).close();
    seen.saw(&["> GET / Complete 0", "> GET / Complete 0", "< 200 OK Aborted 2"]);
}

#[test]
fn a_connection_closed_before_the_answer_says_so() {
    let mut seen = server();
    seen.write(GET).read("HTTP/1.1 200 OK\r\nConten").eof(Io::Read).close();
    seen.saw(&["> GET / Complete 0", "< nothing Aborted"]);
}

#[test]
fn a_complete_last_response_leaves_the_other_requests_unanswered() {
    let mut seen = server();
    seen.write(GET).write(GET).read("HTTP/1.1 200 OK\r\n\r\nabc").eof(Io::Read).close();
    seen.saw(&[
        "> GET / Complete 0",
        "> GET / Complete 0",
        "< 200 OK Complete 3",
        "< nothing Aborted",
    ]);
}

#[test]
fn a_client_may_close_its_side_and_wait() {
    let mut seen = server();
    seen.read(GET).eof(Io::Read).write(OK).close();
    seen.saw(&["> GET / Complete 0", "< 200 OK Complete 2"]);
}

#[test]
fn a_long_head_is_cut_and_still_followed() {
    for piece in [usize::MAX, 1, 7, 1000, HEAD_LIMIT] {
        let cookie = "c".repeat(HEAD_LIMIT);
        let bytes = format!(
            "POST / HTTP/1.1\r\nCookie: {cookie}\r\nContent-Length: 3\r\n\r\nabcGET /next HTTP/1.1\r\n\r\n"
        );
        let mut seen = server();
        bytes.as_bytes().chunks(piece).for_each(|piece| {
            seen.read(piece);
        });
        seen.saw(&["> POST / Complete 3", "> GET /next Complete 0"]);
        let request = &seen.recorder.requests[0];
        assert!(request.truncated);
        assert_eq!(request.head, bytes.as_bytes()[..HEAD_LIMIT]);
    }
}

#[test]
fn a_long_request_line_is_cut_and_still_followed() {
    for piece in [usize::MAX, 1, 7, 500, 1000, HEAD_LIMIT] {
        let target = "t".repeat(HEAD_LIMIT * 2);
        let bytes = format!("HEAD /{target} HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc{GET}");
        let mut seen = server();
        bytes.as_bytes().chunks(piece).for_each(|piece| {
            seen.read(piece);
        });
        seen.write("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n").write(OK);
        assert_eq!(seen.recorder.requests.len(), 2, "in pieces of {piece}");
        assert_eq!(seen.recorder.requests[0].body_bytes, 3);
        assert_eq!(seen.recorder.responses[0].body_bytes, 0);
        assert_eq!(seen.recorder.responses[1].body_bytes, 2);
    }
}

#[test]
fn unseen_bytes_are_content() {
    let mut seen = server();
    seen.read(GET).write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    seen.skip(Io::Write, 3).skip(Io::Write, 2);
    seen.read(GET).write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n");
    seen.skip(Io::Write, 4).write("\r\n0\r\n\r\n");
    seen.read(GET).write("HTTP/1.1 200 OK\r\n\r\n").skip(Io::Write, 6).close();
    let sizes: Vec<_> = seen.recorder.responses.iter().map(|seen| seen.body_bytes).collect();
    assert_eq!(sizes, [5, 4, 6]);
    assert!(seen.recorder.responses.iter().all(|seen| seen.outcome == Some(Outcome::Complete)));
}

#[test]
fn unseen_bytes_that_are_not_content_lose_the_framing() {
    let mut seen = server();
    seen.read("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n").skip(Io::Read, 6).read(OK);
    seen.saw(&["> POST / Complete 5"]);

    let mut seen = server();
    seen.read("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n").skip(Io::Read, 5);
    seen.saw(&["> POST / Lost 4"]);

    let mut seen = server();
    seen.skip(Io::Write, 1);
    assert!(seen.connection.is_dead());
}

#[test]
fn lost_framing_is_found_again_at_a_request_line() {
    let mut seen = server();
    seen.read("POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\noops\r\n");
    seen.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    seen.read("x GET / HTTP/1.1\r\n\r\n").read("GET / HTTP/1").read("GET /2 HTTP/1.1\r\n");
    seen.read("\r\n").write(OK);
    seen.saw(&[
        "> POST /1 Lost 0",
        "> GET /2 Complete 0",
        "< 200 OK Lost 3",
        "< 200 OK Complete 2",
    ]);
}

#[test]
fn a_broken_response_says_that_requests_stay_unanswered() {
    let mut seen = server();
    seen.read(GET).read(GET).write("garbage").write(OK);
    seen.read("GET /again HTTP/1.1\r\n\r\n").write(OK);
    seen.saw(&[
        "> GET / Complete 0",
        "> GET / Complete 0",
        "> GET /again Complete 0",
        "< 200 OK Complete 2",
        "< nothing Lost",
    ]);
}

#[test]
fn a_status_line_needs_three_digits() {
    for line in ["HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 abc", "HTTP/1.x 200 OK"] {
        let mut seen = server();
        seen.read(GET).write(format!("{line}\r\nContent-Length: 0\r\n\r\n"));
        seen.saw(&["> GET / Complete 0", "< nothing Lost"]);
    }
}
