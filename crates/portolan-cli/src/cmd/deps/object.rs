//! The graph for a program. PURE.
//!
//! Never: renames a key; it is what scripts read.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use portolan::depend::{Edge, Lasts, ServiceAt};
use serde_json::{Value, json};

use super::scope::Scope;

fn names<'a>(all: impl IntoIterator<Item = &'a ServiceAt>) -> Vec<String> {
    all.into_iter().map(ToString::to_string).collect()
}

pub(super) fn object(scope: &Scope<'_>) -> Value {
    let unmet = scope.unmet().map(|(from, one)| {
        json!({
            "service": from.to_string(),
            "need": one.need.to_string(),
            "to": one.to.to_string(),
            "required": one.need.is_required(),
            "lack": one.lack.to_string(),
        })
    });
    let conflicts = scope.conflicts().map(|(at, one)| {
        let sides = one.sides.iter().map(|side| {
            json!({
                "requirement": side.requirement.to_string(),
                "services": names(&side.dependants),
                "served": side.served,
            })
        });
        json!({
            "service": at.to_string(),
            "alive": one.alive.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "sides": sides.collect::<Vec<_>>(),
        })
    });
    let unreadable = scope.unreadable().map(|(at, one)| {
        let by: Vec<&str> = one.by.iter().map(|identity| &*identity.id).collect();
        json!({"service": at.to_string(), "text": &*one.what.text, "why": &*one.what.why, "instances": by})
    });
    json!({
        "services": scope.services.iter().map(|at| service(scope, at)).collect::<Vec<_>>(),
        "unmet": unmet.collect::<Vec<_>>(),
        "conflicts": conflicts.collect::<Vec<_>>(),
        "cycles": scope.cycles().map(names).collect::<Vec<_>>(),
        "unreadable": unreadable.collect::<Vec<_>>(),
        "start_order": scope.stages().into_iter().map(names).collect::<Vec<_>>(),
        "in_order": scope.is_in_order(),
    })
}

fn service(scope: &Scope<'_>, at: &ServiceAt) -> Value {
    let node = scope.graph.node(at);
    let instances = node.map_or(0, |node| node.instances().len());
    let versions: BTreeSet<_> =
        node.into_iter().flat_map(|node| node.instances()).filter_map(|one| one.version.as_ref()).collect();
    let need = |edge: &Edge| {
        let lack = scope.graph.lack(edge).map(|lack| lack.to_string());
        json!({
            "need": edge.need().to_string(),
            "to": edge.to().to_string(),
            "requirement": edge.need().requirement().map(ToString::to_string),
            "least": edge.need().least(),
            "required": edge.need().is_required(),
            "at_start_only": edge.need().lasts() == Lasts::Start,
            "met": lack.is_none(),
            "lack": lack,
            "declared_by": edge.by().len(),
        })
    };
    let needed_by: BTreeSet<&ServiceAt> = scope.graph.needs_of(at).map(|(from, _)| from).collect();
    json!({
        "service": at.to_string(),
        "instances": instances,
        "healthy": node.map_or(0, |node| node.healthy()),
        "versions": versions.into_iter().map(ToString::to_string).collect::<Vec<_>>(),
        "needs": scope.graph.edges(at).iter().map(need).collect::<Vec<_>>(),
        "needed_by": names(needed_by),
    })
}
