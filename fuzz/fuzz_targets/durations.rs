//! Durations as Go writes them, in parameters and settings: read or refused with the field, and what is read is written and read
//! the same.
//!
//! In:  the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan::{format_duration, parse_duration};

fuzz_target!(|text: &str| match parse_duration("wait", text) {
    Ok(read) => {
        let again = parse_duration("wait", &format_duration(read)).expect("what is written is read");
        assert_eq!(again, read, "{text:?}");
    }
    Err(wrong) => assert!(wrong.to_string().starts_with("wait: "), "{wrong}"),
});
