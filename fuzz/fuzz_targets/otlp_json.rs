//! Whatever bytes come in as OTLP JSON: no panic, no stack overflow, and a request that was
//! taken is valid protobuf which survives being written as JSON again.

#![no_main]

use carafe_telemetry::{Signal, json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for signal in Signal::ALL {
        let Ok(batch) = json::to_batch(signal, data) else { continue };
        let request = batch.decode().expect("what the JSON reader wrote is protobuf");
        let text = json::encode(&request).expect("what was read can be written");
        let again = json::decode(signal, &text).expect("what was written can be read");
        // As bytes: NaN is not equal to itself.
        assert_eq!(again.encode(), request.encode());
    }
});
