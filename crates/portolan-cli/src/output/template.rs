//! `--format`: text with `{{key}}` in it, one line an instance. PURE.
//!
//! In:  the template, checked once. Out: a line for each instance.
//!
//! Never: accepts a key it does not know; lets a value add a line.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use portolan::Instance;

use super::{instance, plain};
use crate::exit::Usage;

/// The keys that a template may name, beside `meta.KEY`.
const KEYS: [&str; 11] =
    ["id", "node", "address", "port", "zone", "region", "version", "status", "tags", "weight", "datacenter"];

/// A template that has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Key(&'static str),
    Meta(String),
}

impl std::str::FromStr for Template {
    type Err = Usage;

    fn from_str(text: &str) -> Result<Self, Usage> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((key, tail)) = after.split_once("}}") else {
                return Err(Usage(format!("the \"{{{{\" before {after:?} has no \"}}}}\"; close it")));
            };
            pieces.push(Piece::Text(unescape(before)));
            pieces.push(key_named(key.trim())?);
            rest = tail;
        }
        pieces.push(Piece::Text(unescape(rest)));
        Ok(Self(pieces))
    }
}

fn key_named(name: &str) -> Result<Piece, Usage> {
    if let Some(key) = name.strip_prefix("meta.").filter(|key| !key.is_empty()) {
        return Ok(Piece::Meta(key.to_owned()));
    }
    match KEYS.iter().find(|key| **key == name) {
        Some(key) => Ok(Piece::Key(key)),
        None => {
            let known = KEYS.join(", ");
            Err(Usage(format!("{name:?} is not a key; the keys are {known} and meta.KEY")))
        }
    }
}

/// `\t` and `\n` as people write them in quotes that keep them.
fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

impl Template {
    /// The line of one instance, with its end.
    pub(crate) fn line(&self, one: &Instance) -> String {
        let mut line = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => line.push_str(text),
                Piece::Meta(key) => {
                    line.push_str(&plain(one.meta.get(key.as_str()).map(AsRef::as_ref).unwrap_or_default()));
                }
                Piece::Key(key) => line.push_str(&plain(&value(one, key))),
            }
        }
        line.push('\n');
        line
    }
}

fn value(one: &Instance, key: &str) -> String {
    match key {
        "id" => one.identity.id.to_string(),
        "node" => one.identity.node.to_string(),
        "address" => one.address.to_string(),
        "port" => one.port.to_string(),
        "zone" => instance::zone(one),
        "region" => one.region.as_deref().unwrap_or_default().to_owned(),
        "version" => instance::version(one),
        "status" => one.status.to_string(),
        "tags" => one.tags.join(","),
        "weight" => one.weight().to_string(),
        _ => one.identity.datacenter.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use portolan::Identity;
    use proptest::prelude::*;

    use super::*;

    fn web() -> Instance {
        Instance::new(Identity::new("dc1", "n1", "web-1"), "web", "10.0.0.1", 8080)
            .with_tags(["a", "b"])
            .with_meta([("zone", "eu-1"), ("version", "1.2.3"), ("team", "x\ny")])
    }

    #[test]
    fn keys_are_filled_in() {
        for (template, line) in [
            ("{{address}}:{{port}}", "10.0.0.1:8080\n"),
            ("{{ id }}\\t{{node}}\\t{{datacenter}}", "web-1\tn1\tdc1\n"),
            ("{{zone}} {{version}} {{status}} {{tags}} {{weight}}", "eu-1 1.2.3 passing a,b 1\n"),
            ("{{meta.team}}|{{meta.none}}|", "x\\ny||\n"),
            ("plain }} text", "plain }} text\n"),
            ("", "\n"),
        ] {
            assert_eq!(template.parse::<Template>().unwrap().line(&web()), line, "{template}");
        }
    }

    #[test]
    fn an_unknown_key_is_answered_with_those_there_are() {
        for (template, says) in [
            (
                "{{Address}}",
                "\"Address\" is not a key; the keys are id, node, address, port, zone, region, version, status, tags, weight, datacenter and meta.KEY",
            ),
            ("{{}}", "\"\" is not a key"),
            ("{{meta.}}", "\"meta.\" is not a key"),
            ("{{id", "the \"{{\" before \"id\" has no \"}}\"; close it"),
        ] {
            let error = template.parse::<Template>().unwrap_err();
            assert!(error.to_string().starts_with(says), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_template_panics(text in "[{}a-z.\\\\ ü]{0,24}") {
            if let Ok(template) = text.parse::<Template>() {
                prop_assert!(template.line(&web()).ends_with('\n'));
            }
        }
    }
}
