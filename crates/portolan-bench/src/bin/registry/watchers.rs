//! How long one change takes to the last of those who wait for it, and what one who waits costs in memory.
//!
//! In:  a registry and a Consul. Out: rows.
//!
//! The time runs from when the change is sent until the last answer is read whole. It holds what the load itself takes to
//! read the answers, on the same processors; `limit` is a bare hyper server asked by as many at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    sync::{Barrier, Notify},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    Bench,
    http::Connection,
    process::{Process, Storage, What},
    reads::{definition, fill},
    row::{Row, median},
};

/// How long those who asked are given until they wait.
const SETTLE: Duration = Duration::from_millis(500);
/// How long a change may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was seen of one crowd.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Milliseconds to the last.
    last: f64,
    /// Bytes that one who waits costs.
    each: f64,
    /// Bytes that all of it cost at the worst moment.
    peak: f64,
    /// How many answers came.
    woken: usize,
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// What the watchers of one server share.
#[derive(Debug, Default)]
struct Shared {
    /// How many know an index to wait from.
    ready: AtomicUsize,
    /// Counts the changes.
    round: AtomicUsize,
    /// How many saw the newest.
    saw: AtomicUsize,
    /// How many answers came since it was sent.
    answers: AtomicUsize,
    done: Notify,
}

/// Every path is watched once by a connection of its own; then an instance is changed, again and again. The time is until
/// as many as are `expected` have been answered: a Consul may answer twice, and the first answer counts.
async fn crowd(
    server: &Process,
    paths: &[String],
    service: &str,
    rounds: usize,
    expected: usize,
) -> anyhow::Result<Seen> {
    let before = server.memory()?.now;
    server.forget_peak()?;
    let shared = Arc::new(Shared::default());
    let mut watchers = JoinSet::new();
    for path in paths {
        let connection = Connection::open(server.addr()).await?;
        let first = server.request("GET", path, "");
        watchers.spawn(watch(connection, first, path.clone(), Arc::clone(&shared), expected));
    }
    let mut writer = Connection::open(server.addr()).await?;
    let (mut times, mut each) = (Vec::new(), 0.0_f64);
    // Whoever learns its first index only after a change has none to wait for.
    let waiting = async {
        while shared.ready.load(Ordering::SeqCst) < paths.len() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting).await.context("not all were answered who are to wait")?;
    for round in 1..=rounds {
        sleep(SETTLE).await;
        each = (server.memory()?.now - before) / paths.len() as f64;
        shared.saw.store(0, Ordering::SeqCst);
        shared.answers.store(0, Ordering::SeqCst);
        shared.round.store(round, Ordering::SeqCst);
        let put = server.request("PUT", "/v1/agent/service/register", &definition(service, 0, 9000 + round));
        let begun = Instant::now();
        let all = async {
            let (asked, ()) = tokio::join!(writer.ask(&put), shared.done.notified());
            asked
        };
        tokio::select! {
            done = timeout(PATIENCE, all) => {
                let saw = shared.saw.load(Ordering::SeqCst);
                done.with_context(|| format!("{server:?}: a change reached {saw} of {expected} that wait"))??;
            }
            Some(ended) = watchers.join_next() => ended?.context("one who waits")?,
        }
        times.push(milliseconds(begun.elapsed()));
    }
    sleep(SETTLE).await;
    let peak = server.memory()?.peak - before;
    Ok(Seen { last: median(times), each, peak, woken: shared.answers.load(Ordering::SeqCst) })
}

async fn watch(
    mut connection: Connection,
    first: Vec<u8>,
    path: String,
    shared: Arc<Shared>,
    expected: usize,
) -> anyhow::Result<()> {
    let mut index = connection.ask(&first).await?.index;
    shared.ready.fetch_add(1, Ordering::SeqCst);
    let mut seen = 0;
    let template = String::from_utf8(first)?;
    loop {
        let request = template.replacen(&path, &format!("{path}&index={index}&wait=5m"), 1);
        index = connection.ask(request.as_bytes()).await?.index;
        shared.answers.fetch_add(1, Ordering::SeqCst);
        let round = shared.round.load(Ordering::SeqCst);
        if seen < round {
            seen = round;
            if shared.saw.fetch_add(1, Ordering::SeqCst) + 1 == expected {
                shared.done.notify_one();
            }
        }
    }
}

/// As many requests at once as there are watchers, to a server that has nothing to do.
async fn limit(clients: usize, bytes: usize) -> anyhow::Result<f64> {
    let server = Process::start(What::Canned { bytes }).await?;
    let start = Arc::new(Barrier::new(clients + 1));
    let mut asking = JoinSet::new();
    for _ in 0..clients {
        let mut connection = Connection::open(server.addr()).await?;
        let (request, start) = (server.request("GET", "/", ""), Arc::clone(&start));
        asking.spawn(async move {
            start.wait().await;
            connection.ask(&request).await
        });
    }
    let begun = Instant::now();
    start.wait().await;
    while let Some(asked) = asking.join_next().await {
        asked??;
    }
    Ok(milliseconds(begun.elapsed()))
}

/// The rows of many who watch one service.
///
/// # Errors
/// When a server or a request fails.
pub(crate) async fn of_one(bench: &Bench, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    // The targets, and what the limit was where they were set.
    let sizes = [
        (10, 100, 3.0, 2.0),
        (10, 1_000, 30.0, 26.0),
        (10, 5_000, 160.0, 144.0),
        (1_000, 1_000, 150.0, 110.0),
    ];
    for (instances, watchers, target, limit_then) in sizes {
        let watchers = bench.size(watchers);
        let paths = vec!["/v1/health/service/watched?passing".to_owned(); watchers];
        let rounds = if instances > 10 { 3 } else { 5 };
        let ours = bench.portolan(Storage::Disk).await?;
        fill(&ours, "watched", instances).await?;
        let get = ours.request("GET", &paths.first().context("no path")?.clone(), "");
        let bytes = Connection::open(ours.addr()).await?.read(&get).await?.1.len();
        let seen = crowd(&ours, &paths, "watched", rounds, watchers).await?;
        drop(ours);
        let theirs = match bench.consul(Storage::Disk).await? {
            Some(consul) => {
                fill(&consul, "watched", instances).await?;
                Some(crowd(&consul, &paths, "watched", if instances > 10 { 1 } else { 3 }, watchers).await?)
            }
            None => None,
        };
        let bare = limit(watchers, bytes).await?;
        let what = format!("a change, {instances} instances, the last of {watchers} watchers");
        rows.push(
            Row::new(format!("{what} (limit {bare:.1} ms)"), seen.last, "ms")
                .beside(bench.peer(), theirs.map(|theirs| theirs.last))
                .at_most(target),
        );
        // Times of a busy machine say little; this holds on any.
        rows.extend(Row::over(format!("{what}, over the limit"), seen.last, Some(bare), target / limit_then));
        if instances > 10 {
            rows.push(
                Row::new(format!("{what}: memory at the worst"), seen.peak / 1e6, "MB")
                    .beside(bench.peer(), theirs.map(|theirs| theirs.peak / 1e6))
                    .at_most(40.0),
            );
        } else {
            let row = Row::new(format!("{watchers} watchers: memory of each"), seen.each / 1024.0, "KiB")
                .beside(bench.peer(), theirs.map(|theirs| theirs.each / 1024.0));
            // What one costs among a hundred is the server's own noise.
            rows.push(if watchers < 1_000 { row } else { row.at_most(16.0) });
        }
    }
    Ok(())
}

/// The rows of many services with a watcher each.
///
/// # Errors
/// As [`of_one`].
pub(crate) async fn of_each(bench: &Bench, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let services = bench.size(1_000);
    let paths: Vec<String> =
        (0..services).map(|number| format!("/v1/health/service/each-{number}?passing")).collect();
    let mut seen = Vec::new();
    let ours = bench.portolan(Storage::Memory).await?;
    let consul = bench.consul(Storage::Memory).await?;
    for server in [Some(&ours), consul.as_ref()].into_iter().flatten() {
        for number in 0..services {
            fill(server, &format!("each-{number}"), 1).await?;
        }
        seen.push(crowd(server, &paths, "each-7", 21, 1).await?);
    }
    let Some(first) = seen.first() else { return Ok(()) };
    let theirs = seen.get(1);
    let what = format!("{services} services with a watcher each, one change");
    rows.push(
        Row::new(what.clone(), first.last, "ms")
            .beside(bench.peer(), theirs.map(|theirs| theirs.last))
            .at_most(0.5),
    );
    rows.push(
        Row::new(format!("{what}: watchers answered"), first.woken as f64, "")
            .beside(bench.peer(), theirs.map(|theirs| theirs.woken as f64))
            .at_most(1.0),
    );
    Ok(())
}
