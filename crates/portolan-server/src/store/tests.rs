//! One file: what is written is there, what is damaged or newer is refused, and the directory has one process.

use std::fs;

use tempfile::TempDir;

use super::{dir::Dir, *};

fn open(dir: &TempDir) -> Result<(Store, Option<Loaded>), Trouble> {
    Store::open(Box::new(Dir::take(dir.path())?), 1)
}

fn group(bound: u64, rows: &[(u64, Option<&str>)]) -> Group {
    let rows = rows.iter().map(|(key, row)| (*key, row.map(|row| row.as_bytes().to_vec()))).collect();
    Group { format: 1, bound, rows }
}

fn rows(loaded: &Loaded) -> Vec<(u64, &str)> {
    loaded.rows.iter().map(|(key, row)| (*key, str::from_utf8(row).unwrap())).collect()
}

#[test]
fn what_was_written_is_there_and_what_was_taken_away_is_not() {
    let dir = TempDir::new().unwrap();
    let (mut store, loaded) = open(&dir).unwrap();
    assert_eq!(loaded, None, "nothing was ever written");
    store.renew(&group(10, &[(1, Some("one")), (2, Some("two"))])).unwrap();
    store.write(&group(20, &[(2, None), (3, Some("three")), (1, Some("uno"))])).unwrap();
    drop(store);
    let (mut store, loaded) = open(&dir).unwrap();
    let loaded = loaded.unwrap();
    assert_eq!((loaded.bound, rows(&loaded)), (20, vec![(1, "uno"), (3, "three")]));

    store.renew(&group(30, &[(7, Some("all"))])).unwrap();
    store.write(&group(30, &[(8, Some("more"))])).unwrap();
    store.close().unwrap();
    drop(store);
    let loaded = open(&dir).unwrap().1.unwrap();
    assert_eq!((loaded.bound, rows(&loaded)), (30, vec![(7, "all"), (8, "more")]));
}

#[test]
fn a_second_process_is_told_who_has_the_directory() {
    let dir = TempDir::new().unwrap();
    let mut first = open(&dir).unwrap();
    first.0.renew(&group(1, &[])).unwrap();
    let says =
        format!("is in use by process {}; stop that one, or choose another directory", std::process::id());
    assert_eq!(open(&dir).unwrap_err().to_string(), says);
    drop(first);
    open(&dir).unwrap();
}

#[test]
fn a_newer_format_is_refused_with_both_versions_named() {
    let dir = TempDir::new().unwrap();
    open(&dir).unwrap().0.renew(&Group { format: 7, ..group(1, &[]) }).unwrap();
    let refused = open(&dir).unwrap_err();
    assert_eq!(refused, Trouble::Newer { found: 7, known: 1 });
    assert!(refused.to_string().starts_with("has format 7, and this version knows formats up to 1;"));
}

#[test]
fn a_damaged_file_is_refused_wherever_the_damage_is() {
    let dir = TempDir::new().unwrap();
    let (mut store, _) = open(&dir).unwrap();
    let text = "x".repeat(300);
    let all: Vec<_> = (0..200).map(|key| (key, Some(text.as_str()))).collect();
    store.renew(&group(5, &all)).unwrap();
    store.close().unwrap();
    drop(store);
    let path = dir.path().join("registry.redb");
    let good = fs::read(&path).unwrap();
    let used: Vec<usize> = (0..good.len()).filter(|at| good[*at] == b'x').collect();
    for at in used.iter().step_by(used.len() / 40) {
        let mut bad = good.clone();
        bad[*at] ^= 1;
        fs::write(&path, &bad).unwrap();
        let refused = open(&dir).unwrap_err();
        assert!(matches!(refused, Trouble::Damaged(_)), "byte {at}: {refused:?}");
    }
    for bytes in [&b"hello, I am no redb file"[..], &good[..good.len() / 2], b""] {
        fs::write(&path, bytes).unwrap();
        let refused = open(&dir).unwrap_err().to_string();
        assert!(refused.starts_with("is damaged: "), "{refused}");
    }
}

#[test]
fn what_a_damaged_file_still_tells_is_read_from_both_ends() {
    for ended in [Ended::Properly, Ended::Cut] {
        all_but_one(ended);
    }
}

#[derive(Clone, Copy)]
enum Ended {
    Properly,
    /// As after a kill: the file says that it was left open.
    Cut,
}

fn all_but_one(ended: Ended) {
    let dir = TempDir::new().unwrap();
    let (mut store, _) = open(&dir).unwrap();
    let text: Vec<String> = (0..300).map(|key| format!("{key:04}{}", "y".repeat(400))).collect();
    let all: Vec<_> = (0..300).map(|key| (key, Some(text[usize::try_from(key).unwrap()].as_str()))).collect();
    store.renew(&group(5, &all)).unwrap();
    // So that the commit before the last has the row too, on the same page.
    for bound in 5..8 {
        store.write(&group(bound, &[(299, Some(text[299].as_str()))])).unwrap();
    }
    let path = dir.path().join("registry.redb");
    let mut bytes = fs::read(&path).unwrap();
    store.close().unwrap();
    drop(store);
    if matches!(ended, Ended::Properly) {
        bytes = fs::read(&path).unwrap();
    }
    let at = bytes.windows(5).position(|seen| seen == b"0150y").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(open(&dir), Err(Trouble::Damaged(_))));

    let ours = Dir::take(dir.path()).unwrap();
    let found = salvage::read(&ours, 1).unwrap();
    assert_eq!((found.bound, found.rows.len()), (Some(7), 299));
    assert!(!found.rows.contains_key(&150));
    assert_eq!(found.lost, ["row 150: it is not what was written"]);
    assert_eq!(fs::read(&path).unwrap(), bytes, "the file is as it was");
}
