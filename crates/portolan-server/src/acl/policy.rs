//! Rules in Consul's language, read. PURE: text in, [`Rules`] out.
//!
//! In:  HCL or JSON of `service "web" { policy = "write" }`, `operator = "read"`, … Out: rules, or what is wrong with them in
//! Consul's words.
//!
//! As in Consul, what is not known is passed over, names of blocks count without case, and a thing may be named twice.
//! Differs: a block without a name (`service { policy = "read" }`), which Consul takes and makes nothing of, is refused.
//!
//! Never: panics on a text; takes an access that is not one; lets a denial be lost.
//!
//! Rules from Consul 1.21: acl/policy.go `Parse`, `PolicyRules.Validate`; texts as seen from 1.21.4.
//! Proof: `policy/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeSet, fmt, sync::Arc};

use super::{Access, Resource};

mod hcl;
mod json;

use hcl::{Item, Place, Value, Wrong};

/// Whether a rule is about one thing or about all that begin so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    Exact,
    Prefix,
}

/// One rule. A switch such as `operator` is a rule on all that begins with nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rule {
    pub(crate) resource: Resource,
    pub(crate) scope: Scope,
    pub(crate) name: Arc<str>,
    pub(crate) access: Access,
}

impl Rule {
    pub(crate) fn new(resource: Resource, scope: Scope, name: &str, access: Access) -> Self {
        Self { resource, scope, name: name.into(), access }
    }
}

/// The rules of one policy, in the order they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules(pub(crate) Vec<Rule>);

/// Rules that cannot be taken, in Consul's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadRules(String);

impl fmt::Display for BadRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Wrong> for BadRules {
    fn from(Wrong(what): Wrong) -> Self {
        Self(format!("Failed to parse ACL rules: {what}"))
    }
}

/// Reads rules: JSON where the text begins with a brace, else HCL.
///
/// # Errors
/// [`BadRules`]: the text does not parse, or holds an access that is not one.
pub(crate) fn parse(text: &str) -> Result<Rules, BadRules> {
    let items = if text.trim_start().starts_with('{') { json::parse(text)? } else { hcl::parse(text)? };
    once(&items)?;
    let mut rules = Vec::new();
    for item in items {
        let Some((key, names)) = item.keys.split_first() else { continue };
        let key = key.to_ascii_lowercase();
        if let Some(resource) = switch(&key) {
            rules.extend(switched(resource, &item)?);
        } else if let Some((resource, scope)) = block(&key) {
            named(resource, scope, names, &item.value, item.at, &mut rules)?;
        }
    }
    Ok(Rules(rules))
}

/// Refuses a switch or a field that stands twice.
fn once(items: &[Item]) -> Result<(), BadRules> {
    let mut seen = BTreeSet::new();
    for item in items {
        let [key] = item.keys.as_slice() else { continue };
        if !matches!(item.value, Value::Object(_) | Value::List(_)) && !seen.insert(key) {
            let what = format!(
                "The argument {key:?} at {} was already set. Each argument can only be defined once",
                item.at
            );
            return Err(Wrong(what).into());
        }
    }
    Ok(())
}

fn switch(key: &str) -> Option<Resource> {
    Resource::ALL.into_iter().find(|resource| !resource.is_named() && resource.as_str() == key)
}

fn block(key: &str) -> Option<(Resource, Scope)> {
    let (word, scope) = match key.strip_suffix("_prefix") {
        Some(word) => (word, Scope::Prefix),
        None => (key, Scope::Exact),
    };
    let resource =
        Resource::ALL.into_iter().find(|resource| resource.is_named() && resource.as_str() == word)?;
    Some((resource, scope))
}

fn switched(resource: Resource, item: &Item) -> Result<Option<Rule>, BadRules> {
    let word = resource.as_str();
    let text = plain(word, &item.value, item.at)?;
    if text.is_empty() {
        return Ok(None);
    }
    let access =
        access(text, resource).ok_or_else(|| BadRules(format!("Invalid {word} policy: {text:?}")))?;
    Ok(Some(Rule::new(resource, Scope::Prefix, "", access)))
}

/// The text of a value; a number counts as one, as in HCL.
fn plain<'a>(field: &str, value: &'a Value, at: Place) -> Result<&'a str, BadRules> {
    match value {
        Value::Text(text) | Value::Number(text) => Ok(text),
        Value::Truth(_) | Value::List(_) | Value::Object(_) => {
            Err(Wrong(format!("At {at}: {field}: it must be a text, such as \"read\"")).into())
        }
    }
}

fn access(word: &str, resource: Resource) -> Option<Access> {
    match word {
        "deny" => Some(Access::Deny),
        "read" => Some(Access::Read),
        "write" => Some(Access::Write),
        "list" if resource == Resource::Key => Some(Access::List),
        _ => None,
    }
}

/// The rules of a block: the name is its second key, or each key of what is in it.
fn named(
    resource: Resource,
    scope: Scope,
    names: &[String],
    value: &Value,
    at: Place,
    rules: &mut Vec<Rule>,
) -> Result<(), BadRules> {
    match (names, value) {
        ([name], Value::Object(fields)) => rules.push(rule(resource, scope, name, fields)?),
        // What is within the third key is no part of the rule, which then has no access.
        ([name, ..], Value::Object(_)) => rules.push(rule(resource, scope, name, &[])?),
        ([], Value::Object(items)) => {
            for item in items {
                let Value::Object(_) = item.value else {
                    let (at, word) = (item.at, resource.as_str());
                    return Err(Wrong(format!("At {at}: {word} needs a name, as in {word} \"web\"")).into());
                };
                named(resource, scope, &item.keys, &item.value, item.at, rules)?;
            }
        }
        (names, Value::List(values)) => {
            for value in values {
                named(resource, scope, names, value, at, rules)?;
            }
        }
        _ => {
            let what = format!("At {at}: {} is not an object", resource.as_str());
            return Err(Wrong(what).into());
        }
    }
    Ok(())
}

fn rule(resource: Resource, scope: Scope, name: &str, fields: &[Item]) -> Result<Rule, BadRules> {
    once(fields)?;
    let (mut policy, mut intentions) = ("", "");
    for field in fields {
        let [key] = field.keys.as_slice() else { continue };
        match key.to_ascii_lowercase().as_str() {
            "policy" => policy = plain("policy", &field.value, field.at)?,
            "intentions" => intentions = plain("intentions", &field.value, field.at)?,
            _ => {}
        }
    }
    let has_intentions = matches!(resource, Resource::Service | Resource::Identity);
    let bad = |what: &str| {
        let prefix = if scope == Scope::Prefix { "_prefix" } else { "" };
        let shown = shown(resource, name, policy, intentions);
        BadRules(format!("Invalid {}{prefix}{what} policy: {shown}", resource.as_str()))
    };
    let access = access(policy, resource).ok_or_else(|| bad(""))?;
    // Nothing here asks for intentions; they are checked, so that a rule is good on both or on none.
    if has_intentions && !intentions.is_empty() && self::access(intentions, resource).is_none() {
        return Err(bad(" intentions"));
    }
    Ok(Rule::new(resource, scope, name, access))
}

/// A rule as Consul shows it.
fn shown(resource: Resource, name: &str, policy: &str, intentions: &str) -> String {
    let (kind, field) = match resource {
        Resource::Agent => ("AgentRule", "Node"),
        Resource::Event => ("EventRule", "Event"),
        Resource::Key => ("KeyRule", "Prefix"),
        Resource::Query => ("PreparedQueryRule", "Prefix"),
        Resource::Service => ("ServiceRule", "Name"),
        Resource::Session => ("SessionRule", "Node"),
        Resource::Identity => ("IdentityRule", "Name"),
        _ => ("NodeRule", "Name"),
    };
    let more = match resource {
        Resource::Service | Resource::Identity => {
            format!(", Intentions:{intentions:?}, EnterpriseRule:acl.EnterpriseRule{{}}")
        }
        Resource::Key | Resource::Node => ", EnterpriseRule:acl.EnterpriseRule{}".to_owned(),
        _ => String::new(),
    };
    format!("&acl.{kind}{{{field}:{name:?}, Policy:{policy:?}{more}}}")
}

impl Rules {
    /// What a token for a service may do: be that service and its proxy, and find others (Consul: agent/structs/acl.go
    /// `SyntheticPolicy` of a service identity).
    pub(crate) fn of_service(name: &str) -> Self {
        let proxy = format!("{name}-sidecar-proxy");
        Self(vec![
            Rule::new(Resource::Service, Scope::Exact, name, Access::Write),
            Rule::new(Resource::Service, Scope::Exact, &proxy, Access::Write),
            Rule::new(Resource::Service, Scope::Prefix, "", Access::Read),
            Rule::new(Resource::Node, Scope::Prefix, "", Access::Read),
        ])
    }

    /// What a token for a node may do: be that node, and find services (the same of a node identity).
    pub(crate) fn of_node(name: &str) -> Self {
        Self(vec![
            Rule::new(Resource::Node, Scope::Exact, name, Access::Write),
            Rule::new(Resource::Service, Scope::Prefix, "", Access::Read),
        ])
    }
}

#[cfg(test)]
mod tests;
