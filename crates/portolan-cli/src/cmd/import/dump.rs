//! What is copied: nodes with their instances and checks, and keys. PURE: values and JSON.
//!
//! In:  JSON of Consul's endpoints, or of a file. Out: the same things in one shape, so that two of them can be compared; one
//! document for a file.
//!
//! Never: keeps what belongs to one registry alone: indexes, its own service, the health of its gossip.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What a document of ours says it is.
const FORMAT: &str = "portolan-export";
const VERSION: u64 = 1;

/// A part of what a registry holds: nodes with instances and checks, or keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    Services,
    Kv,
}

/// A node with what is on it; each in the shape that `/v1/catalog/register` takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Node {
    /// Address, tagged addresses and meta.
    pub(crate) own: Map<String, Value>,
    /// By id.
    pub(crate) instances: BTreeMap<String, Value>,
    /// By id.
    pub(crate) checks: BTreeMap<String, Value>,
}

/// A value under a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Key {
    /// In base64.
    pub(crate) value: String,
    pub(crate) flags: u64,
    /// Of its last change, where it was read from a registry.
    pub(crate) index: u64,
}

/// Everything that is copied.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Dump {
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) keys: BTreeMap<String, Key>,
    left_out: Vec<String>,
}

/// Takes the fields of these names, where they say anything.
fn fields(given: &Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let says = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Bool(true) => true,
    };
    let each = names.iter().filter_map(|name| Some((*name, given.get(*name).filter(|value| says(value))?)));
    each.map(|(name, value)| (name.to_owned(), value.clone())).collect()
}

/// An instance as the catalogue takes it.
fn instance(given: &Map<String, Value>) -> Value {
    let mut told = fields(
        given,
        &[
            "Kind",
            "ID",
            "Service",
            "Tags",
            "Address",
            "TaggedAddresses",
            "Meta",
            "Port",
            "SocketPath",
            "Weights",
            "EnableTagOverride",
            "Locality",
            "Connect",
        ],
    );
    // Every service says something of proxies; what it says means something of a proxy alone.
    if told.contains_key("Kind") {
        told.extend(fields(given, &["Proxy"]));
    }
    // An address of the mesh that gave it.
    if let Some(Value::Object(tagged)) = told.get_mut("TaggedAddresses") {
        tagged.retain(|tag, _| !tag.starts_with("consul-virtual"));
    }
    told.retain(|name, value| name != "TaggedAddresses" || value != &json!({}));
    Value::Object(told)
}

fn text<'a>(given: &'a Map<String, Value>, name: &str) -> &'a str {
    given.get(name).and_then(Value::as_str).unwrap_or_default()
}

impl Dump {
    /// Takes in a node as `/v1/catalog/node/NAME` and `/v1/health/node/NAME` tell it.
    pub(crate) fn add_node(&mut self, name: &str, node: &Value, checks: &Value) {
        let empty = Map::new();
        let checks = checks.as_array().into_iter().flatten().filter_map(Value::as_object);
        let (of_gossip, checks): (Vec<_>, Vec<_>) =
            checks.partition(|check| text(check, "CheckID") == "serfHealth");
        if of_gossip.iter().any(|check| text(check, "Status") != "passing") {
            self.left_out.push(format!("node {name:?} was left out: its agent is down (serfHealth)"));
            return;
        }
        let own = node.get("Node").and_then(Value::as_object).unwrap_or(&empty);
        let mut told = fields(own, &["Address", "TaggedAddresses"]);
        if let Some(meta) = own.get("Meta").and_then(Value::as_object) {
            // A version that belongs to the agent, not to the node.
            let meta = meta.iter().filter(|(key, _)| !key.starts_with("consul-"));
            let meta: Map<String, Value> = meta.map(|(key, value)| (key.clone(), value.clone())).collect();
            if !meta.is_empty() {
                told.insert("NodeMeta".to_owned(), Value::Object(meta));
            }
        }
        let services = node.get("Services").and_then(Value::as_object).unwrap_or(&empty);
        let services = services.values().filter_map(Value::as_object);
        // Each registry has this one of its own.
        let services = services.filter(|service| text(service, "Service") != "consul");
        let instances = services.map(|service| (text(service, "ID").to_owned(), instance(service))).collect();
        let check = |check: &Map<String, Value>| {
            let names = ["CheckID", "Name", "Notes", "Status", "Output", "ServiceID", "Definition"];
            (text(check, "CheckID").to_owned(), Value::Object(fields(check, &names)))
        };
        let checks = checks.into_iter().map(check).collect();
        self.nodes.insert(name.to_owned(), Node { own: told, instances, checks });
    }

    /// Takes in keys as `/v1/kv/?recurse` tells them.
    pub(crate) fn add_keys(&mut self, keys: &Value) {
        for key in keys.as_array().into_iter().flatten().filter_map(Value::as_object) {
            let number = |name: &str| key.get(name).and_then(Value::as_u64).unwrap_or_default();
            let held = Key {
                value: text(key, "Value").to_owned(),
                flags: number("Flags"),
                index: number("ModifyIndex"),
            };
            self.keys.insert(text(key, "Key").to_owned(), held);
        }
    }

    /// The same with this part alone.
    pub(crate) fn only(mut self, part: Option<Part>) -> Self {
        match part {
            Some(Part::Kv) => self.nodes.clear(),
            Some(Part::Services) => self.keys.clear(),
            None => {}
        }
        self
    }

    /// What was left out, and why.
    pub(crate) fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// How many nodes, instances, checks and keys.
    pub(crate) fn counts(&self) -> (usize, usize, usize, usize) {
        let sum = |of: fn(&Node) -> usize| self.nodes.values().map(of).sum();
        (self.nodes.len(), sum(|node| node.instances.len()), sum(|node| node.checks.len()), self.keys.len())
    }

    /// The document; with keys alone the list that Consul's command takes.
    pub(crate) fn json(&self, part: Option<Part>) -> Value {
        let key =
            |(key, held): (&String, &Key)| json!({ "key": key, "flags": held.flags, "value": held.value });
        let keys: Vec<Value> = self.keys.iter().map(key).collect();
        if part == Some(Part::Kv) {
            return Value::Array(keys);
        }
        let node = |(name, node): (&String, &Node)| {
            let mut told = node.own.clone();
            told.insert("Node".to_owned(), Value::from(name.as_str()));
            told.insert("Services".to_owned(), node.instances.values().cloned().collect());
            told.insert("Checks".to_owned(), node.checks.values().cloned().collect());
            Value::Object(told)
        };
        let nodes: Vec<Value> = self.nodes.iter().map(node).collect();
        json!({ "format": FORMAT, "version": VERSION, "nodes": nodes, "kv": keys })
    }

    /// Reads a document, or a list of keys.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let given: Value = serde_json::from_slice(bytes)
            .map_err(|why| format!("is no JSON: {why}; give what `portolan export` wrote"))?;
        let mut dump = Self::default();
        let keys = match &given {
            Value::Array(keys) => keys,
            Value::Object(document) => {
                if document.get("format").and_then(Value::as_str) != Some(FORMAT) {
                    return Err(format!(
                        "format: is not {FORMAT:?}; give what `portolan export` or `consul kv export` wrote"
                    ));
                }
                let version = document.get("version").and_then(Value::as_u64);
                if version != Some(VERSION) {
                    return Err(format!(
                        "version: is not {VERSION}, the one that this portolan knows; use a newer one"
                    ));
                }
                for (place, node) in list(document, "nodes")?.iter().enumerate() {
                    dump.parse_node(node).map_err(|why| format!("nodes[{place}]: {why}"))?;
                }
                list(document, "kv")?
            }
            _ => return Err("is neither a document nor a list of keys".to_owned()),
        };
        for (place, key) in keys.iter().enumerate() {
            dump.parse_key(key).map_err(|why| format!("kv[{place}]: {why}"))?;
        }
        Ok(dump)
    }

    fn parse_node(&mut self, given: &Value) -> Result<(), String> {
        let given = given.as_object().ok_or("is no object")?;
        let name = required(given, "Node")?;
        let by = |field: &str, id: &str| -> Result<BTreeMap<String, Value>, String> {
            let each = |(place, value): (usize, &Value)| {
                let object = value.as_object().ok_or_else(|| format!("{field}[{place}]: is no object"))?;
                let id = required(object, id).map_err(|why| format!("{field}[{place}].{why}"))?;
                Ok((id.to_owned(), value.clone()))
            };
            list(given, field)?.iter().enumerate().map(each).collect()
        };
        let own = fields(given, &["Address", "TaggedAddresses", "NodeMeta"]);
        required(given, "Address")?;
        let node = Node { own, instances: by("Services", "ID")?, checks: by("Checks", "CheckID")? };
        match self.nodes.insert(name.to_owned(), node) {
            None => Ok(()),
            Some(_) => Err(format!("Node: {name:?} stands there twice")),
        }
    }

    fn parse_key(&mut self, given: &Value) -> Result<(), String> {
        let given = given.as_object().ok_or("is no object")?;
        let key = required(given, "key")?;
        let flags = match given.get("flags") {
            None => 0,
            Some(flags) => flags.as_u64().ok_or("flags: is no whole number from 0 on")?,
        };
        let value = match given.get("value") {
            None | Some(Value::Null) => "",
            Some(value) => value.as_str().ok_or("value: is no text; write it in base64")?,
        };
        self.keys.insert(key.to_owned(), Key { value: value.to_owned(), flags, index: 0 });
        Ok(())
    }
}

fn required<'a>(given: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    let found = given.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    found.ok_or_else(|| format!("{name}: is missing, or is no text"))
}

/// A list; nothing is an empty one.
fn list<'a>(given: &'a Map<String, Value>, name: &str) -> Result<&'a [Value], String> {
    match given.get(name) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(format!("{name}: is no list")),
    }
}

#[cfg(test)]
mod tests;
