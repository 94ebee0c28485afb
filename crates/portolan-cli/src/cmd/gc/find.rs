//! Which instances are dead, why, and the way each is removed. PURE.
//!
//! In:  instances, and the node of the agent that is asked. Out: the dead ones, as rows and objects.
//!
//! Never: calls an instance dead that is in maintenance, or a node without `serfHealth` (an external one).
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{sync::Arc, time::Duration};

use portolan::{CheckScope, Instance, Status, format_duration};
use serde_json::{Value, json};

use crate::output::table::{Cell, Table};

/// The check by which Consul tells whether a node's agent lives. Consul: agent/structs/structs.go `SerfCheckID`.
const SERF: &str = "serfHealth";

/// A dead instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dead {
    pub(super) instance: Arc<Instance>,
    pub(super) why: Why,
    pub(super) way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    NodeDead,
    CriticalFor(Duration),
}

/// How it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By the agent that holds it.
    Agent,
    /// From the catalogue; its node is dead.
    Catalogue,
    /// From the catalogue, where its agent will put it back.
    PutBack,
}

impl Way {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Catalogue => "catalogue",
            Self::PutBack => "put back?",
        }
    }
}

/// The instance, if its node is dead. `here` is the node of the agent that is asked.
pub(super) fn on_dead_node(instance: &Arc<Instance>, here: &str) -> Option<Dead> {
    node_is_dead(instance).then(|| Dead::new(instance, Why::NodeDead, here))
}

fn node_is_dead(instance: &Instance) -> bool {
    let serf = instance.checks.iter().find(|check| check.scope == CheckScope::Node && *check.id == *SERF);
    // In maintenance is what its operator still wants.
    instance.status != Status::Maintenance && serf.is_some_and(|check| check.status == Status::Critical)
}

/// Whether it is critical by itself, on a node that lives.
pub(super) fn is_critical(instance: &Instance) -> bool {
    instance.status == Status::Critical && !node_is_dead(instance)
}

impl Dead {
    pub(super) fn new(instance: &Arc<Instance>, why: Why, here: &str) -> Self {
        let way = match why {
            _ if *instance.identity.node == *here => Way::Agent,
            Why::NodeDead => Way::Catalogue,
            Why::CriticalFor(_) if instance.checks.iter().any(|check| *check.id == *SERF) => Way::PutBack,
            // An external node: no agent holds it.
            Why::CriticalFor(_) => Way::Catalogue,
        };
        Self { instance: Arc::clone(instance), why, way }
    }

    /// Whether what made it dead is still so.
    pub(super) fn is_still_so(&self, now: &Instance) -> bool {
        match self.why {
            Why::NodeDead => node_is_dead(now),
            Why::CriticalFor(_) => now.status == Status::Critical,
        }
    }

    fn reason(&self) -> String {
        match self.why {
            Why::NodeDead => "node dead".to_owned(),
            Why::CriticalFor(time) => format!("critical for {}", format_duration(time)),
        }
    }

    /// As an object.
    pub(super) fn json(&self) -> Value {
        let Instance { identity, service, .. } = &*self.instance;
        json!({
            "id": &*identity.id,
            "service": &**service,
            "node": &*identity.node,
            "address": self.instance.authority(),
            "why": self.reason(),
            "way": self.way.as_str(),
        })
    }
}

pub(super) fn table(dead: &[Dead], color: bool) -> String {
    let mut table = Table::new(["ID", "SERVICE", "NODE", "ADDRESS", "REMOVED BY", "WHY"]);
    for one in dead {
        let Instance { identity, service, .. } = &*one.instance;
        table.row(vec![
            Cell::new(&identity.id),
            Cell::new(service),
            Cell::new(&identity.node),
            one.instance.authority().into(),
            one.way.as_str().into(),
            Cell::new(one.reason()).ink(Status::Critical),
        ]);
    }
    table.render(color)
}

#[cfg(test)]
mod tests {
    use portolan::{CheckState, Identity};

    use super::*;

    fn instance(node: &str, checks: &[(&str, Status, CheckScope)]) -> Arc<Instance> {
        let one = Instance::new(Identity::new("dc1", node, "web-1"), "web", "10.0.0.1", 80);
        let state =
            |(id, status, scope): &(&str, Status, CheckScope)| CheckState::new(id, "", *status, *scope);
        Arc::new(one.with_checks(checks.iter().map(state).collect()))
    }

    #[test]
    fn dead_is_what_gossip_calls_dead_and_nothing_in_maintenance() {
        use CheckScope::{Node, Service};
        let serf = |status| ("serfHealth", status, Node);
        for (checks, dead, critical) in [
            (vec![serf(Status::Passing)], false, false),
            (vec![serf(Status::Critical)], true, false),
            (vec![serf(Status::Critical), ("c", Status::Passing, Service)], true, false),
            (vec![serf(Status::Passing), ("c", Status::Critical, Service)], false, true),
            // A service's own check of that name is no gossip.
            (vec![("serfHealth", Status::Critical, Service)], false, true),
            // An external node.
            (vec![("ping", Status::Critical, Node)], false, true),
            (
                vec![serf(Status::Critical), ("_service_maintenance:web-1", Status::Critical, Service)],
                false,
                false,
            ),
            (
                vec![("c", Status::Critical, Service), ("_node_maintenance", Status::Critical, Node)],
                false,
                false,
            ),
            (vec![("c", Status::Warning, Service)], false, false),
            (vec![], false, false),
        ] {
            let one = instance("n1", &checks);
            assert_eq!(
                (on_dead_node(&one, "n0").is_some(), is_critical(&one)),
                (dead, critical),
                "{checks:?}"
            );
        }
    }

    #[test]
    fn the_way_of_removal_goes_by_who_holds_it() {
        let serf = |status| ("serfHealth", status, CheckScope::Node);
        let own = ("c", Status::Critical, CheckScope::Service);
        let (alive, external) = (instance("n1", &[serf(Status::Passing), own]), instance("n1", &[own]));
        let time = Why::CriticalFor(Duration::from_secs(600));
        assert_eq!(Dead::new(&alive, time, "n1").way, Way::Agent);
        assert_eq!(Dead::new(&alive, time, "n2").way, Way::PutBack);
        assert_eq!(Dead::new(&external, time, "n2").way, Way::Catalogue);
        let dead = on_dead_node(&instance("n1", &[serf(Status::Critical)]), "n2").unwrap();
        assert_eq!(dead.way, Way::Catalogue);
        assert!(!dead.is_still_so(&alive) && dead.is_still_so(&dead.instance));
        assert!(Dead::new(&alive, time, "n1").is_still_so(&alive));
        assert!(
            table(std::slice::from_ref(&dead), false)
                .ends_with("web-1  web      n1    10.0.0.1:80  catalogue   node dead\n")
        );
        assert_eq!(dead.json()["why"], "node dead");
    }
}
