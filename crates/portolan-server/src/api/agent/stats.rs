//! `Stats` of `/v1/agent/self`: the figures that `consul info` prints.
//!
//! In:  the state. Out: Consul's groups of names and texts, as far as one process that is no cluster has what they count.
//!
//! Never: a figure that was not counted: what has none is left out.
//!
//! Rules from Consul: agent/agent.go `Stats`, agent/consul/server.go `Stats`. Proof: the test here; `cargo xtask compat` runs
//! `consul info`.

use serde_json::{Value, json};

use super::super::status;
use crate::core::{Core, INTERFACE_VERSION};

/// The groups, each from a name to a text.
pub(super) fn told(core: &Core) -> Value {
    let (services, checks, index) = core
        .look(|state| (state.agent_services().len(), state.agent_checks(), state.last_index().to_string()));
    let of_kind =
        |kind: &str| checks.iter().filter(|check| *check.row.facts.kind == *kind).count().to_string();
    json!({
        "agent": {
            "check_monitors": of_kind("script"),
            "check_ttls": of_kind("ttl"),
            "checks": checks.len().to_string(),
            "services": services.to_string(),
        },
        "build": {
            "prerelease": "",
            "revision": concat!("portolan-", env!("CARGO_PKG_VERSION")),
            "version": INTERFACE_VERSION,
            "version_metadata": "",
        },
        "consul": {
            "acl": if core.config.acl_enabled { "enabled" } else { "disabled" },
            "bootstrap": "false",
            "known_datacenters": "1",
            "leader": "true",
            "leader_addr": status::address(core),
            "server": "true",
        },
        "raft": {
            "applied_index": index,
            "commit_index": index,
            "last_contact": "0",
            "last_log_index": index,
            "num_peers": "0",
            "state": "Leader",
        },
        "runtime": { "arch": std::env::consts::ARCH, "os": std::env::consts::OS },
        "serf_lan": { "encrypted": "false", "failed": "0", "left": "0", "members": "1" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerConfig;

    #[test]
    fn every_figure_is_a_text_in_a_group() {
        let told = told(&Core::new(ServerConfig::default()));
        let groups = told.as_object().unwrap();
        for name in ["agent", "build", "consul", "raft", "runtime", "serf_lan"] {
            let group = groups[name].as_object().unwrap();
            assert!(!group.is_empty() && group.values().all(Value::is_string), "{name}: {group:?}");
        }
        assert_eq!(
            told["agent"],
            json!({
                "check_monitors": "0", "check_ttls": "0", "checks": "0", "services": "0"
            })
        );
        assert_eq!(told["raft"]["state"], "Leader");
    }
}
