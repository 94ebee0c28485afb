//! The requests, sent to both.

use std::{collections::BTreeMap, fmt::Write as _, net::SocketAddr, time::Duration};

use portolan_server::ServerConfig;
use serde_json::{Value, json};
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    ask::{PATIENCE, Reply, Try, ask},
    compare::{Difference, differences},
    known::{KNOWN, KNOWN_OF_1_8, Known, matches},
    real::{self, Consul},
    version,
};

const NODE: &str = "n1";

/// In this order: each finds what those before it left.
const FILES: [&str; 9] = [
    include_str!("requests/general.txt"),
    include_str!("requests/agent.txt"),
    include_str!("requests/mesh.txt"),
    include_str!("requests/catalog.txt"),
    include_str!("requests/health.txt"),
    include_str!("requests/operator.txt"),
    include_str!("requests/queries.txt"),
    include_str!("requests/mesh_off.txt"),
    include_str!("requests/txn.txt"),
];

#[derive(Clone, Copy)]
struct Request {
    line: &'static str,
    method: &'static str,
    path: &'static str,
    body: &'static str,
}

fn requests() -> impl Iterator<Item = Request> {
    let lines = FILES.iter().flat_map(|file| file.lines());
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
        let (method, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (path, body) = rest.split_once(' ').unwrap_or((rest, ""));
        Request { line, method, path, body }
    })
}

/// Waits until the catalogue of a real Consul has what its agent was told: that follows a little later.
pub(crate) async fn settled(addr: SocketAddr) -> Try {
    let read = async |path: &str| -> Try<Value> {
        Ok(serde_json::from_str(&ask(addr, "GET", path, "").await?.body).unwrap_or_default())
    };
    let catalogue = format!("/v1/catalog/node/{NODE}");
    let checks = format!("/v1/health/node/{NODE}");
    loop {
        let (told, held) = (read("/v1/agent/services").await?, read(&catalogue).await?);
        let mut held = held.get("Services").cloned().unwrap_or_default();
        if let Some(held) = held.as_object_mut() {
            held.remove("consul");
        }
        let (checks_told, checks_held) = (read("/v1/agent/checks").await?, read(&checks).await?);
        if by_id(&told) == by_id(&held) && statuses(&checks_told) == statuses(&checks_held) {
            return Ok(());
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a real Consul calls itself healthy: one that has just started says for a moment that it is not.
async fn healthy(addr: SocketAddr) -> Try {
    while ask(addr, "GET", "/v1/operator/autopilot/health", "").await?.status != 200 {
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// What an agent tells the catalogue of its services.
fn by_id(services: &Value) -> BTreeMap<&str, [Option<&Value>; 5]> {
    let fields = ["Service", "Port", "Address", "Weights", "Tags"];
    let of = |service| fields.map(|field| Value::get(service, field).filter(|value| **value != json!(0)));
    services.as_object().into_iter().flatten().map(|(id, service)| (id.as_str(), of(service))).collect()
}

fn statuses(checks: &Value) -> BTreeMap<&str, [Option<&Value>; 3]> {
    let listed = checks.as_array().into_iter().flatten();
    let mapped = checks.as_object().into_iter().flatten().map(|(_, check)| check);
    let named = listed.chain(mapped).filter_map(|check| Some((check.get("CheckID")?.as_str()?, check)));
    let fields = ["Status", "ServiceID", "Name"];
    named
        .filter(|(id, _)| *id != "serfHealth")
        .map(|(id, check)| (id, fields.map(|field| check.get(field))))
        .collect()
}

/// What they part in, and which of the known differences occurred.
struct Report {
    unexplained: Vec<(&'static str, Vec<Difference>)>,
    seen: Vec<bool>,
    requests: usize,
}

async fn compared(ours: SocketAddr, theirs: SocketAddr, explained: &[Known]) -> Try<Report> {
    let mut report = Report { unexplained: Vec::new(), seen: vec![false; explained.len()], requests: 0 };
    let is_coarse = version::minor()? < 21;
    for request in requests() {
        let Request { line, method, path, body } = request;
        let theirs_reply: Reply = ask(theirs, method, path, body).await?;
        let ours_reply: Reply = ask(ours, method, path, body).await?;
        report.requests += 1;
        let mut left = Vec::new();
        let differences = differences(path, &ours_reply, &theirs_reply).into_iter();
        for difference in differences.filter(|one| !is_coarse || one.place == "status") {
            let mut is_known = false;
            for (known, seen) in explained.iter().zip(&mut report.seen) {
                if matches(known.request, line) && matches(known.place, &difference.place) {
                    (is_known, *seen) = (true, true);
                }
            }
            if !is_known {
                left.push(difference);
            }
        }
        if !left.is_empty() {
            report.unexplained.push((line, left));
        }
        if method == "PUT" && path.starts_with("/v1/agent/") && theirs_reply.status == 200 {
            timeout(PATIENCE, settled(theirs))
                .await
                .map_err(|late| format!("{line}: never in the catalogue: {late}"))??;
        }
    }
    Ok(report)
}

/// Both registries, empty.
pub(crate) struct Both {
    pub(crate) ours: SocketAddr,
    pub(crate) consul: Consul,
    stop: oneshot::Sender<()>,
    tasks: JoinSet<()>,
}

impl Both {
    pub(crate) async fn start() -> Try<Self> {
        // Without the mesh, which would give each service an address of its own.
        let consul = Consul::start(NODE, "", json!({ "connect": { "enabled": false } })).await?;
        timeout(PATIENCE, healthy(consul.addr)).await??;
        let config = ServerConfig::default().http_addr(([127, 0, 0, 1], 0).into()).node(NODE);
        let server = real::bind(config).await?;
        let ours = server.http_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(async move { drop(stopped.await) }));
        Ok(Self { ours, consul, stop, tasks })
    }

    pub(crate) async fn stop(mut self) -> Try {
        drop(self.stop);
        timeout(PATIENCE, self.tasks.join_next()).await?.ok_or("it never ran")??;
        Ok(())
    }
}

#[tokio::test]
async fn every_answer_is_a_real_consuls_but_for_what_is_explained() -> Try {
    let explained = if version::minor()? < 21 { KNOWN_OF_1_8 } else { KNOWN };
    let both = Both::start().await?;
    let report = compared(both.ours, both.consul.addr, explained).await?;
    let mut wrong = String::new();
    for (line, left) in &report.unexplained {
        writeln!(wrong, "{line}")?;
        for Difference { place, ours, theirs } in left {
            writeln!(wrong, "    {place}\n        ours   {ours}\n        Consul {theirs}")?;
        }
    }
    for (known, seen) in explained.iter().zip(&report.seen) {
        if known.always && !seen {
            writeln!(wrong, "no longer so: {} | {} ({})", known.request, known.place, known.why)?;
        }
    }
    both.stop().await?;
    assert!(report.requests >= 500, "only {} requests", report.requests);
    assert!(wrong.is_empty(), "{} of {} differ:\n{wrong}", report.unexplained.len(), report.requests);
    Ok(())
}
