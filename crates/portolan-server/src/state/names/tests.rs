use super::*;
use crate::state::rows::Probe;
use crate::state::{CatalogEntry, Command, OtherChecks, rows::CheckSpec};
use std::time::Instant;

fn node(name: &str, address: &str) -> NodeSpec {
    NodeSpec { name: name.into(), id: "".into(), address: address.into(), tagged: None, meta: None }
}

fn spec(name: &str, id: &str, address: &str) -> ServiceSpec {
    let tags = Arc::from(["Blue".into(), "Größe".into()]);
    ServiceSpec { address: address.into(), tags, ..ServiceSpec::new(name, id) }
}

fn start() -> (State, Instant) {
    let now = tokio::time::Instant::now().into_std();
    (State::new(node("home", "10.0.0.1"), now), now)
}

impl State {
    fn put(&mut self, on: NodeSpec, service: ServiceSpec, now: Instant) {
        let entry =
            CatalogEntry { node: on, skip_node_update: false, service: Some(service), checks: Vec::new() };
        assert_eq!(self.apply(Command::CatalogRegister(Box::new(entry)), now).0, Ok(()));
    }

    fn ids(&self, service: &str, tag: &str, admit: Admit) -> Vec<String> {
        self.usable(service, tag, admit).iter().map(|one| one.service.spec.id.to_string()).collect()
    }
}

#[test]
fn names_and_tags_are_found_in_any_case() {
    let (mut state, now) = start();
    state.put(node("A", "10.0.0.2"), spec("Web", "w1", ""), now);
    state.put(node("b", "10.0.0.3"), spec("web", "w2", ""), now);
    assert_eq!(state.ids("web", "", Admit::Warning), ["w2", "w1"]);
    assert_eq!(state.ids("web", "größe", Admit::Warning).len(), 2);
    assert_eq!(state.ids("web", "red", Admit::Warning).len(), 0);
    assert_eq!(state.ids("we", "", Admit::Warning).len(), 0);
    assert_eq!(state.node_named("a").map(|row| row.spec.name.to_string()).as_deref(), Some("A"));
    assert!(state.node_named("c").is_none());
    let gone = Command::CatalogDeregister { node: "A".into(), service: None, check: None };
    assert_eq!(state.apply(gone, now).0, Ok(()));
    assert_eq!(state.ids("web", "", Admit::Warning), ["w2"]);
    assert!(state.node_named("a").is_none());
    assert!(state.names.services.is_empty() && state.names.nodes.is_empty(), "nothing is left behind");
}

#[test]
fn who_is_critical_is_not_usable_and_weights_follow_health() {
    let (mut state, now) = start();
    for (id, initial) in [("p", Health::Passing), ("w", Health::Warning), ("c", Health::Critical)] {
        let probe = Probe::Ttl(std::time::Duration::from_secs(60));
        let check = CheckSpec { initial: Some(initial), ..CheckSpec::new(id, id, probe) };
        let service = ServiceSpec { passing_weight: 7, warning_weight: 3, ..spec("web", id, "") };
        let command = Command::RegisterService {
            service: Box::new(service),
            checks: vec![check],
            others: OtherChecks::Keep,
        };
        assert_eq!(state.apply(command, now).0, Ok(()));
    }
    let weights: Vec<u16> = state.usable("web", "", Admit::Warning).iter().map(|one| one.weight).collect();
    assert_eq!(weights, [7, 3]);
    assert_eq!(state.ids("web", "", Admit::Passing), ["p"]);
}

#[test]
fn an_address_is_its_nodes_before_it_is_an_instances() {
    let (mut state, now) = start();
    state.put(node("n2", "10.0.0.2"), spec("web", "w", "10.0.0.9"), now);
    state.put(node("n1", "10.0.0.2"), spec("db", "d", "10.0.0.9"), now);
    let owner = |state: &State, text: &str| state.owner_of(text.parse().unwrap(), |_, _| true);
    assert_eq!(owner(&state, "10.0.0.2"), Some(Owner::Node("n1".into())));
    assert_eq!(owner(&state, "10.0.0.9"), Some(Owner::Service("db".into())));
    assert_eq!(owner(&state, "10.0.0.8"), None);
    let hidden = state.owner_of("10.0.0.2".parse().unwrap(), |_, owner| *owner != Owner::Node("n1".into()));
    assert_eq!(hidden, Some(Owner::Node("n2".into())));
    state.put(node("n1", "10.0.0.7"), spec("db", "d", "host"), now);
    assert_eq!(owner(&state, "10.0.0.9"), Some(Owner::Service("web".into())));
    assert_eq!(owner(&state, "10.0.0.7"), Some(Owner::Node("n1".into())));
    for name in ["n1", "n2"] {
        let gone = Command::CatalogDeregister { node: name.into(), service: None, check: None };
        assert_eq!(state.apply(gone, now).0, Ok(()));
    }
    assert!(state.names.services_at.is_empty());
    assert_eq!(state.names.nodes_at.len(), 1, "the agent's own");
}
