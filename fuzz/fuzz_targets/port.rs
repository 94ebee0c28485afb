//! Garbage on the port: the registry answers or closes, and goes on for all others.
//!
//! In:  bytes, as they are sent.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "served.rs"]
mod served;

fuzz_target!(|data: &[u8]| {
    drop(served::asked(data, served::Then::Ends));
    served::lives();
});
