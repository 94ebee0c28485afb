//! Prepared queries: their names, what they find, what ends them.

use super::{
    kv::{open, session},
    *,
};
use crate::state::{
    prepared::{
        QueryCommand, QueryRefused,
        rows::{Failover, QuerySpec, Template, Wanted},
    },
    sessions::SessionCommand,
};

fn query(id: &str, name: &str) -> QuerySpec {
    let wanted = Wanted {
        service: "web".into(),
        failover: Failover::default(),
        only_passing: false,
        ignore_checks: None,
        near: "".into(),
        tags: None,
        node_meta: None,
        service_meta: None,
        connect: false,
    };
    let (id, name, session, ttl) = (id.into(), name.into(), "".into(), "".into());
    QuerySpec { id, name, session, token: None, template: None, wanted, ttl }
}

fn template(id: &str, name: &str) -> QuerySpec {
    let template = Template { regexp: "".into(), remove_empty_tags: false };
    let wanted = Wanted { service: "${name.suffix}".into(), ..query(id, name).wanted };
    QuerySpec { template: Some(template), wanted, ..query(id, name) }
}

fn put(spec: QuerySpec) -> Command {
    Command::Query(QueryCommand::Put(Box::new(spec)))
}

fn asked(state: &State, name: &str) -> Option<(String, String)> {
    let (row, spec) = state.query_for(name)?;
    Some((row.spec.id.to_string(), spec.wanted.service.to_string()))
}

#[test]
fn an_id_comes_before_a_name_and_a_name_before_the_longest_beginning() {
    let (mut state, now) = start();
    for spec in [query("i1", "One"), template("i2", ""), template("i3", "geo-"), template("i4", "geo-x-")] {
        state.ok(put(spec), now);
    }
    for (name, id, service) in [
        ("i1", "i1", "web"),
        ("one", "i1", "web"),
        ("ONE", "i1", "web"),
        ("on", "i2", "on"),
        ("geo-db", "i3", "db"),
        ("geo-x-db", "i4", "db"),
        ("Geo-X-db", "i4", "Geo-X-db"),
        ("", "i2", ""),
    ] {
        assert_eq!(asked(&state, name), Some((id.to_owned(), service.to_owned())), "{name:?}");
    }
    state.ok(Command::Query(QueryCommand::Remove { id: "i2".into() }), now);
    assert_eq!(asked(&state, "on"), None);
}

#[test]
fn a_name_is_anothers_once_it_was_given_up() {
    let (mut state, now) = start();
    state.ok(put(query("i1", "one")), now);
    state.ok(put(template("i2", "")), now);
    for (spec, refused) in [
        (query("i3", "ONE"), QueryRefused::NameTaken("ONE".into())),
        (template("i3", "one"), QueryRefused::NameTaken("one".into())),
        (template("i3", ""), QueryRefused::WildTaken),
        (query("i3", "i1"), QueryRefused::NameIsId("i1".into())),
        (QuerySpec { session: "s".into(), ..query("i3", "x") }, QueryRefused::NoSession("s".into())),
    ] {
        let (reply, changes) = state.apply(put(spec), now);
        assert_eq!(reply, Err(Refused::Query(refused)));
        assert_eq!(changes, Changes::default());
    }
    let before = state.index(&Key::Queries);
    state.ok(put(query("i1", "two")), now);
    assert!(state.index(&Key::Queries) > before);
    state.ok(put(query("i3", "one")), now);
    assert_eq!(asked(&state, "one").unwrap().0, "i3");
}

#[test]
fn what_is_critical_is_not_found_and_checks_can_be_passed_over() {
    let (mut state, now) = start();
    state.ok(register(spec("web", "w1"), vec![ttl("c1", 60)]), now);
    state.ok(register(spec("web", "w2"), vec![ttl("c2", 60)]), now);
    state.ok(report("c1", Health::Warning, ""), now);
    let found = |state: &State, change: fn(&mut Wanted)| {
        let mut wanted = query("", "").wanted;
        change(&mut wanted);
        let ids = state.query_entries(&wanted).into_iter().map(|entry| entry.service.spec.id.to_string());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(found(&state, |_| {}), ["w1"]);
    assert_eq!(found(&state, |wanted| wanted.only_passing = true), [""; 0]);
    assert_eq!(found(&state, |wanted| wanted.ignore_checks = Some(vec!["c2".into()])), ["w1", "w2"]);
    assert_eq!(found(&state, |wanted| wanted.tags = Some(vec!["blue".into()])), ["w1"]);
    assert_eq!(found(&state, |wanted| wanted.tags = Some(vec!["!BLUE".into()])), [""; 0]);
    assert_eq!(found(&state, |wanted| wanted.tags = Some(vec!["!red".into()])), ["w1"]);
    let meta = |wanted: &mut Wanted| wanted.service_meta = Some(Pairs::from([("a".into(), "b".into())]));
    assert_eq!(found(&state, meta), [""; 0]);
}

#[test]
fn a_query_goes_with_its_session_and_stays_over_a_restart() {
    let (mut state, now) = start();
    state.ok(open(session("s1")), now);
    state.ok(put(QuerySpec { session: "s1".into(), ..query("i1", "") }), now);
    state.ok(put(template("i2", "geo-")), now);
    let restored = State::restore(state.rows(), state.last_index(), node("home"), now);
    assert!(restored.misfits.is_empty(), "{:?}", restored.misfits);
    assert_eq!(restored.state.query_list(), state.query_list());
    assert_eq!(asked(&restored.state, "geo-db").unwrap().1, "db");
    let changes = state.ok(Command::Session(SessionCommand::Destroy { id: "s1".into() }), now);
    assert!(changes.keys.contains(&Key::Queries));
    assert_eq!(state.query_list().len(), 1);
}
