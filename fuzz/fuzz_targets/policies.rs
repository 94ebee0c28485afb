//! Rules of access, in HCL and JSON: any text is read or refused, and who may write may list, and who may list may read.
//!
//! In:  a name, a zero byte, and rules.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan_server::inside::allowed;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (name, rules) = text.split_once('\0').unwrap_or(("web", text));
    match allowed(rules, name) {
        Ok(all) => {
            assert!(!all.is_empty(), "the same policy twice is another");
            for [read, list, write] in all {
                assert!(!write || list, "may write and not list");
                assert!(!list || read, "may list and not read");
            }
        }
        Err(what) => assert!(!what.is_empty()),
    }
});
