//! What tells two answers apart, without what is another on each registry and at each run.

use serde_json::Value;

use crate::ask::Reply;

/// One thing that differs.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    /// `status`, `header NAME`, `text`, `layout`, or `body POINTER`.
    pub(crate) place: String,
    pub(crate) ours: String,
    pub(crate) theirs: String,
}

/// Headers that clients read. The rest is HTTP's own.
const HEADERS: [&str; 18] = [
    "x-consul-index",
    "x-consul-knownleader",
    "x-consul-lastcontact",
    "x-consul-effective-consistency",
    "x-consul-contenthash",
    "x-consul-translate-addresses",
    "x-consul-results-filtered-by-acls",
    "x-consul-default-acl-policy",
    "x-consul-query-backend",
    "x-consul-reason",
    "x-cache",
    "age",
    "cache-control",
    "vary",
    "allow",
    "location",
    "content-type",
    "x-content-type-options",
];

/// Fields whose values are another on each.
const FIELDS: [&str; 12] = [
    "Index",
    "LastIndex",
    "LastTerm",
    "StableSince",
    "CreateIndex",
    "ModifyIndex",
    "ContentHash",
    "consul-version",
    "NodeID",
    "Revision",
    "BuildDate",
    "build",
];

/// The id of the one node that the requests give one.
const GIVEN: &str = "40e4a748-2192-161a-0510-9bf59fe950b5";

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().filter(|byte| *byte == b'-').count() == 4 && text != GIVEN
}

fn header(reply: &Reply, name: &str) -> String {
    let Some(value) = reply.headers.get(name) else { return "absent".to_owned() };
    match name {
        // A number, and never 0.
        "x-consul-index" => match value.parse::<u64>() {
            Ok(index) if index > 0 => "an index".to_owned(),
            _ => value.clone(),
        },
        "x-consul-contenthash" => format!("{} letters", value.len()),
        "age" => value.parse::<u64>().map_or_else(|_| value.clone(), |_| "seconds".to_owned()),
        _ => value.clone(),
    }
}

fn masked(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            // A key that is the id of a node.
            if let Some(id) = fields.keys().find(|name| is_uuid(name)).cloned() {
                let field = fields.remove(&id).unwrap_or_default();
                fields.insert("an id".to_owned(), field);
            }
            for (name, field) in fields {
                if FIELDS.contains(&name.as_str()) {
                    // A missing field, or one of another type, still differs.
                    *field = match &mut *field {
                        Value::Number(_) => Value::from(1),
                        Value::String(_) => Value::from("masked"),
                        other => other.take(),
                    };
                } else {
                    masked(field);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(masked),
        Value::String(text) if is_uuid(text) => *value = Value::from("an id"),
        _ => {}
    }
}

/// The tags of a service in `/catalog/services` come in any order.
fn sorted(value: &mut Value) {
    for tags in value.as_object_mut().into_iter().flatten().filter_map(|(_, tags)| tags.as_array_mut()) {
        tags.sort_by_key(Value::to_string);
    }
}

/// The instances in `/agent/health`, and the checks of each, too.
fn sorted_checks(value: &mut Value) {
    match value {
        Value::Array(all) => {
            all.iter_mut().for_each(sorted_checks);
            all.sort_by_key(|one| one.pointer("/Service/ID").map(Value::to_string));
        }
        Value::Object(fields) => {
            if let Some(checks) = fields.get_mut("Checks").and_then(Value::as_array_mut) {
                checks.sort_by_key(|check| check.get("CheckID").map(Value::to_string));
            }
        }
        _ => {}
    }
}

fn json(path: &str, reply: &Reply) -> Option<Value> {
    let mut value = serde_json::from_str(&reply.body).ok()?;
    masked(&mut value);
    if path.starts_with("/v1/agent/health/") {
        sorted_checks(&mut value);
    }
    if path.starts_with("/v1/catalog/services") {
        sorted(&mut value);
    }
    Some(value)
}

fn layout(reply: &Reply) -> &'static str {
    if reply.body.contains("\n    ") { "indented" } else { "compact" }
}

/// Everything in which two answers differ.
pub(crate) fn differences(path: &str, ours: &Reply, theirs: &Reply) -> Vec<Difference> {
    let mut all = Vec::new();
    let mut add = |place: &str, ours: String, theirs: String| {
        if ours != theirs {
            all.push(Difference { place: place.to_owned(), ours, theirs });
        }
    };
    add("status", ours.status.to_string(), theirs.status.to_string());
    for name in HEADERS {
        add(&format!("header {name}"), header(ours, name), header(theirs, name));
    }
    match (json(path, ours), json(path, theirs)) {
        (Some(ours_json), Some(theirs_json)) => {
            add("layout", layout(ours).to_owned(), layout(theirs).to_owned());
            walk("body ", Some(&ours_json), Some(&theirs_json), &mut add);
        }
        _ => add("text", ours.body.clone(), theirs.body.clone()),
    }
    all
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "absent".to_owned(), Value::to_string)
}

/// Goes to the places where they part.
fn walk(
    place: &str,
    ours: Option<&Value>,
    theirs: Option<&Value>,
    add: &mut impl FnMut(&str, String, String),
) {
    match (ours, theirs) {
        (Some(Value::Object(ours)), Some(Value::Object(theirs))) => {
            let more = theirs.keys().filter(|name| !ours.contains_key(*name));
            for name in ours.keys().chain(more) {
                walk(&format!("{place}/{name}"), ours.get(name), theirs.get(name), add);
            }
        }
        (Some(Value::Array(ours)), Some(Value::Array(theirs))) => {
            for at in 0..ours.len().max(theirs.len()) {
                walk(&format!("{place}/{at}"), ours.get(at), theirs.get(at), add);
            }
        }
        _ => add(place, shown(ours), shown(theirs)),
    }
}
