//! What a read costs: `health/service?passing` of one to a thousand instances, beside a Consul and a bare hyper server.
//!
//! In:  a registry and a Consul with the same services. Out: rows.
//!
//! The servers take turns, so that a slow moment of the machine meets all of them, and the middle round counts.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use crate::{
    Bench,
    http::Connection,
    load::{self, Load},
    process::{Process, Storage, What},
    row::{Row, median},
};

/// How many connections ask.
const CLIENTS: usize = 16;
/// How many instances the services have, and how many times as fast as Consul a read of each must be.
const SIZES: [(usize, f64); 4] = [(1, 6.0), (10, 18.0), (100, 55.0), (1_000, 55.0)];

pub(crate) fn path(instances: usize) -> String {
    format!("/v1/health/service/of-{instances}?passing")
}

/// An instance as those who read it usually find it: with a check that passes.
pub(crate) fn definition(service: &str, number: usize, port: usize) -> String {
    json!({
        "Name": service, "ID": format!("{service}-{number:05}"), "Port": port, "Tags": ["http", "v1.4.2"],
        "Meta": { "version": "1.4.2", "zone": "eu-1a" },
        "Check": { "TTL": "1h", "Status": "passing", "Notes": "reports by itself" },
    })
    .to_string()
}

/// Registers so many instances of a service.
///
/// # Errors
/// When one is refused.
pub(crate) async fn fill(server: &Process, service: &str, instances: usize) -> anyhow::Result<()> {
    let put =
        |number| server.request("PUT", "/v1/agent/service/register", &definition(service, number, 8080));
    let requests: Vec<_> = (0..instances).map(put).collect();
    let within = Duration::from_secs(600);
    let load = Load { connections: 32, requests: Arc::new(requests), most: instances, within, rate: None };
    load::run(server.addr(), &load).await.map(|_| ())
}

/// Microseconds of the server's processor time, and from one answer to the next.
///
/// # Errors
/// When a request fails.
pub(crate) async fn cost(server: &Process, path: &str, within: Duration) -> anyhow::Result<(f64, f64)> {
    let requests = Arc::new(vec![server.request("GET", path, "")]);
    let load = Load { connections: CLIENTS, requests, most: usize::MAX, within, rate: None };
    let before = server.cpu()?;
    let outcome = load::run(server.addr(), &load).await?;
    let used = server.cpu()?.saturating_sub(before);
    Ok((used.as_secs_f64() * 1e6 / outcome.latencies.len() as f64, outcome.each()))
}

/// The rows.
///
/// # Errors
/// When a server or a request fails.
pub(crate) async fn rows(bench: &Bench, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let ours = bench.portolan(Storage::Disk).await?;
    let consul = bench.consul(Storage::Disk).await?;
    for (instances, times) in SIZES {
        let service = format!("of-{instances}");
        fill(&ours, &service, instances).await?;
        let get = ours.request("GET", &path(instances), "");
        let bytes = Connection::open(ours.addr()).await?.read(&get).await?.1.len();
        let canned = Process::start(What::Canned { bytes }).await?;
        let mut servers = vec![&ours, &canned];
        if let Some(consul) = &consul {
            fill(consul, &service, instances).await?;
            servers.push(consul);
        }
        let mut rounds = vec![(Vec::new(), Vec::new()); servers.len()];
        for _ in 0..bench.rounds() {
            for (server, round) in servers.iter().zip(&mut rounds) {
                let (cpu, each) = cost(server, &path(instances), bench.slice()).await?;
                round.0.push(cpu);
                round.1.push(each);
            }
        }
        let mut figures = rounds.into_iter().map(|(cpu, each)| (median(cpu), median(each)));
        let (Some(ours), Some(bare)) = (figures.next(), figures.next()) else { continue };
        let theirs = figures.next();
        let what = format!("health of {instances}, {bytes} bytes");
        rows.push(
            Row::new(format!("{what}: processor time of each"), ours.0, "µs")
                .beside(bench.peer(), theirs.map(|theirs| theirs.0)),
        );
        rows.extend(Row::over(
            format!("{what}: processor time over bare hyper's ({:.1} µs)", bare.0),
            ours.0,
            Some(bare.0),
            if bench.has_token() { 2.0 } else { 1.4 },
        ));
        rows.push(
            Row::new(format!("{what}: time of each"), ours.1, "µs")
                .beside(bench.peer(), theirs.map(|theirs| theirs.1)),
        );
        rows.extend(Row::over(
            format!("{what}: time over Consul's ({times} times)"),
            ours.1,
            theirs.map(|theirs| theirs.1),
            1.0 / times,
        ));
    }
    Ok(())
}
