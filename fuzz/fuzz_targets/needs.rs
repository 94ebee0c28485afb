//! Declarations of needs in any meta: what is read is written and read again as it was, and a list is read as its parts are.
//!
//! In:  values of meta, with the byte 0x1e between them: the first stands under `portolan-needs`, the next under `-2`, …
#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan::{
    Meta,
    depend::{NEEDS_KEY, Needs, decode, encode},
};

/// What stands between two values.
const NEXT: char = '\x1e';

fuzz_target!(|data: &str| {
    let key =
        |part: usize| if part == 0 { NEEDS_KEY.to_owned() } else { format!("{NEEDS_KEY}-{}", part + 1) };
    let pairs = data.split(NEXT).enumerate().map(|(part, value)| (key(part).into(), value.into()));
    let declared = decode(&pairs.collect::<Meta>());
    let needs: Needs = declared.needs.iter().cloned().collect();
    let again = encode(&needs).into_iter().map(|(key, value)| (key.into(), value.into()));
    let again = decode(&again.collect::<Meta>());
    assert_eq!(again.needs, declared.needs);
    assert_eq!(again.unreadable, []);
    if let Ok(whole) = data.parse::<Needs>() {
        let again: Needs = whole.to_string().parse().expect("what is written can be read");
        assert_eq!(again, whole);
    }
});
