//! Bytes from a cache: read without a panic, and what is read is written and read the same.
//!
//! In:  with an even first byte, the rest as it is; else the rest behind a head with the right checksum.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan::cache::inside::{again, sealed};

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let bytes = if kind % 2 == 0 { rest.to_vec() } else { sealed(rest) };
    let Some(written) = again(&bytes) else { return };
    assert_eq!(again(&written).as_ref(), Some(&written), "what is read is written and read the same");
});
