//! Instances as a table and as JSON. PURE.
//!
//! In:  instances, in any order. Out: the same in the order of node and id, so that two runs can be compared.
//!
//! Never: renames a key of the JSON; it is what scripts read.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use portolan::{CheckScope, Instance};
use serde_json::{Value, json};

use super::table::{Cell, Table};

/// The zone, or nothing.
pub(crate) fn zone(one: &Instance) -> String {
    one.zone.as_deref().unwrap_or_default().to_owned()
}

/// The version, or nothing.
pub(crate) fn version(one: &Instance) -> String {
    one.version.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// A row each.
pub(crate) fn table(instances: &[&Instance], color: bool) -> String {
    let mut table = Table::new(["ID", "ADDRESS", "NODE", "ZONE", "VERSION", "STATUS", "WEIGHT", "TAGS"]);
    for one in instances {
        table.row(vec![
            Cell::new(&one.identity.id),
            one.authority().into(),
            Cell::new(&one.identity.node),
            zone(one).into(),
            version(one).into(),
            Cell::new(one.status.as_str()).ink(one.status),
            one.weight().to_string().into(),
            one.tags.join(",").into(),
        ]);
    }
    table.render(color)
}

/// An instance as an object.
pub(crate) fn json(one: &Instance) -> Value {
    let checks: Vec<Value> = one
        .checks
        .iter()
        .map(|check| {
            let scope = match check.scope {
                CheckScope::Node => "node",
                CheckScope::Service => "service",
            };
            let mut object = json!({
                "id": &*check.id, "name": &*check.name, "status": check.status.as_str(), "scope": scope,
            });
            if let (false, Some(fields)) = (check.output.is_empty(), object.as_object_mut()) {
                fields.insert("output".to_owned(), json!(&*check.output));
            }
            object
        })
        .collect();
    let meta: serde_json::Map<String, Value> =
        one.meta.iter().map(|(key, value)| (key.to_string(), json!(&**value))).collect();
    let tags: Vec<&str> = one.tags.iter().map(AsRef::as_ref).collect();
    json!({
        "id": &*one.identity.id,
        "service": &*one.service,
        "node": &*one.identity.node,
        "datacenter": &*one.identity.datacenter,
        "address": &*one.address,
        "port": one.port,
        "zone": one.zone.as_deref(),
        "region": one.region.as_deref(),
        "version": one.version.as_ref().map(ToString::to_string),
        "status": one.status.as_str(),
        "weight": one.weight(),
        "tags": tags,
        "meta": meta,
        "checks": checks,
    })
}

#[cfg(test)]
mod tests {
    use portolan::{CheckState, Identity, Status};

    use super::*;

    #[test]
    fn a_row_and_an_object_tell_the_same() {
        let check = CheckState::new("service:web-1", "http", Status::Critical, CheckScope::Service)
            .output("HTTP GET: 500");
        let one = Instance::new(Identity::new("dc1", "n1", "web-1"), "web", "::1", 80)
            .with_meta([("version", "1.0")])
            .with_checks(vec![check]);
        assert_eq!(
            table(&[&one], false),
            "ID     ADDRESS   NODE  ZONE  VERSION  STATUS    WEIGHT  TAGS\n\
             web-1  [::1]:80  n1    -     1.0.0    critical  0       -\n"
        );
        assert_eq!(
            json(&one),
            json!({
                "id": "web-1", "service": "web", "node": "n1", "datacenter": "dc1", "address": "::1", "port": 80,
                "zone": null, "region": null, "version": "1.0.0", "status": "critical", "weight": 0, "tags": [],
                "meta": {"version": "1.0"},
                "checks": [{"id": "service:web-1", "name": "http", "status": "critical", "scope": "service",
                            "output": "HTTP GET: 500"}],
            })
        );
    }
}
