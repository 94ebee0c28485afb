//! An instance as a filter expression sees it. PURE.
//!
//! In:  an instance, and a path in [`Shape::Instances`](super::Shape::Instances). Out: what stands there.
//!
//! Never: shows a check in maintenance otherwise than Consul does: critical.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use super::matcher::{Subject, Value, any_of_pairs};
use crate::model::{CheckState, Instance, Status};

impl Subject for Instance {
    fn any(&self, path: &[Box<str>], test: &dyn Fn(Value<'_>) -> bool) -> Option<bool> {
        let (group, path) = path.split_first()?;
        let number = |number: u16| test(Value::Int(i64::from(number)));
        let Some((field, rest)) = path.split_first() else {
            return (**group == *"Checks").then(|| test(Value::Many(self.checks.len(), &|_| false)));
        };
        Some(match (&**group, &**field) {
            ("Node", "Node") => test(Value::Text(&self.identity.node)),
            ("Node", "Datacenter") => test(Value::Text(&self.identity.datacenter)),
            ("Service", "ID") => test(Value::Text(&self.identity.id)),
            ("Service", "Service") => test(Value::Text(&self.service)),
            ("Service", "Address") => test(Value::Text(&self.address)),
            ("Service", "Port") => number(self.port),
            ("Service", "Tags") => {
                test(Value::Many(self.tags.len(), &|wanted| self.tags.iter().any(|tag| **tag == *wanted)))
            }
            ("Service", "Meta") => {
                let get = |key: &str| self.meta.get(key).map(|value| &**value);
                any_of_pairs(self.meta.len(), &get, rest, test)
            }
            ("Service", "Weights") => number(match rest.first().map(|name| &**name) {
                Some("Passing") => self.weights.passing,
                Some("Warning") => self.weights.warning,
                _ => return None,
            }),
            ("Checks", name) => self.checks.iter().any(|check| field_of_check(check, name, test)),
            _ => return None,
        })
    }
}

fn field_of_check(check: &CheckState, name: &str, test: &dyn Fn(Value<'_>) -> bool) -> bool {
    match name {
        "CheckID" => test(Value::Text(&check.id)),
        "Name" => test(Value::Text(&check.name)),
        "Status" => test(Value::Text(match check.status {
            Status::Maintenance => Status::Critical.as_str(),
            status => status.as_str(),
        })),
        _ => false,
    }
}
