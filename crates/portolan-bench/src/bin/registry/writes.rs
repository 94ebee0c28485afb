//! What a registration costs: new instances and updates, in memory and on disk, with a TTL check and without.
//!
//! In:  a registry and a Consul, each empty. Out: rows.
//!
//! Consul's cost of a registration rises with the number it holds; where its share of the time would be minutes, it gets
//! fewer, which flatters it.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use crate::{
    Bench,
    load::{self, Load, Outcome},
    process::{Process, Storage},
    row::Row,
};

/// As many as the targets name.
const CLIENTS: usize = 64;
const LONG: Duration = Duration::from_secs(600);

/// What is registered.
#[derive(Clone, Copy, Debug)]
struct Kind {
    ttl: bool,
    /// Everything that is updated changes its port.
    port: u16,
}

/// What a part of the load came to.
struct Cost {
    outcome: Outcome,
    /// Microseconds of the server's processor time for each.
    cpu: f64,
}

fn definition(number: usize, kind: Kind) -> String {
    let mut definition = json!({
        "Name": format!("web-{}", number / 100), "ID": format!("web-{number:06}"), "Port": kind.port,
        "Tags": ["http", "v1.4.2"], "Meta": { "version": "1.4.2", "zone": "eu-1a" },
    });
    if kind.ttl {
        definition["Check"] = json!({ "TTL": "1h", "Status": "passing" });
    }
    definition.to_string()
}

async fn part(
    server: &Process,
    numbers: std::ops::Range<usize>,
    kind: Kind,
    rate: Option<f64>,
) -> anyhow::Result<Cost> {
    let put = |number| server.request("PUT", "/v1/agent/service/register", &definition(number, kind));
    let requests: Vec<_> = numbers.map(put).collect();
    let most = requests.len();
    let load = Load { connections: CLIENTS, requests: Arc::new(requests), most, within: LONG, rate };
    let before = server.cpu()?;
    let outcome = load::run(server.addr(), &load).await?;
    let used = server.cpu()?.saturating_sub(before);
    Ok(Cost { cpu: used.as_secs_f64() * 1e6 / most as f64, outcome })
}

/// The rows of registrations in memory.
///
/// # Errors
/// When a server or a request fails.
pub(crate) async fn in_memory(bench: &Bench, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    for ttl in [false, true] {
        let kind = Kind { ttl, port: 8080 };
        let what = if ttl { "register with a TTL check, in memory" } else { "register, in memory" };
        let many = bench.size(10_000);
        let ours = bench.portolan(Storage::Memory).await?;
        let cost = part(&ours, 0..many, kind, None).await?;
        let theirs = match bench.consul(Storage::Memory).await? {
            Some(consul) => {
                let many = if ttl { many / 20 } else { many };
                Some(part(&consul, 0..many, kind, None).await?)
            }
            None => None,
        };
        rows.push(
            Row::new(format!("{what}, {many}: processor time of each"), cost.cpu, "µs")
                .beside(bench.peer(), theirs.as_ref().map(|theirs| theirs.cpu))
                .at_most(25.0),
        );
        both(bench, rows, &format!("{what}, {many}"), &cost, theirs.as_ref(), 20.0);
        if !ttl {
            let more = many * 10;
            part(&ours, many..more - many, kind, None).await?;
            let last = part(&ours, more - many..more, kind, None).await?;
            rows.push(Row::new(
                format!("{what}, the last {many} of {more}: processor time of each"),
                last.cpu,
                "µs",
            ));
            rows.extend(Row::over(
                format!("{what}, the last {many} of {more} over the first"),
                last.cpu,
                Some(cost.cpu),
                1.5,
            ));
        }
    }
    Ok(())
}

/// The rows of registrations on disk.
///
/// # Errors
/// As [`in_memory`].
pub(crate) async fn durable(bench: &Bench, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let many = bench.size(10_000);
    let ours = bench.portolan(Storage::Disk).await?;
    let consul = bench.consul(Storage::Disk).await?;
    for (what, port) in [("new rows", 8080), ("updates", 8081)] {
        let kind = Kind { ttl: false, port };
        let cost = part(&ours, 0..many, kind, None).await?;
        let theirs = match &consul {
            Some(consul) => Some(part(consul, 0..many / 5, kind, None).await?),
            None => None,
        };
        let what = format!("register, durable, {many}, {what}");
        rows.push(
            Row::new(format!("{what}: processor time of each"), cost.cpu, "µs")
                .beside(bench.peer(), theirs.as_ref().map(|theirs| theirs.cpu))
                .at_most(40.0),
        );
        both(bench, rows, &what, &cost, theirs.as_ref(), 60.0);
    }
    let rate = 100.0;
    let steady = Kind { ttl: false, port: 8082 };
    let few = bench.size(400);
    let cost = part(&ours, 0..few, steady, Some(rate)).await?.outcome;
    let theirs = match &consul {
        Some(consul) => Some(part(consul, 0..few, steady, Some(rate)).await?.outcome),
        None => None,
    };
    for (name, share) in [("half", 0.5), ("99 %", 0.99)] {
        let theirs = theirs.as_ref().map(|theirs| theirs.quantile(share));
        rows.push(
            Row::new(format!("update, durable, {rate} a second: {name} within"), cost.quantile(share), "ms")
                .beside(bench.peer(), theirs),
        );
    }
    Ok(())
}

/// The time of each beside Consul's, and how it stands to that.
fn both(bench: &Bench, rows: &mut Vec<Row>, what: &str, cost: &Cost, theirs: Option<&Cost>, times: f64) {
    let each = cost.outcome.each();
    let theirs = theirs.map(|theirs| theirs.outcome.each());
    rows.push(
        Row::new(format!("{what}, {CLIENTS} clients: time of each"), each, "µs").beside(bench.peer(), theirs),
    );
    rows.extend(Row::over(format!("{what}: time over Consul's ({times} times)"), each, theirs, 1.0 / times));
}
