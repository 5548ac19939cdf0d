//! Any text as a condition, and as a cursor: no panic, no stack overflow, and a condition that
//! was read is the same when it was written and read again.

#![no_main]

use carafe_store::{Condition, Cursor};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(condition) = text.parse::<Condition>() {
        let again = condition.to_string().parse::<Condition>();
        // What is written may be longer than what was read, and then beyond the limit.
        if condition.to_string().len() <= carafe_store::condition::MAX_CONDITION_BYTES {
            assert_eq!(again.as_ref(), Ok(&condition), "{condition}");
        }
    }
    if let Ok(cursor) = text.parse::<Cursor>() {
        assert_eq!(cursor.to_string().parse::<Cursor>().expect("what was written"), cursor);
    }
});
