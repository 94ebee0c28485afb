//! Rows as a filter expression sees them.
//!
//! In:  a row, and a path of names. Out: what stands there; `None` for what is not kept, which counts as empty.
//!
//! Never: shows a field otherwise than the body of the same answer does.
//!
//! Rules from Consul 1.21: agent/structs/structs.go (`Node`, `NodeService`, `ServiceNode`, `HealthCheck`).

use portolan::expr::{Subject, Value, any_of_pairs};

use crate::state::{
    Entry,
    rows::{CheckRow, NodeSpec, Pairs, ServiceSpec},
};

type Path<'a> = &'a [Box<str>];
type Test<'a> = &'a dyn Fn(Value<'_>) -> bool;

fn pairs(of: &Pairs, path: Path<'_>, test: Test<'_>) -> bool {
    any_of_pairs(of.len(), &|key| of.get(key).map(|value| &**value), path, test)
}

/// In `/catalog/nodes`.
pub(super) struct Node<'a> {
    pub(super) spec: &'a NodeSpec,
    pub(super) datacenter: &'a str,
}

impl Subject for Node<'_> {
    fn any(&self, path: Path<'_>, test: Test<'_>) -> Option<bool> {
        let (field, rest) = path.split_first()?;
        let of = |map: &Option<Pairs>| map.as_ref().map(|map| pairs(map, rest, test));
        match &**field {
            "ID" => Some(test(Value::Text(&self.spec.id))),
            "Node" => Some(test(Value::Text(&self.spec.name))),
            "Address" => Some(test(Value::Text(&self.spec.address))),
            "Datacenter" => Some(test(Value::Text(self.datacenter))),
            "TaggedAddresses" => of(&self.spec.tagged),
            "Meta" => of(&self.spec.meta),
            _ => None,
        }
    }
}

/// In `/catalog/node-services`, `/agent/services`.
pub(super) struct Service<'a> {
    pub(super) spec: &'a ServiceSpec,
}

impl Subject for Service<'_> {
    fn any(&self, path: Path<'_>, test: Test<'_>) -> Option<bool> {
        let (field, rest) = path.split_first()?;
        self.field(field, rest, test)
    }
}

impl Service<'_> {
    fn field(&self, field: &str, rest: Path<'_>, test: Test<'_>) -> Option<bool> {
        let spec = self.spec;
        let number = |number: u16| Some(test(Value::Int(i64::from(number))));
        match field {
            "ID" => Some(test(Value::Text(&spec.id))),
            "Service" => Some(test(Value::Text(&spec.name))),
            "Address" => Some(test(Value::Text(&spec.address))),
            "Port" => number(spec.port),
            "EnableTagOverride" => Some(test(Value::Bool(spec.enable_tag_override))),
            "Tags" => Some(test(Value::Many(spec.tags.len(), &|wanted| {
                spec.tags.iter().any(|tag| **tag == *wanted)
            }))),
            "Meta" => Some(pairs(&spec.meta, rest, test)),
            "Weights" => match &**rest.first()? {
                "Passing" => number(spec.passing_weight),
                "Warning" => number(spec.warning_weight),
                _ => None,
            },
            "TaggedAddresses" => {
                let Some((key, rest)) = rest.split_first() else {
                    return Some(test(Value::Many(spec.tagged.len(), &|key| spec.tagged.contains_key(key))));
                };
                let Some(tagged) = spec.tagged.get(&**key) else { return Some(test(Value::NoKey)) };
                match &**rest.first()? {
                    "Address" => Some(test(Value::Text(&tagged.address))),
                    "Port" => number(tagged.port),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// In `/catalog/service`: a service and its node in one.
pub(super) struct Flat<'a> {
    pub(super) node: &'a NodeSpec,
    pub(super) service: &'a ServiceSpec,
    pub(super) datacenter: &'a str,
}

impl Subject for Flat<'_> {
    fn any(&self, path: Path<'_>, test: Test<'_>) -> Option<bool> {
        let (field, rest) = path.split_first()?;
        match &**field {
            "ServiceName" => Some(test(Value::Text(&self.service.name))),
            "NodeMeta" => self.node.meta.as_ref().map(|meta| pairs(meta, rest, test)),
            field => match field.strip_prefix("Service") {
                Some(field) => Service { spec: self.service }.field(field, rest, test),
                None => Node { spec: self.node, datacenter: self.datacenter }.any(path, test),
            },
        }
    }
}

/// In `/health/service`.
pub(super) struct Whole<'a> {
    pub(super) entry: &'a Entry,
    pub(super) datacenter: &'a str,
}

impl Subject for Whole<'_> {
    fn any(&self, path: Path<'_>, test: Test<'_>) -> Option<bool> {
        let (group, rest) = path.split_first()?;
        let checks = &self.entry.checks;
        match &**group {
            "Node" => Node { spec: &self.entry.node.spec, datacenter: self.datacenter }.any(rest, test),
            "Service" => Service { spec: &self.entry.service.spec }.any(rest, test),
            "Checks" if rest.is_empty() => Some(test(Value::Many(checks.len(), &|_| false))),
            // Of the fields that are not kept each is the same in every check.
            "Checks" if checks.is_empty() => Some(false),
            "Checks" => checks.iter().try_fold(false, |any, row| {
                Some(any || Check { row, output: &row.facts.output }.any(rest, test)?)
            }),
            _ => None,
        }
    }
}

/// In `/health/checks` and its like, and `/agent/checks` with the newest output.
pub(super) struct Check<'a> {
    pub(super) row: &'a CheckRow,
    pub(super) output: &'a str,
}

impl Subject for Check<'_> {
    fn any(&self, path: Path<'_>, test: Test<'_>) -> Option<bool> {
        let facts = &self.row.facts;
        let of = facts.of.as_ref();
        let text = match &**path.first()? {
            "Node" => &self.row.node,
            "CheckID" => &*facts.id,
            "Name" => &facts.name,
            "Status" => facts.status.as_str(),
            "Notes" => &facts.notes,
            "Output" => self.output,
            "ServiceID" => of.map_or("", |of| &of.id),
            "ServiceName" => of.map_or("", |of| &of.name),
            "Type" => &facts.kind,
            "Interval" => &facts.interval,
            "Timeout" => &facts.timeout,
            "PeerName" => "",
            "ExposedPort" => return Some(test(Value::Int(0))),
            "ServiceTags" => {
                let tags = of.map_or(&[][..], |of| &of.tags);
                return Some(test(Value::Many(tags.len(), &|wanted| {
                    tags.iter().any(|tag| **tag == *wanted)
                })));
            }
            _ => return None,
        };
        Some(test(Value::Text(text)))
    }
}

/// In `/agent/members`: as it is told.
pub(super) struct Member<'a>(pub(super) &'a serde_json::Value);

impl Subject for Member<'_> {
    fn any(&self, path: Path<'_>, test: Test<'_>) -> Option<bool> {
        let (field, rest) = path.split_first()?;
        let value = self.0.get(&**field)?;
        if &**field == "Addr" {
            let address: std::net::IpAddr = value.as_str()?.parse().ok()?;
            let bytes = match address {
                std::net::IpAddr::V4(address) => address.octets().to_vec(),
                std::net::IpAddr::V6(address) => address.octets().to_vec(),
            };
            return Some(test(Value::Many(bytes.len(), &|wanted| {
                bytes.iter().any(|byte| byte.to_string() == wanted)
            })));
        }
        if let Some(tags) = value.as_object() {
            let get = |key: &str| tags.get(key).and_then(serde_json::Value::as_str);
            return Some(any_of_pairs(tags.len(), &get, rest, test));
        }
        match value.as_i64() {
            Some(number) => Some(test(Value::Int(number))),
            None => value.as_str().map(|text| test(Value::Text(text))),
        }
    }
}
