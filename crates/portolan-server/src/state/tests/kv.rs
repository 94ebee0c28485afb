//! Keys and sessions, a rule a test.

use super::*;
use crate::state::{
    kv::{KvFailed, KvOp, Verb},
    sessions::{
        SessionCommand,
        rows::{Behavior, SessionSpec},
    },
};

pub(super) fn op(verb: Verb, key: &str) -> KvOp {
    KvOp::new(verb, key)
}

pub(super) fn valued(verb: Verb, key: &str, value: &str) -> KvOp {
    KvOp { value: Arc::from(value.as_bytes()), ..op(verb, key) }
}

pub(super) fn of_session(verb: Verb, key: &str, session: &str) -> KvOp {
    KvOp { session: session.into(), ..valued(verb, key, "v") }
}

pub(super) fn session(id: &str) -> SessionSpec {
    SessionSpec {
        id: id.into(),
        name: "".into(),
        node: "home".into(),
        lock_delay: SECOND * 15,
        behavior: Behavior::Release,
        ttl_text: "".into(),
        ttl: None,
        node_checks: Some(vec!["serfHealth".into()]),
        service_checks: None,
        checks: Vec::new(),
    }
}

pub(super) fn open(spec: SessionSpec) -> Command {
    Command::Session(SessionCommand::Create(Box::new(spec)))
}

fn end(id: &str) -> Command {
    Command::Session(SessionCommand::Destroy { id: id.into() })
}

impl State {
    /// Whether it was done, and what changed.
    fn kv_one(&mut self, op: KvOp, now: Instant) -> (Result<(), KvFailed>, Changes) {
        let (reply, changes) = self.apply_kv(&[op], now);
        (reply.map(drop).map_err(|failed| failed.into_iter().next().unwrap().1), changes)
    }

    fn done(&mut self, op: KvOp, now: Instant) -> bool {
        self.kv_one(op, now).0.is_ok()
    }

    fn holder(&self, key: &str) -> Option<Text> {
        self.kv(key).unwrap().session.clone()
    }
}

#[test]
fn what_is_compared_is_the_last_change() {
    let (mut state, now) = start();
    let cas = |index| KvOp { index, ..valued(Verb::Cas, "a", "x") };
    assert!(!state.done(cas(5), now), "there is nothing to compare with");
    assert!(state.done(cas(0), now));
    assert!(!state.done(cas(0), now), "it is there");
    assert!(state.done(valued(Verb::Set, "a", "y"), now));
    let row = state.kv("a").unwrap();
    assert!(row.create < row.modify);
    assert!(!state.done(cas(row.create), now), "its creation is not its last change");
    assert!(state.done(cas(row.modify), now));

    let remove = |index| KvOp { index, ..op(Verb::DeleteCas, "a") };
    assert!(!state.done(remove(row.modify), now));
    assert!(state.done(remove(state.kv("a").unwrap().modify), now));
    assert!(state.done(remove(7), now), "what is not there is gone");
}

#[test]
fn a_write_that_changes_nothing_wakes_nobody() {
    let (mut state, now) = start();
    assert!(state.done(valued(Verb::Set, "a", "x"), now));
    let index = state.index(&Key::Kv("a".into()));
    let (reply, changes) = state.kv_one(valued(Verb::Set, "a", "x"), now);
    assert_eq!((reply, changes), (Ok(()), Changes::default()));
    assert_eq!(state.index(&Key::Kv("a".into())), index);
}

#[test]
fn a_removed_key_moves_the_index_of_what_it_was_below_and_of_nothing_else() {
    let (mut state, now) = start();
    for key in ["a/1", "a/2", "b/1"] {
        assert!(state.done(valued(Verb::Set, key, "x"), now));
    }
    let index = |state: &State, prefix: &str| state.index(&Key::KvBelow(prefix.into()));
    let (a, b) = (index(&state, "a/"), index(&state, "b/"));
    assert!(a < b);
    assert!(state.done(op(Verb::Delete, "a/1"), now));
    assert!(index(&state, "a/") > b, "or its watchers would not learn of it");
    assert_eq!(index(&state, "b/"), b);
    assert!(state.done(op(Verb::DeleteTree, "a/"), now));
    let gone = index(&state, "a/");
    assert!(state.done(valued(Verb::Set, "b/1", "y"), now));
    assert_eq!(index(&state, "a/"), gone, "its mark stays");
    assert!(index(&state, "none/") > gone, "where nothing ever was, any change counts");
}

#[test]
fn a_key_is_held_by_one_and_counts_how_often_it_was_taken() {
    let (mut state, now) = start();
    state.ok(open(session("s1")), now);
    state.ok(open(session("s2")), now);
    let lock = |id: &str| of_session(Verb::Lock, "a", id);
    let unlock = |id: &str| of_session(Verb::Unlock, "a", id);
    assert_eq!(state.kv_one(lock("none"), now).0, Err(KvFailed::InvalidSession("none".into())));
    assert_eq!(state.kv_one(lock(""), now).0, Err(KvFailed::MissingSession));
    assert!(state.done(lock("s1"), now) && state.done(lock("s1"), now));
    assert_eq!(state.kv_one(lock("s2"), now).0, Err(KvFailed::Held("a".into())));
    assert_eq!(state.kv_one(unlock("s2"), now).0, Err(KvFailed::NotHeld("a".into())));
    assert!(state.done(unlock("s1"), now) && state.done(lock("s2"), now));
    assert_eq!(state.kv("a").unwrap().lock_index, 2);
    assert!(state.done(valued(Verb::Set, "a", "other"), now), "anyone may write");
    assert_eq!((state.holder("a"), state.kv("a").unwrap().lock_index), (Some("s2".into()), 0));
}

#[test]
fn the_end_of_a_session_frees_its_keys_for_whoever_comes_after_the_delay() {
    let (mut state, now) = start();
    state.ok(open(session("s1")), now);
    state.ok(open(session("s2")), now);
    assert!(state.done(of_session(Verb::Lock, "a", "s1"), now));
    let changes = state.ok(end("s1"), now);
    assert!(changes.keys.contains(&Key::Kv("a".into())), "{changes:?}");
    assert_eq!(state.holder("a"), None);
    let lock = || of_session(Verb::Lock, "a", "s2");
    assert_eq!(state.kv_one(lock(), now + SECOND * 14).0, Err(KvFailed::Delayed("a".into())));
    assert!(state.done(lock(), now + SECOND * 15));

    let spec = SessionSpec { behavior: Behavior::Delete, lock_delay: Duration::ZERO, ..session("s3") };
    state.ok(open(spec), now);
    assert!(state.done(of_session(Verb::Lock, "b", "s3"), now));
    state.ok(end("s3"), now);
    assert!(state.kv("b").is_none());
    assert!(state.done(of_session(Verb::Lock, "b", "s2"), now), "it had no delay");
}

#[test]
fn a_session_lasts_twice_its_ttl_unless_it_is_renewed() {
    let (mut state, now) = start();
    state.ok(open(SessionSpec { ttl: Some(SECOND * 10), ..session("s1") }), now);
    assert!(state.done(of_session(Verb::Lock, "a", "s1"), now));
    let renewed = now + SECOND * 19;
    state.tick(renewed);
    let changes = state.ok(Command::Session(SessionCommand::Renew { id: "s1".into() }), renewed);
    assert_eq!(changes, Changes::default());
    assert_eq!(state.next_deadline(), Some(renewed + SECOND * 20));
    state.tick(renewed + SECOND * 19);
    assert!(state.session("s1").is_some());
    let changes = state.tick(renewed + SECOND * 20);
    assert!(changes.keys.contains(&Key::Sessions) && state.session("s1").is_none());
    assert_eq!((state.holder("a"), state.next_deadline()), (None, None));
}

#[test]
fn a_session_ends_with_a_check_that_it_depends_on() {
    let with = |id: &str| SessionSpec { node_checks: Some(vec![]), checks: vec!["c".into()], ..session(id) };
    let ends: [fn(&mut State, Instant); 4] = [
        |state, now| drop(state.ok(report("c", Health::Critical, ""), now)),
        |state, now| drop(state.ok(Command::DeregisterCheck { id: "c".into() }, now)),
        |state, now| drop(state.ok(Command::DeregisterService { id: "w1".into() }, now)),
        |state, now| drop(state.tick(now + SECOND * 30)),
    ];
    for end in ends {
        let (mut state, now) = start();
        assert!(state.apply(open(with("s0")), now).0.is_err(), "there is no such check");
        state.ok(register(spec("web", "w1"), vec![ttl("c", 30)]), now);
        assert!(state.apply(open(with("s0")), now).0.is_err(), "it is critical");
        state.ok(report("c", Health::Warning, ""), now);
        state.ok(open(with("s1")), now);
        assert!(state.done(of_session(Verb::Lock, "a", "s1"), now));
        end(&mut state, now);
        assert!(state.session("s1").is_none());
        assert_eq!(state.holder("a"), None);
    }
}

#[test]
fn a_session_ends_with_its_node() {
    let (mut state, now) = start();
    state.ok(external("far", None, vec![]), now);
    let of_far = SessionSpec { node: "far".into(), node_checks: None, ..session("s1") };
    state.ok(open(of_far), now);
    assert_eq!(state.session_list(Some("far")).len(), 1);
    state.ok(Command::CatalogDeregister { node: "far".into(), service: None, check: None }, now);
    assert!(state.session("s1").is_none() && state.session_list(None).is_empty());
}

#[test]
fn a_transaction_is_done_whole_or_not_at_all() {
    let (mut state, now) = start();
    assert!(state.done(valued(Verb::Set, "a", "old"), now));
    state.ok(open(session("s1")), now);
    let before = (state.rows(), state.last_index());
    let ops = [
        valued(Verb::Set, "a", "new"),
        of_session(Verb::Lock, "b", "s1"),
        op(Verb::DeleteTree, ""),
        op(Verb::Get, "a"),
        op(Verb::CheckNotExists, "a"),
    ];
    let (reply, changes) = state.apply_kv(&ops, now);
    assert_eq!(reply, Err(vec![(3, KvFailed::Absent("a".into()))]));
    assert_eq!(changes, Changes::default());
    assert_eq!((state.rows(), state.last_index()), before);
    assert_eq!(state.index(&Key::KvBelow("a".into())), state.kv("a").unwrap().modify);

    let (reply, changes) = state.apply_kv(&ops[..3], now);
    assert_eq!(reply.unwrap().len(), 2, "a removal shows nothing");
    assert!(state.kv_below("").is_empty());
    assert_eq!(changes.keys, BTreeSet::from([Key::Kv("a".into()), Key::Kv("b".into())]));
    state.ok(end("s1"), now);
}

#[test]
fn a_removed_tree_is_not_hidden_by_an_older_mark_below_it() {
    let (mut state, now) = start();
    for key in ["a/b/1", "a/b/2"] {
        assert!(state.done(valued(Verb::Set, key, "x"), now));
    }
    assert!(state.done(op(Verb::Delete, "a/b/1"), now));
    assert!(state.done(valued(Verb::Set, "a/b/2", "y"), now));
    for tree in ["a/", ""] {
        assert!(state.done(valued(Verb::Set, "a/b/2", tree), now));
        let before = state.index(&Key::KvBelow("a/b/".into()));
        assert!(state.done(op(Verb::DeleteTree, tree), now));
        assert!(state.index(&Key::KvBelow("a/b/".into())) > before);
    }
}

#[test]
fn a_restart_keeps_sessions_and_what_they_hold_and_frees_what_nobody_holds() {
    let (mut state, now) = start();
    state.ok(open(SessionSpec { ttl: Some(SECOND * 10), ..session("s1") }), now);
    assert!(state.done(of_session(Verb::Lock, "a", "s1"), now));
    let rows = state.rows();
    let later = now + SECOND * 100;
    let restored = State::restore(rows.clone(), 500, node("called-otherwise"), later);
    assert_eq!(restored.misfits, []);
    let mut state = restored.state;
    assert_eq!((state.holder("a"), state.index(&Key::Kv("a".into()))), (Some("s1".into()), 500));
    assert_eq!(&*state.session("s1").unwrap().spec.node, "called-otherwise");
    assert_eq!(state.next_deadline(), Some(later + SECOND * 20), "its TTL counts anew");
    state.tick(later + SECOND * 20);
    assert_eq!(state.holder("a"), None);

    let lost = rows.into_iter().filter(|(_, kept)| !matches!(kept, Kept::Session { .. }));
    let restored = State::restore(lost, 500, node("home"), later);
    assert_eq!(restored.misfits, []);
    assert_eq!(restored.state.holder("a"), None, "the value is there, and free");
    assert!(restored.changes.rows.iter().any(|(_, kept)| matches!(kept, Some(Kept::Kv(_)))));
}
