//! What the hooks pay per call. Run with `cargo bench -p carafe-http1`.

use carafe_http1::{Connection, Event, Io, Sink};
use divan::Bencher;

/// About 500 bytes, as a browser sends them.
const REQUEST: &[u8] = b"GET /todo/list?page=2 HTTP/1.1\r\n\
    Host: localhost:5000\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=c2Vzc2lvbi1pZC1vZi1zb21lLWxlbmd0aA\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Priority: u=0, i\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Content-Type: text/html; charset=utf-8\r\n\
    Content-Length: 11\r\n\
    Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\n\
    hello world";

struct Count(u64);

impl Sink for Count {
    #[inline(never)]
    fn message(&mut self, event: Event<'_>) {
        self.0 += divan::black_box(event).at_ns;
    }
}

fn main() {
    divan::main();
}

fn exchanges(bencher: Bencher<'_, '_>, piece: usize) {
    let mut connection = Box::new(Connection::new());
    let mut count = Count(0);
    bencher.bench_local(|| {
        for bytes in divan::black_box(REQUEST).chunks(piece) {
            connection.feed(Io::Read, bytes, 1, &mut count);
        }
        for bytes in divan::black_box(RESPONSE).chunks(piece) {
            connection.feed(Io::Write, bytes, 2, &mut count);
        }
    });
    assert!(count.0 > 0 && !connection.is_dead());
}

/// Request and response, each in one call.
#[divan::bench]
fn exchange_in_whole_messages(bencher: Bencher<'_, '_>) {
    exchanges(bencher, usize::MAX);
}

/// The same, 100 bytes a call.
#[divan::bench]
fn exchange_in_pieces(bencher: Bencher<'_, '_>) {
    exchanges(bencher, 100);
}

/// A call on a connection that is not HTTP/1.
#[divan::bench]
fn dead_connection(bencher: Bencher<'_, '_>) {
    let mut connection = Box::new(Connection::new());
    let mut count = Count(0);
    connection.feed(Io::Write, b"\x16\x03\x01", 1, &mut count);
    bencher.bench_local(|| connection.feed(Io::Read, divan::black_box(REQUEST), 1, &mut count));
    assert!(connection.is_dead());
}
