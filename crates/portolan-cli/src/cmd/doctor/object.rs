//! What was found, for a program. PURE.
//!
//! Never: renames a key; it is what scripts read.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use serde_json::{Value, json};

use super::{finding::Finding, seen::Seen};

pub(super) fn object(seen: &Seen, findings: &[Finding]) -> Value {
    let finding = |finding: &Finding| {
        let facts = finding.code.facts();
        json!({
            "name": facts.name,
            "level": facts.level.as_str(),
            "title": facts.title,
            "what": finding.what,
            "where": finding.places,
            "why": facts.why,
            "mend": facts.mend,
        })
    };
    json!({
        "registry": seen.registry,
        "agent": {
            "node": seen.agent.node,
            "datacenter": seen.agent.datacenter,
            "version": seen.agent.version,
        },
        "examined": {
            "nodes": seen.nodes.len(),
            "services": seen.services.len(),
            "instances": seen.services.values().map(Vec::len).sum::<usize>(),
            "checks": seen.checks.len(),
            "watched_ms": u64::try_from(seen.watched.time.as_millis()).unwrap_or(u64::MAX),
        },
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
        "not_examined": seen.unread.iter().map(|one| json!({"what": one.what, "why": one.why})).collect::<Vec<_>>(),
    })
}
