//! Generated conversations, with what must be reported of them.

use carafe_http1::{HEAD_LIMIT, Outcome};
use proptest::prelude::*;

/// One message on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    /// Interim responses before it, not to be reported.
    pub(crate) before: Vec<u8>,
    pub(crate) head: Vec<u8>,
    /// Content with its framing.
    pub(crate) body: Vec<u8>,
    /// Bytes of content.
    pub(crate) content: u64,
    pub(crate) outcome: Outcome,
}

impl Wire {
    pub(crate) fn len(&self) -> usize {
        self.before.len() + self.head.len() + self.body.len()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [&self.before[..], &self.head, &self.body].concat()
    }

    pub(crate) fn reported_head(&self) -> &[u8] {
        &self.head[..self.head.len().min(HEAD_LIMIT)]
    }
}

/// A request and its response. `alone`: the client waits for the whole response
/// before it sends more.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) request: Wire,
    pub(crate) response: Wire,
    pub(crate) alone: bool,
}

#[derive(Clone, Debug)]
enum Content {
    None,
    Length(Vec<u8>),
    Chunked { chunks: Vec<(Vec<u8>, String)>, trailers: Vec<String>, coding: &'static str },
}

fn content() -> impl Strategy<Value = Content> {
    let bytes = || prop::collection::vec(any::<u8>(), 1..80);
    let extension = prop::sample::select(vec!["", ";a", "; a=\"b;c\"", " ", ";x=1;y=2"]);
    let trailer = prop::sample::select(vec!["Digest: a", "X-T:", "Folded: a\r\n b"]);
    let coding = prop::sample::select(vec!["chunked", "Chunked", "gzip, chunked", "gzip ,CHUNKED"]);
    prop_oneof![
        Just(Content::None),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Content::Length),
        (
            prop::collection::vec((bytes(), extension.prop_map(str::to_owned)), 0..5),
            prop::collection::vec(trailer.prop_map(str::to_owned), 0..3),
            coding,
        )
            .prop_map(|(chunks, trailers, coding)| Content::Chunked {
                chunks,
                trailers,
                coding
            }),
    ]
}

/// Fields that say nothing about framing, some long enough to pass the limits.
fn noise() -> impl Strategy<Value = Vec<String>> {
    let field = prop_oneof![
        20 => prop::sample::select(
            vec![
                "Host: localhost:5000", "X-Content-Length: 7", "Content-Lengthy: 8", "Cookie: a=b; c",
                "TE: trailers", "Transfer: chunked", "traceparent: 00-0af7651916cd43dd-01", "X-Empty:",
                "Folded: a\r\n  Content-Length: 5", "Connection: keep-alive", "Accept: */*",
            ],
        ).prop_map(str::to_owned),
        1 => (600..9000usize).prop_map(|len| format!("X-Long: {}", "l".repeat(len))),
    ];
    prop::collection::vec(field, 0..6)
}

#[derive(Clone, Copy, Debug)]
struct Spelling {
    bare_line_feed: bool,
    upper: bool,
}

fn spelling() -> impl Strategy<Value = Spelling> {
    (any::<bool>(), any::<bool>())
        .prop_map(|(bare_line_feed, upper)| Spelling { bare_line_feed, upper })
}

fn message(
    start: &str,
    noise: &[String],
    content: &Content,
    how: Spelling,
    has_body: bool,
) -> Wire {
    let end = if how.bare_line_feed { "\n" } else { "\r\n" };
    let name = |name: &str| if how.upper { name.to_uppercase() } else { name.to_lowercase() };
    let mut fields = noise.to_vec();
    let middle = fields.len() / 2;
    let mut body = Vec::new();
    let mut size = 0;
    match content {
        Content::None => {}
        Content::Length(bytes) => {
            fields.insert(middle, format!("{}: {}", name("Content-Length"), bytes.len()));
            body.extend_from_slice(bytes);
            size = bytes.len() as u64;
        }
        Content::Chunked { chunks, trailers, coding } => {
            fields.insert(middle, format!("{}:{coding}", name("Transfer-Encoding")));
            for (bytes, extension) in chunks {
                body.extend_from_slice(format!("{:x}{extension}{end}", bytes.len()).as_bytes());
                body.extend_from_slice(bytes);
                body.extend_from_slice(end.as_bytes());
                size += bytes.len() as u64;
            }
            body.extend_from_slice(format!("0{end}").as_bytes());
            for trailer in trailers {
                body.extend_from_slice(format!("{trailer}{end}").as_bytes());
            }
            body.extend_from_slice(end.as_bytes());
        }
    }
    if !has_body {
        body.clear();
        size = 0;
    }
    let mut head = format!("{start}{end}");
    for field in fields {
        head.push_str(&field.replace("\r\n", end));
        head.push_str(end);
    }
    head.push_str(end);
    let outcome = Outcome::Complete;
    Wire { before: Vec::new(), head: head.into_bytes(), body, content: size, outcome }
}

fn interim() -> impl Strategy<Value = Vec<u8>> {
    let one = prop::sample::select(vec![
        "",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\nLink: </a.css>\n\n",
        "HTTP/1.1 102\r\n\r\nHTTP/1.1 100 Continue\r\nX: y\r\n\r\n",
    ]);
    one.prop_map(|text| text.as_bytes().to_vec())
}

/// An exchange after which the connection goes on.
fn exchange() -> impl Strategy<Value = Exchange> {
    let method =
        prop::sample::select(vec!["GET", "HEAD", "POST", "OPTIONS", "M-SEARCH", "CONNECT"]);
    let status = prop::sample::select(vec![200, 201, 204, 301, 304, 404, 413, 500]);
    let target = prop::sample::select(vec!["/", "/add", "/delete/7?x=%20y", "*", "http://h/p"]);
    let version = prop::sample::select(vec!["HTTP/1.1", "HTTP/1.0"]);
    let request = (method, target, version, noise(), content(), spelling());
    let response = (status, interim(), noise(), content(), spelling());
    (request, response).prop_map(|((method, target, version, noise, content, how), answer)| {
        let connect = method == "CONNECT";
        let content = if connect { Content::None } else { content };
        let start = format!("{method} {target} {version}");
        let request = message(&start, &noise, &content, how, true);

        let (status, before, noise, content, how) = answer;
        let status = if connect { 407 } else { status };
        let bodiless = method == "HEAD" || matches!(status, 204 | 304);
        let content = match content {
            // Without a length it would only end with the connection.
            Content::None if !bodiless => Content::Length(Vec::new()),
            content => content,
        };
        let start = format!("HTTP/1.1 {status} Some Reason");
        let response = Wire { before, ..message(&start, &noise, &content, how, !bodiless) };
        Exchange { request, response, alone: connect }
    })
}

/// An exchange that is the last one: the body ends with the connection, or a
/// tunnel begins.
fn last() -> impl Strategy<Value = Exchange> {
    let kind = prop::sample::select(vec!["close", "upgrade", "connect"]);
    let bytes = || prop::collection::vec(any::<u8>(), 0..60);
    (kind, noise(), interim(), spelling(), bytes(), bytes()).prop_map(
        |(kind, noise, before, how, sent, received)| {
            let none = Content::None;
            let start = if kind == "connect" { "CONNECT h:1 HTTP/1.1" } else { "GET /l HTTP/1.1" };
            let mut request = message(start, &noise, &none, how, false);
            let start = if kind == "upgrade" { "HTTP/1.1 101 Switch" } else { "HTTP/1.0 200 OK" };
            let mut response = Wire { before, ..message(start, &noise, &none, how, false) };
            response.body = received;
            if kind == "close" {
                response.content = response.body.len() as u64;
            } else {
                response.outcome = Outcome::Upgraded;
                // Not a second message: bytes of the tunnel.
                request.body = sent;
            }
            Exchange { request, response, alone: kind != "close" }
        },
    )
}

pub(crate) fn conversation() -> impl Strategy<Value = Vec<Exchange>> {
    (prop::collection::vec(exchange(), 0..6), prop::option::of(last())).prop_map(
        |(mut exchanges, last)| {
            exchanges.extend(last);
            exchanges
        },
    )
}
