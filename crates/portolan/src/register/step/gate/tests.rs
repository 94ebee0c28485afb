//! A row for each rule; the machine's own tests show it in its place.

use super::*;

#[test]
fn it_is_lifted_once_and_tried_until_it_is_done() {
    let now = tokio::time::Instant::now().into_std();
    let mut open = Gate::Open;
    open.announce(now);
    open.lifted(false, now, 0);
    assert_eq!((open, open.deadline(), open.take(now)), (Gate::Open, None, false));

    let mut gate = Gate::Shut;
    assert!(gate.is_shut() && !gate.take(now));
    gate.announce(now);
    assert!(!gate.is_shut());
    assert_eq!(gate.deadline(), Some(now));
    assert!(gate.take(now) && !gate.take(now), "one call at a time");
    assert_eq!(gate.deadline(), None);
    gate.announce(now);
    let mut rests = Vec::new();
    let mut at = now;
    for _ in 0..8 {
        gate.lifted(false, at, u64::MAX / 2);
        let due = gate.deadline().unwrap();
        rests.push(due.duration_since(at).as_millis());
        assert!(!gate.take(at) && gate.take(due));
        at = due;
    }
    assert_eq!(rests, [187, 312, 562, 1_062, 2_062, 2_562, 2_562, 2_562]);
    gate.restarted();
    assert!(gate.take(at), "a call that was lost is made again");
    gate.lifted(true, at, 0);
    assert_eq!(gate, Gate::Open);
}
