//! Transactions over keys and the catalogue, a rule a test; and that one that fails changes nothing.

use proptest::prelude::*;

use super::{
    kv::{op as kv_op, valued},
    *,
};
use crate::state::{
    kv::{KvFailed, Verb},
    txn::{Called, CatalogOp, Deed, Op, OpFailed, Shown, Thing},
};

fn on(deed: Deed, thing: Thing, index: u64) -> Op {
    Op::Catalog(CatalogOp { deed, thing, index })
}

fn a_node(name: &str) -> Thing {
    Thing::Node(node(name))
}

fn a_service(node: &str, id: &str) -> Thing {
    Thing::Service { node: node.into(), spec: Box::new(spec("db", id)) }
}

fn a_check(node: &str, id: &str, service: Option<&str>) -> Thing {
    let facts = CheckFacts { id: id.into(), of: None, ..state_check() };
    Thing::Check {
        node: node.into(),
        check: Box::new(CatalogCheck { facts, service: service.map(Text::from) }),
    }
}

fn failed(state: &mut State, ops: Vec<Op>, now: Instant) -> Vec<(usize, OpFailed)> {
    let before = format!("{:?}", state.rows());
    let (reply, changes) = state.apply_txn(ops, now);
    assert_eq!((changes, format!("{:?}", state.rows())), (Changes::default(), before));
    reply.unwrap_err()
}

#[test]
fn each_sees_what_those_before_it_did() {
    let (mut state, now) = start();
    let ops = vec![
        on(Deed::Set, a_node("n"), 0),
        on(Deed::Set, a_service("n", "d1"), 0),
        on(Deed::Cas, a_check("n", "c", Some("d1")), 0),
        Op::Kv(valued(Verb::Set, "k", "v")),
        on(Deed::Get, a_service("n", "d1"), 0),
    ];
    let (reply, changes) = state.apply_txn(ops, now);
    let kinds: Vec<_> = reply
        .unwrap()
        .iter()
        .map(|shown| match shown {
            Shown::Node(_) => "node",
            Shown::Service { .. } => "service",
            Shown::Check(_) => "check",
            Shown::Kv(_) => "kv",
        })
        .collect();
    assert_eq!(kinds, ["node", "service", "check", "kv", "service"]);
    assert!(changes.keys.contains(&key("db")) && changes.keys.contains(&Key::Nodes));
    assert_eq!(state.entries("db", &Narrow::default())[0].checks.len(), 1);
    let at = state.last_index();
    let (reply, _) = state.apply_txn(vec![on(Deed::DeleteCas, a_node("n"), at)], now);
    assert!(reply.unwrap().is_empty() && state.entries("db", &Narrow::default()).is_empty());
}

#[test]
fn what_fails_is_told_by_its_place_and_nothing_is_done() {
    let (mut state, now) = start();
    let (reply, _) =
        state.apply_txn(vec![on(Deed::Set, a_node("n"), 0), on(Deed::Set, a_service("n", "d1"), 0)], now);
    assert!(reply.is_ok());
    let node = || Called::Node("n".into());
    let service = |id: &str| Called::Service("n".into(), id.into());
    let said = failed(
        &mut state,
        vec![
            on(Deed::Set, a_node("other"), 0),
            on(Deed::Cas, a_node("n"), 1),
            Op::Kv(valued(Verb::Set, "k", "v")),
            Op::Kv(kv_op(Verb::Get, "none")),
            on(Deed::Get, a_service("n", "d2"), 0),
            on(Deed::Set, a_service("nowhere", "d1"), 0),
            on(Deed::Set, a_check("n", "c", Some("d2")), 0),
            on(Deed::DeleteCas, a_service("n", "d1"), 1),
        ],
        now,
    );
    assert_eq!(
        said,
        [
            (1, OpFailed::NotSet(node())),
            (3, OpFailed::Kv(KvFailed::Absent("none".into()))),
            (4, OpFailed::Absent(service("d2"))),
            (5, OpFailed::NoNode),
            (6, OpFailed::NoService),
            (7, OpFailed::NotDeleted(service("d1"))),
        ]
    );
    assert!(state.kv("k").is_none());
    // What goes with a node is gone for those behind it.
    let ops = vec![on(Deed::Delete, a_node("n"), 0), on(Deed::Get, a_service("n", "d1"), 0)];
    assert_eq!(failed(&mut state, ops, now), [(1, OpFailed::Absent(service("d1")))]);
}

#[test]
fn the_agents_own_is_left_as_it_is() {
    let (mut state, now) = start();
    state.ok(register(spec("web", "w1"), vec![ttl("c1", 60)]), now);
    let ops = vec![
        on(Deed::Set, Thing::Node(NodeSpec { address: "10.9.9.9".into(), ..node("home") }), 0),
        on(Deed::Delete, a_service("home", "w1"), 0),
        on(Deed::Set, a_check("home", "c1", None), 0),
        on(Deed::Delete, a_node("home"), 0),
    ];
    let before = format!("{:?}", state.rows());
    assert!(state.apply_txn(ops, now).0.is_ok());
    assert_eq!(format!("{:?}", state.rows()), before);
}

fn any_op() -> impl Strategy<Value = (u8, u8, u8, u64)> {
    (0_u8..5, 0_u8..3, 0_u8..3, 0_u64..6)
}

fn made((deed, thing, name, index): (u8, u8, u8, u64)) -> Op {
    let deed = match deed {
        0 => Deed::Get,
        1 => Deed::Set,
        2 => Deed::Cas,
        3 => Deed::Delete,
        _ => Deed::DeleteCas,
    };
    let (node, id) = (["a", "b", "home"][usize::from(name)], ["x", "y", "z"][usize::from(name)]);
    let thing = match thing {
        0 => a_node(node),
        1 => a_service(node, id),
        _ => a_check(node, id, (index > 2).then_some(id)),
    };
    on(deed, thing, index)
}

proptest! {
    /// What was rehearsed is what happens: one that is taken shows a row for each thing that was set or asked for.
    #[test]
    fn one_that_fails_changes_nothing_and_one_that_does_not_shows_all_it_did(
        all in prop::collection::vec(prop::collection::vec(any_op(), 1..5), 1..8)
    ) {
        let (mut state, now) = start();
        for drawn in all {
            let ops: Vec<Op> = drawn.iter().map(|one| made(*one)).collect();
            let shows = drawn.iter().filter(|(deed, ..)| *deed <= 2).count();
            let before = format!("{:?}", state.rows());
            match state.apply_txn(ops, now) {
                (Err(_), changes) => {
                    prop_assert_eq!(changes, Changes::default());
                    prop_assert_eq!(format!("{:?}", state.rows()), before);
                }
                (Ok(shown), _) => prop_assert_eq!(shown.len(), shows),
            }
        }
    }
}
