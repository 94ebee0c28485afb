//! Alias checks follow what they name, in the same command.

use super::*;

fn alias(id: &str, node: Option<&str>, service: Option<&str>) -> CheckSpec {
    CheckSpec::new(id, id, Probe::Alias { node: node.map(Into::into), service: service.map(Into::into) })
}

/// The status and output of the agent's check.
fn shown(state: &State, id: &str) -> (Health, String) {
    let row = state.check("home", id).unwrap();
    (row.facts.status, state.live[id].output.to_string())
}

fn status(state: &State, id: &str) -> Health {
    shown(state, id).0
}

#[test]
fn an_alias_is_as_healthy_as_the_worst_check_of_its_service() {
    use Health::{Critical, Passing, Warning};
    let (mut state, now) = start();
    state.ok(register(spec("front", "f"), vec![alias("a", None, Some("b"))]), now);
    let missing = "Service b could not be found on node ".to_owned();
    assert_eq!(shown(&state, "a"), (Critical, missing.clone()));

    state.ok(register(spec("back", "b"), vec![]), now);
    assert_eq!(shown(&state, "a"), (Passing, "No checks found.".to_owned()));
    state.ok(register(spec("back", "b"), vec![ttl("c1", 10), ttl("c2", 10)]), now);
    assert_eq!(shown(&state, "a"), (Critical, "Aliased check \"c1\" failing: ".to_owned()));
    for (check, reported, follows) in [
        ("c1", Passing, Critical),
        ("c2", Warning, Warning),
        ("c1", Critical, Critical),
        ("c1", Passing, Warning),
        ("c2", Passing, Passing),
    ] {
        state.ok(report(check, reported, "why"), now);
        assert_eq!(status(&state, "a"), follows, "{check} {reported:?}");
    }
    assert_eq!(shown(&state, "a"), (Passing, "All checks passing.".to_owned()));
    let before = state.index(&Key::Service("front".into()));
    // The TTL runs out, and who watches the alias is woken.
    state.tick(now + SECOND * 10);
    assert_eq!(shown(&state, "a").0, Critical);
    assert!(state.index(&Key::Service("front".into())) > before);
    state.ok(Command::DeregisterService { id: "b".into() }, now);
    assert_eq!(shown(&state, "a"), (Critical, missing));
}

#[test]
fn the_checks_of_the_node_count_and_an_alias_may_follow_a_node_alone() {
    use Health::{Critical, Passing};
    let (mut state, now) = start();
    state.ok(register(spec("back", "b"), vec![]), now);
    let aliases = vec![
        alias("of-node", Some("home"), None),
        alias("of-service", Some("home"), Some("b")),
        alias("local", None, Some("b")),
        alias("of-nobody", Some("nowhere"), None),
    ];
    state.ok(register(spec("front", "f"), aliases), now);
    assert_eq!(shown(&state, "of-node"), (Passing, "All checks passing.".to_owned()), "serfHealth is there");
    assert_eq!(shown(&state, "local"), (Passing, "No checks found.".to_owned()));
    assert_eq!(status(&state, "of-nobody"), Critical);
    let check = Command::RegisterCheck { check: Box::new(ttl("disk", 10)), service: None };
    state.ok(check, now);
    for id in ["of-node", "of-service", "local"] {
        assert_eq!(shown(&state, id), (Critical, "Aliased check \"disk\" failing: ".to_owned()), "{id}");
    }
    state.ok(Command::DeregisterCheck { id: "disk".into() }, now);
    for id in ["of-node", "of-service", "local"] {
        assert_eq!(status(&state, id), Passing, "{id}");
    }
}

/// In Consul it is one of the checks that it follows, and stays as it is.
#[test]
fn an_alias_among_the_checks_of_its_node_is_well_again_with_what_it_follows() {
    use Health::{Critical, Passing};
    let (mut state, now) = start();
    state.ok(register(spec("back", "b"), vec![ttl("c", 10)]), now);
    let check = Box::new(alias("of-node", None, Some("b")));
    state.ok(Command::RegisterCheck { check, service: None }, now);
    for (reported, follows) in [(Critical, Critical), (Passing, Passing), (Critical, Critical)] {
        state.ok(report("c", reported, ""), now);
        assert_eq!(status(&state, "of-node"), follows);
    }
}

#[test]
fn aliases_of_aliases_follow_and_a_circle_ends() {
    use Health::{Critical, Passing};
    let (mut state, now) = start();
    // In this order each is first critical, for the next one is not there yet.
    for (id, next) in [("s1", "s2"), ("s2", "s3"), ("s3", "s4")] {
        state.ok(register(spec("chain", id), vec![alias(&format!("a-{id}"), None, Some(next))]), now);
    }
    state.ok(register(spec("chain", "s4"), vec![ttl("end", 10)]), now);
    for (reported, follows) in [(Passing, Passing), (Critical, Critical), (Passing, Passing)] {
        state.ok(report("end", reported, ""), now);
        assert_eq!(status(&state, "a-s1"), follows);
    }
    for (id, next) in [("x", "y"), ("y", "z"), ("z", "x")] {
        state.ok(register(spec("circle", id), vec![alias(&format!("a-{id}"), None, Some(next))]), now);
    }
    assert!(shown(&state, "a-x").1.len() <= OUTPUT_LIMIT + 100);
    // One that follows its own instance never leaves critical, as in Consul.
    state.ok(register(spec("me", "me"), vec![alias("a-me", None, Some("me"))]), now);
    assert_eq!(status(&state, "a-me"), Critical);
}

#[test]
fn an_alias_that_is_defined_anew_follows_the_new_one_and_one_that_went_follows_none() {
    use Health::{Critical, Passing};
    let (mut state, now) = start();
    state.ok(register(spec("well", "w"), vec![]), now);
    state.ok(register(spec("ill", "i"), vec![ttl("c", 10)]), now);
    state.ok(register(spec("front", "f"), vec![alias("a", None, Some("w"))]), now);
    assert_eq!(status(&state, "a"), Passing);
    state.ok(register(spec("front", "f"), vec![alias("a", None, Some("i"))]), now);
    assert_eq!(status(&state, "a"), Critical);
    let index = state.index(&Key::Service("front".into()));
    state.ok(Command::DeregisterService { id: "w".into() }, now);
    assert_eq!(state.index(&Key::Service("front".into())), index, "it follows that one no more");
    state.ok(Command::DeregisterService { id: "f".into() }, now);
    assert!(state.aliases.is_empty());
}
