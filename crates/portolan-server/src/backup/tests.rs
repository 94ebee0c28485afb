//! A backup is read as it was written; any byte changed and any length cut is found, and said where.

use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::{
    config::ServerConfig,
    core::home,
    state::{
        Command, OtherChecks, State,
        rows::{CheckSpec, Probe, ServiceSpec},
    },
};

/// A registry with so many instances, each with a check and notes of so many bytes.
fn state(instances: usize, notes: usize) -> State {
    let now = tokio::time::Instant::now().into_std();
    let mut state = State::new(home(&ServerConfig::default(), "id".into()), now);
    for number in 0..instances {
        put(&mut state, number, notes, now);
    }
    state
}

fn put(state: &mut State, number: usize, notes: usize, now: Instant) {
    let service = ServiceSpec::new("web", &format!("w{number}"));
    let mut check = CheckSpec::new(&format!("c{number}"), "alive", Probe::Maintenance);
    check.notes = "n".repeat(notes).into();
    let command = Command::RegisterService {
        service: Box::new(service),
        checks: vec![check],
        others: OtherChecks::Keep,
    };
    state.apply(command, now).0.unwrap();
}

fn written(state: &State) -> Vec<u8> {
    let (mut writing, mut all) = (Writing::of(state), Vec::new());
    while let Some(part) = writing.part().unwrap() {
        all.extend_from_slice(&part);
    }
    all
}

fn read(bytes: &[u8], piece: usize) -> Result<(Summary, read::Rows), Wrong> {
    let mut checker = Checker::keeping();
    bytes.chunks(piece).try_for_each(|piece| checker.push(piece))?;
    checker.into_rows()
}

/// The parts of a backup: where each begins.
fn parts(bytes: &[u8]) -> Vec<usize> {
    let mut parts = vec![0, HEAD];
    loop {
        let at = parts[parts.len() - 1];
        let length = u32::from_le_bytes(bytes[at + 1..at + PART].try_into().unwrap());
        let next = at + PART + usize::try_from(length).unwrap() + SUM;
        if next == bytes.len() {
            return parts;
        }
        parts.push(next);
    }
}

#[test]
fn a_backup_of_any_size_is_read_as_the_state_that_wrote_it_whatever_pieces_it_comes_in() {
    for (instances, notes) in [(0, 0), (3, 10), (30, 40_000), (1, FULL * 2)] {
        let state = state(instances, notes);
        let bytes = written(&state);
        for piece in [1 << 20, 4096, 7] {
            let (summary, rows) = read(&bytes, piece).unwrap();
            let expected: Vec<_> =
                state.rows().into_iter().map(|(key, row)| (key.0, row.encode().unwrap())).collect();
            assert_eq!(rows, expected);
            let told = (summary.rows, summary.index, summary.bytes);
            assert_eq!(told, (rows.len() as u64, state.last_index(), bytes.len() as u64));
        }
        assert_eq!(check(bytes.as_slice()).unwrap().rows, state.rows().len() as u64);
        assert!(instances < 30 || parts(&bytes).len() > 5, "several blocks");
    }
}

#[test]
fn a_backup_that_was_cut_anywhere_is_refused() {
    let bytes = written(&state(4, 0));
    assert_eq!(read(&[], 1), Err(Wrong::Empty));
    for length in 1..bytes.len() {
        assert_eq!(read(&bytes[..length], 4096), Err(Wrong::Truncated(length as u64)), "{length}");
    }
    // All rows are there, and the mark that they are all is not.
    let end = *parts(&bytes).last().unwrap();
    let said = check(&bytes[..end]).unwrap_err().to_string();
    let expected =
        format!("the backup ends after {end} bytes, without its end mark: a part of it is missing");
    assert_eq!(said, expected);
}

#[test]
fn a_backup_with_any_byte_changed_is_refused() {
    let bytes = written(&state(4, 0));
    for at in 0..bytes.len() {
        for flip in [1, 0x80] {
            let mut bad = bytes.clone();
            bad[at] ^= flip;
            assert!(read(&bad, 4096).is_err(), "byte {at}");
        }
    }
}

#[test]
fn what_is_wrong_is_named() {
    let bytes = written(&state(30, 40_000));
    let parts = parts(&bytes);
    let (second, third) = (parts[2], parts[3]);
    let mut damaged = bytes.clone();
    damaged[second + 100] ^= 1;
    let swapped =
        [&bytes[..parts[1]], &bytes[second..third], &bytes[parts[1]..second], &bytes[third..]].concat();
    let missing = [&bytes[..second], &bytes[third..]].concat();
    let mut newer = bytes.clone();
    newer[16] = 9;
    for (bad, says) in [
        (b"SQLite format 3\0 and more".to_vec(), "this is no backup of portolan's: it does not begin as one"),
        (damaged, &*format!("the part that begins at byte {second} is not what was written")),
        (swapped, &format!("the part that begins at byte {HEAD} is not what was written")),
        (missing, &format!("the part that begins at byte {second} is not what was written")),
        (newer, "the backup has version 9, and this version knows 1; use a newer portolan"),
        ([&bytes[..], b"x"].concat(), &format!("it ends at byte {}, and more follows", bytes.len())),
    ] {
        let said = check(bad.as_slice()).unwrap_err().to_string();
        assert!(said.ends_with(says), "{said}");
    }
}

#[test]
fn rows_that_are_newer_than_their_backup_are_refused() {
    let state = state(2, 0);
    let (summary, rows) = read(&written(&state), 4096).unwrap();
    assert!(decoded(rows.clone(), summary.index).is_ok());
    let said = decoded(rows, summary.index - 1).unwrap_err();
    assert!(said.ends_with("is newer than the backup"), "{said}");
}

proptest! {
    #[test]
    fn no_bytes_panic(kind in any::<bool>(), bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1..40usize) {
        let head = if kind { written(&state(0, 0)) } else { Vec::new() };
        drop(read(&[head, bytes].concat(), piece));
    }
}
