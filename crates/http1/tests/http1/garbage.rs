//! Bytes that mean nothing: never a panic, never more bytes reported than fed.

use carafe_http1::Io;
use proptest::prelude::*;

use crate::recorder::Observed;

/// Pieces that lead deep into the states, between random ones.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => prop::collection::vec(any::<u8>(), 0..40),
        6 => prop::sample::select(
            [
                "GET / HTTP/1.1\r\n", "HEAD / HTTP/1.0\r\n", "CONNECT a:1 HTTP/1.1\r\n",
                "POST /p HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 101 x\r\n",
                "HTTP/1.1 100\r\n", "HTTP/1.1 204\r\n", "\r\n", "\n", "\r", " ", "0\r\n\r\n",
                "Content-Length: 5\r\n", "Content-Length: 18446744073709551615\r\n",
                "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\n", "5\r\nabcde\r\n",
                "ffffffffffffffff\r\n", "; a=b\r\n", "abcde",
            ]
            .map(|text| text.as_bytes().to_vec())
            .to_vec(),
        ),
        1 => prop::sample::select(vec![vec![b'a'; 9000], vec![b'\n'; 9000]]),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Feed(Io, Vec<Vec<u8>>),
    Skip(Io, u64),
    Eof(Io),
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    let io = || prop::sample::select(vec![Io::Read, Io::Write]);
    prop_oneof![
        20 => (io(), prop::collection::vec(piece(), 0..6)).prop_map(|(io, parts)| Step::Feed(io, parts)),
        2 => (io(), 0..20u64).prop_map(|(io, count)| Step::Skip(io, count)),
        1 => io().prop_map(Step::Eof),
        1 => Just(Step::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_is_invented(steps in prop::collection::vec(step(), 0..30)) {
        let mut seen = Observed::new();
        let mut fed = 0;
        for step in steps {
            match step {
                Step::Feed(io, parts) => {
                    let bytes = parts.concat();
                    fed += bytes.len() as u64;
                    seen.feed(io, bytes);
                }
                Step::Skip(io, count) => {
                    fed += count;
                    seen.skip(io, count);
                }
                Step::Eof(io) => {
                    seen.eof(io);
                }
                // The recorder checks order per connection: end what is open.
                Step::Reset => {
                    seen.close();
                    seen.connection.reset();
                }
            }
        }
        seen.close();
        let all = seen.recorder.requests.iter().chain(&seen.recorder.responses);
        let reported: u64 = all.clone().map(|seen| seen.head.len() as u64 + seen.body_bytes).sum();
        prop_assert!(reported <= fed, "{reported} bytes reported, {fed} fed");
        prop_assert!(all.clone().all(|seen| seen.outcome.is_some()), "a message without an end");
    }
}
