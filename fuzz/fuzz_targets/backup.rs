//! Bytes in the place of a backup: refused or whole, the same in whatever pieces they come; what is whole is restored or refused.
//!
//! In:  with an even first byte, the rest as it is; else the rest as the rows of a backup whose sums are right.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use portolan_server::{
    backup::{Checker, Summary, Wrong, opened},
    inside,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A part and its sum.
fn sealed(mut part: Vec<u8>, number: u64, all: &mut Vec<u8>) {
    let sum = xxh3_64_with_seed(&part, number);
    part.extend_from_slice(&sum.to_le_bytes());
    all.append(&mut part);
}

fn of_kind(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("inputs are short");
    [&[kind], &length.to_le_bytes()[..], content].concat()
}

/// A backup of one block, whose sums are right.
fn whole(rows: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    let head = [b"portolan-backup\n", &1_u32.to_le_bytes()[..], &1_u64.to_le_bytes(), &9_u64.to_le_bytes()];
    sealed(head.concat(), 0, &mut all);
    sealed(of_kind(1, rows), 1, &mut all);
    let count = rows.first().copied().unwrap_or(0);
    sealed(of_kind(2, &u64::from(count).to_le_bytes()), 2, &mut all);
    all
}

fn read(bytes: &[u8], piece: usize) -> Result<Summary, Wrong> {
    let mut checker = Checker::new();
    bytes.chunks(piece).try_for_each(|piece| checker.push(piece))?;
    checker.finish()
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let bytes = if kind % 2 == 0 { rest.to_vec() } else { whole(rest) };
    // An archive, if gzip could have packed it: what it holds is no better than other bytes.
    if let Ok(held) = opened(&bytes) {
        let _any = inside::backup(&held, Instant::now());
    }
    let at_once = read(&bytes, bytes.len().max(1));
    assert_eq!(read(&bytes, usize::from(*kind) + 1), at_once, "pieces make no difference");
    let restored = inside::backup(&bytes, Instant::now());
    assert!(at_once.is_ok() || restored.is_err(), "what is no backup is not restored");
});
