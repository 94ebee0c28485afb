//! What every registry with rules has: two policies, and the token of those who show none. PURE.
//!
//! Never: changes from one life to the next.
//!
//! Ids, names and rules are Consul's: agent/structs/acl.go; seen on 1.21.4.

use super::rows::{PolicySpec, TokenSpec};
use crate::acl::{secret::Secret, stamp::Stamp};

/// The policy that allows everything.
pub(crate) const GLOBAL_MANAGEMENT: &str = "00000000-0000-0000-0000-000000000001";
const GLOBAL_READ_ONLY: &str = "00000000-0000-0000-0000-000000000002";

/// The accessor of the token that counts where none is shown.
pub(crate) const ANONYMOUS: &str = "00000000-0000-0000-0000-000000000002";
/// What that token shows, if it does. It is no secret.
pub(crate) const ANONYMOUS_SECRET: &str = "anonymous";

pub(super) fn is_policy(id: &str) -> bool {
    matches!(id, GLOBAL_MANAGEMENT | GLOBAL_READ_ONLY)
}

/// One access on everything.
fn on_everything(access: &str) -> String {
    let mut rules = String::new();
    for (word, intentions) in [
        ("acl", ""),
        ("agent_prefix", ""),
        ("event_prefix", ""),
        ("key_prefix", ""),
        ("keyring", ""),
        ("node_prefix", ""),
        ("operator", ""),
        ("mesh", ""),
        ("peering", ""),
        ("query_prefix", ""),
        ("service_prefix", "intentions"),
        ("session_prefix", ""),
    ] {
        rules.push('\n');
        if !word.ends_with("_prefix") {
            rules.push_str(&format!("{word} = \"{access}\""));
            continue;
        }
        rules.push_str(&format!("{word} \"\" {{\n\tpolicy = \"{access}\"\n"));
        if !intentions.is_empty() {
            rules.push_str(&format!("\t{intentions} = \"{access}\"\n"));
        }
        rules.push('}');
    }
    rules
}

pub(super) fn policies() -> [PolicySpec; 2] {
    let policy = |id: &str, name: &str, what: &str, access: &str| PolicySpec {
        id: id.into(),
        name: name.into(),
        description: format!("A built-in policy that grants {what} access to all Consul features").into(),
        rules: on_everything(access).into(),
        datacenters: Vec::new(),
    };
    [
        policy(GLOBAL_MANAGEMENT, "global-management", "read and write", "write"),
        policy(GLOBAL_READ_ONLY, "builtin/global-read-only", "read-only", "read"),
    ]
}

pub(super) fn anonymous(now: Stamp) -> TokenSpec {
    let secret = Secret::new(ANONYMOUS_SECRET);
    TokenSpec { description: "Anonymous Token".into(), ..TokenSpec::new(&secret, ANONYMOUS, now) }
}
