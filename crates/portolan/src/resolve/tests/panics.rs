//! When few are healthy, their checks are doubted rather than they.

use super::*;

/// So many passing, critical, in maintenance.
fn fleet(passing: u16, critical: u16, maintenance: u16) -> Snapshot {
    let sick_from = |from: u16, count: u16, status| (from..from + count).map(move |id| sick(id, status));
    let all: Vec<Instance> = (1..=passing)
        .map(instance)
        .chain(sick_from(20, critical, Status::Critical))
        .chain(sick_from(40, maintenance, Status::Maintenance))
        .collect();
    live(&all, &[])
}

#[test]
fn a_share_under_the_bound_is_doubted_where_it_says_something() {
    let below = |percent, among| Panic::Below { percent, among };
    for (passing, critical, maintenance, panic, expected) in [
        (2, 2, 0, Panic::default(), Mark::Ordinary),
        (1, 3, 0, Panic::default(), Mark::Panic),
        (0, 4, 0, Panic::default(), Mark::Panic),
        (1, 2, 0, Panic::default(), Mark::Ordinary), // a share of three
        (2, 2, 9, Panic::default(), Mark::Ordinary), // maintenance is on purpose: no share of it
        (1, 2, 1, Panic::default(), Mark::Ordinary),
        (1, 9, 0, Panic::Off, Mark::Ordinary),
        (1, 9, 0, below(10, 4), Mark::Ordinary),
        (1, 10, 0, below(10, 4), Mark::Panic),
        (9, 1, 0, below(100, 1), Mark::Panic),
    ] {
        let selection = build(&fleet(passing, critical, maintenance), &Select::default().panic(panic));
        let case = format!("{passing} {critical} {maintenance} {panic:?}");
        assert_eq!(selection.quality, expected, "{case}");
        let doubted = expected == Mark::Panic;
        let picked = if doubted { passing + critical } else { passing };
        assert_eq!(selection.endpoints.len(), usize::from(picked), "{case}");
        assert_eq!(selection.picked_anyway.len(), if doubted { usize::from(critical) } else { 0 }, "{case}");
        assert!(selection.endpoints.iter().all(|one| one.status != Status::Maintenance), "{case}");
        assert_eq!(selection.healthy, passing > 0, "{case}");
    }
}

#[test]
fn the_filter_holds_in_a_panic_and_reasons_stay() {
    let mut snapshot = fleet(1, 4, 1);
    let others: Vec<_> = (60..80).map(|id| Arc::new(instance(id).with_tags(["green"]))).collect();
    let blue = snapshot.instances.iter().map(|one| Arc::new((**one).clone().with_tags(["blue"])));
    snapshot.instances = blue.chain(others).collect();
    let selection = build(&snapshot, &Select::default().tag("blue"));
    assert_eq!((selection.quality, selection.endpoints.len()), (Mark::Panic, 5));
    assert_eq!(selection.left_out.len(), 21, "those with another tag, and the one in maintenance");
    let reasons = selection.picked_anyway.iter().map(|one| one.why.to_string());
    assert!(reasons.into_iter().all(|why| why == "critical by check \"service:web\""));
}

#[test]
fn no_status_takes_weight_away_in_a_panic() {
    let weights = |passing| Weights { passing, warning: 0 };
    let sick = |id, passing| sick(id, Status::Critical).with_weights(weights(passing));
    let all = [instance(1).with_weights(weights(5)), sick(2, 5), sick(3, 5), sick(4, 0)];
    let selection = build(&live(&all, &[]), &Select::default());
    assert_eq!((usable(&selection), selection.quality), (vec![1, 2, 3], Mark::Panic));
    assert_eq!(selection.left_out[0].why, Exclusion::WeightZero);
    assert_eq!(selection.picked_anyway.len(), 2, "what gets no share is not picked anyway");
}

#[test]
fn held_instances_wait_until_a_panic_has_nobody_either() {
    let all = fleet(0, 4, 0);
    let with_held = Snapshot { held: [Arc::new(instance(9))].into(), ..all };
    let selection = build(&with_held, &Select::default());
    assert_eq!((selection.quality, selection.endpoints.len()), (Mark::Panic, 4));
    assert_eq!(selection.left_out[0].why, Exclusion::Held);
    let off = build(&with_held, &Select::default().panic(Panic::Off));
    assert_eq!((usable(&off), off.quality), (vec![9], Mark::Held));
}

#[tokio::test(start_paused = true)]
async fn a_pick_says_that_it_is_one_of_a_panic() {
    let (_writer, resolver, _tasks) = resolver(fleet(1, 3, 0));
    assert_eq!(resolver.pick().unwrap().mark(), Mark::Panic);
    let known = resolver.explain();
    assert_eq!((known.mark, known.usable.len(), known.picked_anyway.len()), (Mark::Panic, 4, 3));
}
