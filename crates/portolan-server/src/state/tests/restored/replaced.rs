//! A state that takes on the rows of another answers as that one did, at higher indexes.

use proptest::prelude::*;

use super::*;

/// The rows without their indexes, and by what they are.
fn content(state: &State) -> Vec<String> {
    let mut rows: Vec<String> = state.rows().iter().map(|(_, row)| without_indexes(row)).collect();
    rows.sort();
    rows
}

fn without_indexes(row: &Kept) -> String {
    match row {
        Kept::Node { row, home } => format!("{:?} {home}", row.spec),
        Kept::Service { row, .. } => format!("{:?} {:?}", row.spec, row.origin),
        Kept::Check { row, spec, .. } => format!("{} {:?} {spec:?}", row.node, row.facts),
        rules => format!("{rules:?}"),
    }
}

fn played(steps: &[Step]) -> (State, Disk, Instant) {
    let (mut state, mut disk, mut now) = begun();
    for step in steps {
        match (command(&state, step), step) {
            (Some(command), _) => disk.write(&state.apply(command, now).1),
            (None, Step::Wait { seconds }) => {
                now += SECOND * *seconds;
                disk.write(&state.tick(now));
            }
            (None, _) => {}
        }
    }
    (state, disk, now)
}

proptest! {
    #[test]
    fn a_backup_that_is_restored_is_the_state_that_wrote_it(
        before in prop::collection::vec(step(), 0..40),
        after in prop::collection::vec(step(), 0..40),
        again in prop::collection::vec(step(), 0..10),
    ) {
        let (saved, ..) = played(&before);
        let (mut state, mut disk, now) = played(&after);
        let shown: Vec<u64> = all_keys().iter().map(|key| state.index(key)).collect();
        let changes = state.replace(saved.rows(), saved.last_index(), now).unwrap();
        prop_assert_eq!(content(&state), content(&saved));
        let newest = shown.iter().copied().max().unwrap_or(0).max(saved.last_index());
        for key in all_keys() {
            prop_assert!(state.index(&key) > newest, "{:?} is at {}", key, state.index(&key));
        }
        // What is on disk is that, too, and what follows is written as ever.
        disk.write(&changes);
        for step in &again {
            if let Some(command) = command(&state, step) {
                disk.write(&state.apply(command, now).1);
            }
        }
        let back = disk.restore(state.last_index(), now);
        prop_assert_eq!(back.misfits, vec![]);
        prop_assert_eq!(back.state.rows(), state.rows());
    }
}

#[test]
fn the_node_stays_who_it_is_and_probes_of_before_count_no_more() {
    let (mut state, mut disk, now) = begun();
    disk.write(&state.ok(register(spec("web", "w1"), vec![tcp("c")]), now));
    let old = state.probe_order("c").unwrap().generation;
    let saved = state.rows();
    let index = state.last_index();
    let changes = state.replace(saved, index, now).unwrap();
    assert!(changes.probes.contains("c"));
    assert!(state.probe_order("c").unwrap().generation > old);
    let ours = NodeSpec { id: "ours".into(), ..node("home") };
    let mut other = State::new(ours, now);
    other.replace(state.rows(), state.last_index(), now).unwrap();
    assert_eq!(&*other.node("home").unwrap().0.spec.id, "ours");
    assert_eq!(&*other.home_id(), "ours");
}

#[test]
fn rows_that_have_no_place_change_nothing() {
    let (mut state, _, now) = begun();
    state.ok(register(spec("web", "w1"), vec![]), now);
    let (before, index) = (state.rows(), state.last_index());
    let mut rows = before.clone();
    let again =
        rows.iter().find(|(_, row)| row.describe() == "instance \"w1\" of \"web\"").unwrap().1.clone();
    rows.push((RowKey(90), again));
    assert_eq!(state.replace(rows, 1000, now).unwrap_err().len(), 1);
    assert_eq!((state.rows(), state.last_index()), (before, index));
}
