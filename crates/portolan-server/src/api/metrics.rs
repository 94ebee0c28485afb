//! `/v1/agent/metrics`: how much there is, in Consul's two forms.
//!
//! In:  a call. Out: figures under the names that Consul gives them: as JSON, or as Prometheus reads them.
//!
//! Differs from Consul: there are gauges alone, counted when they are asked for; Prometheus gets them without a retention time
//! being set first.
//! Never: a figure that was not counted.
//!
//! Rules from Consul 1.21: agent/agent_endpoint.go `AgentMetrics`, agent/consul/usagemetrics. Proof: the tests here.

use std::fmt::Write as _;

use axum::{body::Body, response::Response};
use http::{HeaderValue, header};
use serde_json::{Value, json};

use super::{
    call::Call,
    reply::{Outcome, value},
};
use crate::{
    acl::{Access, Resource},
    core::{Core, calendar},
    telemetry,
};

/// One figure: what it is called behind `consul.`, what it counts, and whether it is one of a datacenter.
struct Gauge {
    name: &'static str,
    what: &'static str,
    of_datacenter: bool,
    count: u64,
}

fn gauges(core: &Core) -> Vec<Gauge> {
    let (tally, sessions, keys) = core.look(|state| (state.tally(), state.session_count(), state.kv_count()));
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let counted = [
        ("raft.applied_index", "The newest index", false, tally.index),
        ("raft.last_index", "The newest index", false, tally.index),
        ("server.isLeader", "Whether this server leads", false, 1),
        ("session_ttl.active", "Sessions that are open", false, count(sessions)),
        ("state.kv_entries", "Keys", true, count(keys)),
        ("state.nodes", "Nodes", true, tally.nodes),
        ("state.service_instances", "Instances of services", true, tally.instances.iter().sum()),
        ("state.services", "Services", true, tally.services),
    ];
    let healthy = [
        ("autopilot.failure_tolerance", "Servers that may fail", false, 0),
        ("autopilot.healthy", "Whether all servers are well", false, 1),
    ];
    let gauge = |(name, what, of_datacenter, count)| Gauge { name, what, of_datacenter, count };
    healthy.into_iter().chain(counted).map(gauge).collect()
}

pub(super) fn metrics(core: &Core, call: &Call) -> Outcome {
    call.rights(core)?.require(Resource::Agent, &core.config.node, Access::Read)?;
    let gauges = gauges(core);
    if call.param("format") == Some("prometheus") {
        return Ok(prometheus(&gauges, &core.config.datacenter));
    }
    let now = calendar().to_string();
    let second = now.get(..19).unwrap_or_default();
    let shown = |gauge: &Gauge| -> Value {
        let labels =
            if gauge.of_datacenter { json!({ "datacenter": core.config.datacenter }) } else { json!({}) };
        json!({ "Name": format!("consul.{}", gauge.name), "Value": gauge.count, "Labels": labels })
    };
    let told = json!({
        "Timestamp": format!("{} +0000 UTC", second.replace('T', " ")),
        "Gauges": gauges.iter().map(shown).collect::<Vec<_>>(),
        "Points": [],
        "Counters": [],
        "Samples": [],
    });
    value(&told, call.layout())
}

/// The text form of Prometheus, version 0.0.4.
fn prometheus(gauges: &[Gauge], datacenter: &str) -> Response {
    let mut text = String::new();
    for Gauge { name, what, of_datacenter, count } in gauges {
        let name = format!("consul_{}", name.replace('.', "_"));
        let labels = if *of_datacenter { format!("{{datacenter={datacenter:?}}}") } else { String::new() };
        let _infallible =
            writeln!(text, "# HELP {name} {what}.\n# TYPE {name} gauge\n{name}{labels} {count}");
    }
    let mut response = Response::new(Body::from(text));
    let kind = HeaderValue::from_static(telemetry::KIND);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn prometheus_reads_a_type_and_a_value_for_each_figure() {
        let gauges = [
            Gauge { name: "state.nodes", what: "Nodes", of_datacenter: true, count: 2 },
            Gauge { name: "server.isLeader", what: "Whether", of_datacenter: false, count: 1 },
        ];
        let body = prometheus(&gauges, "dc1").into_body().collect().await.unwrap().to_bytes();
        assert_eq!(
            String::from_utf8_lossy(&body),
            concat!(
                "# HELP consul_state_nodes Nodes.\n# TYPE consul_state_nodes gauge\n",
                "consul_state_nodes{datacenter=\"dc1\"} 2\n",
                "# HELP consul_server_isLeader Whether.\n# TYPE consul_server_isLeader gauge\n",
                "consul_server_isLeader 1\n"
            )
        );
    }
}
