//! Rows as they stand on disk, of any bytes: a start and a restore take the same, or refuse them, without a panic.
//!
//! In:  rows, one after another: a key of one byte, a length of two, and so many bytes.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use portolan_server::inside;

fuzz_target!(|data: &[u8]| {
    let (mut rows, mut rest) = (Vec::new(), data);
    while let [key, low, high, more @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(more.len());
        let (row, after) = more.split_at(length);
        rows.push((u64::from(*key), row.to_vec()));
        rest = after;
    }
    drop(inside::rows(rows, 1 << 40, Instant::now()));
});
