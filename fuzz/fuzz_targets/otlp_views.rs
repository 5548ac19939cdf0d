//! Whatever bytes are taken for an OTLP request: the views take what prost takes and refuse
//! what it refuses, and both read the same.

#![no_main]

use carafe_telemetry::testing::check_views;
use carafe_telemetry::{Batch, Signal};
use libfuzzer_sys::fuzz_target;
use prost::encoding::{WireType, encode_key, encode_varint};

/// A message whose field `tag` is `inner`.
fn wrapped(tag: u32, inner: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(inner.len() + 16);
    encode_key(tag, WireType::LengthDelimited, &mut out);
    encode_varint(inner.len() as u64, &mut out);
    out.extend(inner);
    out
}

fuzz_target!(|data: &[u8]| {
    for signal in [Signal::Traces, Signal::Logs] {
        // As a request, and as an item: there the fuzzer need not find the lengths around it.
        let item = wrapped(1, &wrapped(2, &wrapped(2, data)));
        for bytes in [data, &item] {
            check_views(&Batch { signal, bytes: bytes.to_vec().into() });
        }
    }
});
