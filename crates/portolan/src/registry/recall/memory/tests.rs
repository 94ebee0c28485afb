//! Any pieces in any order give the list that a plain sort of them gives.
#![expect(clippy::arithmetic_side_effects, reason = "small numbers, of the tests' own")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::Identity;

/// A piece that says which instance it is, and in which version; a version of 9 is unreadable.
fn instance(piece: &str) -> Option<Instance> {
    let (id, version) = piece.split_once('/').unwrap();
    let port = version.parse().unwrap();
    (port != 9).then(|| Instance::new(Identity::new("dc", "n", id), "web", "10.0.0.1", port))
}

/// Reads an answer as a registry does; says how many pieces had to be read anew.
fn read(memory: &mut Memory, pieces: &[String]) -> (Vec<Arc<Instance>>, usize, usize) {
    let mut reading = Reading::of(&memory.last);
    let mut anew = 0;
    for piece in pieces.iter().map(String::as_bytes) {
        if reading.guess() == Some(piece.len()) && reading.is_next(piece) || reading.is_known(piece) {
            continue;
        }
        anew += 1;
        reading.learn(piece, instance(std::str::from_utf8(piece).unwrap())).unwrap();
    }
    let read = reading.done();
    let still = read.still_unreadable;
    (memory.last.replace(read), anew, still)
}

proptest! {
    #[test]
    fn any_pieces_in_any_order_give_what_a_sort_gives(
        answers in proptest::collection::vec(proptest::collection::vec("[a-f]{1,2}/[0129]", 0..30), 1..8)
    ) {
        let mut memory = Memory::new([1, 2, 3, 4]);
        let mut before: (Vec<String>, Vec<Arc<Instance>>) = Default::default();
        for pieces in answers {
            let expected: BTreeMap<_, _> = pieces
                .iter()
                .filter_map(|piece| instance(piece))
                .map(|instance| (instance.identity.clone(), instance))
                .collect();
            let (list, anew, still) = read(&mut memory, &pieces);
            prop_assert!(list.iter().map(|instance| &**instance).eq(expected.values()), "{list:?}");
            // What the last answer had in this list is not read again, and what it could not read is counted.
            let unknown = pieces.iter().filter(|piece| {
                let given = instance(piece).is_none_or(|one| before.1.iter().any(|old| **old == one));
                !(before.0.contains(piece) && given)
            });
            prop_assert_eq!(anew, unknown.count());
            let unreadable = pieces.iter().filter(|piece| piece.ends_with('9') && before.0.contains(piece));
            prop_assert_eq!(still, unreadable.count());
            for old in &before.1 {
                let new = list.iter().find(|new| new.identity == old.identity);
                prop_assert!(new.is_none_or(|new| Arc::ptr_eq(old, new) == (old == new)));
            }
            before = (pieces, list);
        }
    }
}

#[test]
fn a_change_of_one_reads_one_and_a_new_order_reads_none() {
    let mut memory = Memory::new([1, 2, 3, 4]);
    let mut pieces: Vec<String> = (0..1000).map(|n| format!("{n:04}/1")).collect();
    assert_eq!(read(&mut memory, &pieces).1, 1000);
    pieces[500] = "0500/2".to_owned();
    pieces.remove(700);
    pieces.insert(20, "0020a/1".to_owned());
    assert_eq!(read(&mut memory, &pieces).1, 2);
    pieces.reverse();
    assert_eq!(read(&mut memory, &pieces).1, 0);
}

#[test]
fn a_list_of_exact_size_is_all_that_is_kept() {
    let mut memory = Memory::new([1, 2, 3, 4]);
    let pieces: Vec<String> = (0..1000).map(|n| format!("{n:04}/1")).collect();
    read(&mut memory, &pieces);
    read(&mut memory, &pieces[..10]);
    assert_eq!((memory.last.list.len(), memory.last.pieces.len()), (10, 10));
    assert!(memory.last.list.capacity() < 20 && memory.last.pieces.capacity() < 20);
}

#[test]
fn what_comes_next_if_nothing_changed_is_guessed_and_taken_without_a_search() {
    let mut memory = Memory::new([1, 2, 3, 4]);
    assert!(Reading::of(&memory.last).is_first());
    assert_eq!(Reading::of(&memory.last).guess(), None);
    let pieces = ["a/1", "bcd/2", "ef/1"].map(str::to_owned);
    read(&mut memory, &pieces);
    let mut reading = Reading::of(&memory.last);
    assert!(!reading.is_first());
    for piece in &pieces {
        assert_eq!(reading.guess(), Some(piece.len()));
        assert!(!reading.is_next(b"zz/1") && reading.is_next(piece.as_bytes()));
    }
    assert_eq!((reading.guess(), reading.searches), (None, 0));
}

#[test]
fn a_few_are_searched_for_and_many_are_looked_up_in_a_table() {
    let mut memory = Memory::new([1, 2, 3, 4]);
    let pieces: Vec<String> = (0..20).map(|n| format!("{n:04}/1")).collect();
    read(&mut memory, &pieces);
    let mut reading = Reading::of(&memory.last);
    for (at, piece) in (1..).zip(pieces.iter().rev()) {
        assert!(reading.is_known(piece.as_bytes()));
        assert_eq!(reading.table.is_some(), at > SEARCHES, "{at}");
    }
}

#[test]
fn a_count_that_has_a_meaning_of_its_own_is_no_count() {
    let largest = usize::try_from(REPLACED).unwrap() - 1;
    assert_eq!((number(0), number(largest)), (Some(0), Some(REPLACED - 1)));
    assert_eq!((number(largest + 1), number(largest + 2), number(usize::MAX)), (None, None, None));
}
