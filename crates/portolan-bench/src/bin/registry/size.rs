//! What ten thousand instances cost: to fetch, to hold, to start with; how soon a registry in a test is ready; what it
//! costs to keep deadlines in order.
//!
//! In:  a registry and a Consul. Out: rows.

use std::{collections::BTreeSet, hint::black_box, sync::Arc, time::Duration};

use portolan_server::Server;
use rustix::process::Signal;
use tokio::time::Instant;

use crate::{
    Bench,
    http::Connection,
    process::{Process, Storage, What},
    reads::fill,
    row::{Row, median},
};

async fn fetched(server: &Process) -> anyhow::Result<(f64, usize)> {
    let get = server.request("GET", "/v1/health/service/many?passing", "");
    let mut connection = Connection::open(server.addr()).await?;
    let mut times = Vec::new();
    let mut bytes = 0;
    // The first one has the body encoded.
    connection.ask(&get).await?;
    for _ in 0..11 {
        let begun = Instant::now();
        connection.ask(&get).await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    bytes += connection.read(&get).await?.1.len();
    Ok((median(times), bytes))
}

/// The rows of ten thousand instances.
///
/// # Errors
/// When a server or a request fails.
pub(crate) async fn rows(bench: &Bench, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let many = bench.size(10_000);
    let mut ours = bench.portolan(Storage::Disk).await?;
    let before = ours.memory()?.now;
    fill(&ours, "many", many).await?;
    let held = (ours.memory()?.now - before) / many as f64;
    let (fetch, bytes) = fetched(&ours).await?;
    let theirs = match bench.consul(Storage::Memory).await? {
        Some(consul) => {
            // With a TTL check each takes Consul tens of milliseconds at ten thousand.
            let few = many / 5;
            let before = consul.memory()?.now;
            fill(&consul, "many", few).await?;
            let held = (consul.memory()?.now - before) / few as f64;
            // What it takes rises with the number of instances.
            Some((held, fetched(&consul).await?.0 * 5.0))
        }
        None => None,
    };
    rows.push(
        Row::new(format!("fetch {many} instances, {:.1} MB", bytes as f64 / 1e6), fetch, "ms")
            .beside(&format!("{} × 5 for a fifth", bench.peer()), theirs.map(|theirs| theirs.1))
            .at_most(3.0),
    );
    let bare = Process::start(What::Canned { bytes }).await?;
    let bare = fetched(&bare).await?.0;
    let name = format!("fetch {many} instances: time over bare hyper's ({bare:.1} ms)");
    // As the target is to the limit where both were set: 3 ms, and 2.
    rows.extend(Row::over(name, fetch, Some(bare), 1.5));
    rows.push(
        Row::new(format!("memory of each of {many} instances with a TTL check"), held / 1024.0, "KiB")
            .beside(bench.peer(), theirs.map(|theirs| theirs.0 / 1024.0))
            .at_most(3.0),
    );
    for (how, signal) in [("SIGTERM", Signal::TERM), ("kill -9", Signal::KILL)] {
        let (mut times, mut used) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds() {
            ours.end(signal)?;
            times.push(ours.again().await?.as_secs_f64());
            used.push(ours.cpu()?.as_secs_f64());
        }
        let what = format!("start with {many} instances, after {how}");
        rows.push(Row::new(what.clone(), median(times), "s").at_most(0.1));
        rows.push(Row::new(format!("{what}: processor time"), median(used), "s"));
    }
    Ok(())
}

/// The row of a registry in a test.
///
/// # Errors
/// When it does not start.
pub(crate) async fn ephemeral(rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let mut times = Vec::new();
    for _ in 0..21 {
        let begun = Instant::now();
        let running = Server::ephemeral().start().await?;
        let mut connection = Connection::open(running.http_addr()).await?;
        connection.ask(&crate::http::request("GET", "/v1/catalog/services", None, "")).await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        running.stop(Duration::from_secs(5)).await;
    }
    rows.push(
        Row::new("a registry in a test: from start to its first answer", median(times), "ms").at_most(5.0),
    );
    Ok(())
}

/// The rows of deadlines in an ordered set, as the registry keeps them: what each report of a TTL check, and each run of a
/// check, does once. A timer wheel could save no more than this.
pub(crate) fn deadlines(rows: &mut Vec<Row>) {
    const MOVES: u32 = 200_000;
    for many in [10_000_usize, 100_000] {
        let begun = Instant::now().into_std();
        let after = |micros: u32| begun + Duration::from_micros(micros.into());
        let ids = (0..many).map(|number| Arc::<str>::from(format!("service:web-{number:06}")));
        let mut checks: Vec<(std::time::Instant, Arc<str>)> = ids.map(|id| (begun, id)).collect();
        let mut due: BTreeSet<_> = checks.iter().cloned().collect();
        let timed = Instant::now();
        for turn in 1..=MOVES {
            // All in turn, in an order that no cache foresees.
            let place = (turn as usize).wrapping_mul(7_919) % many;
            let Some(check) = checks.get_mut(place) else { continue };
            due.remove(check);
            check.0 = after(turn);
            due.insert((check.0, Arc::clone(&check.1)));
        }
        let each = timed.elapsed().as_secs_f64() * 1e6 / f64::from(MOVES);
        rows.push(Row::new(format!("move a deadline among {many}"), each, "µs"));
        black_box(due);
    }
}
