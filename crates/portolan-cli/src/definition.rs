//! Definition files of Consul's: services as an operator writes them down. PURE.
//!
//! In:  the text of a file in JSON, HCL or TOML, with `service`, `services`, or one service as the HTTP interface takes
//! it. Out: the registrations in it, found to be right.
//!
//! Never: overlooks a key; guesses what a value of the wrong type means; fills in what Consul leaves out, other than
//! Consul does: the id is the name, the address the node's, an instance is never removed for being critical.
//!
//! Rules from Consul: agent/config/config.go `ServiceDefinition` and `CheckDefinition` (keys as `mapstructure` reads
//! them, in any case), agent/config/builder.go (`checks` come before `check`).
//! Proof: `definition/tests.rs`, and `tests/register_file.rs` beside a real Consul.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use portolan::{Address, Error, Registration, Weights};
use serde_json::Value;

mod check;
mod fields;
mod hcl;
mod syntax;

use fields::Fields;
pub(crate) use syntax::Syntax;

/// What Consul takes and Portolan does not register, with what to do about it.
const LEFT_TO_CONSUL: [(&str, &str); 9] = [
    ("kind", "Portolan registers plain services; use Consul's own command for proxies and gateways"),
    ("proxy", "Portolan registers plain services; use Consul's own command for proxies and gateways"),
    ("connect", "Portolan is no service mesh; use Consul's own command for it, or leave it out"),
    ("token", "a token does not belong into this file; give it with --token-file, and leave this out"),
    ("namespace", "it goes with the registry: set CONSUL_NAMESPACE, and leave this out"),
    ("partition", "it goes with the registry: set CONSUL_PARTITION, and leave this out"),
    ("locality", "give them as meta \"zone\" and \"region\", and leave this out"),
    ("socket_path", "Portolan registers addresses with ports; leave it out"),
    ("ports", "Portolan registers one port; write \"port\""),
];

/// The services of a file.
///
/// # Errors
/// Of kind config: the text cannot be read, or the first field that is wrong, by its path in the file.
pub(crate) fn read(text: &str, syntax: Syntax) -> Result<Vec<Registration>, Error> {
    let whole = syntax.parse(text)?;
    let mut top = Fields::of("", &whole)?;
    // The body of the HTTP interface is a service by itself.
    if top.holds("name") && !top.holds("service") && !top.holds("services") {
        return Ok(vec![service("", &whole)?]);
    }
    let mut found = Vec::new();
    for (path, value) in top.list("services")? {
        found.push(service(&path, value)?);
    }
    if let Some((path, value)) = top.take("service")? {
        found.push(service(&path, value)?);
    }
    top.finish("a file of services; other settings of an agent do not belong here")?;
    if found.is_empty() {
        return Err(Error::config("it defines no service; write service { name = \"web\" … }, or services"));
    }
    Ok(found)
}

fn service(path: &str, value: &Value) -> Result<Registration, Error> {
    let mut fields = Fields::of(path, value)?;
    let Some(name) = fields.text("name")? else {
        return Err(fields.wrong("name", "it is missing; a service has one"));
    };
    let port = fields.number("port")?.unwrap_or_default();
    let id = fields.text("id")?.unwrap_or_else(|| name.clone());
    let address = fields.text("address")?.map_or(Address::Node, Address::Given);
    let mut found = Registration::new(name, port).id(id).address(address);
    found = found.tags(fields.texts("tags")?).weights(weights(&mut fields)?);
    found = found.enable_tag_override(fields.flag("enable_tag_override")?.unwrap_or_default());
    for (key, value) in fields.pairs("meta")? {
        found = found.meta(key, value);
    }
    for (tag, at) in fields.objects("tagged_addresses")? {
        let mut at = Fields::of(&at.0, at.1)?;
        let (address, port) =
            (at.text("address")?.unwrap_or_default(), at.number("port")?.unwrap_or_default());
        at.finish("an address")?;
        found = found.tagged_address(tag, address, port);
    }
    let mut checks = fields.list("checks")?;
    checks.extend(fields.take("check")?);
    for (path, value) in checks {
        found = found.check(check::read(&path, value)?);
    }
    for (key, advice) in LEFT_TO_CONSUL {
        fields.leave(key, advice)?;
    }
    fields.finish("a service")?;
    found.validate().map_err(|wrong| match path {
        "" => wrong,
        _ => Error::config(format!("{path}: {}", wrong.chain())),
    })?;
    Ok(found)
}

fn weights(fields: &mut Fields<'_>) -> Result<Weights, Error> {
    let mut weights = Weights::default();
    if let Some((path, value)) = fields.take("weights")? {
        let mut given = Fields::of(&path, value)?;
        weights.passing = given.number("passing")?.unwrap_or(weights.passing);
        weights.warning = given.number("warning")?.unwrap_or(weights.warning);
        given.finish("weights")?;
    }
    Ok(weights)
}

#[cfg(test)]
mod tests;
