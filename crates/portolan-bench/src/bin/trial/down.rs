//! A registry that is gone for minutes under a process with a thousand views: what the process asks of it, and logs.
//!
//! In:  a proxy that refuses and counts. Out: requests by second, log lines, how long until all was read again, and
//! the peak of that.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use portolan_server::faults::{Faults, Proxy};
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

use crate::{
    Setting,
    node::Node,
    stage::{Proof, Size, Stage, at},
    table::{Table, time},
};

/// Lines that a log at the level `info` would have.
static LINES: AtomicU64 = AtomicU64::new(0);

/// Counts what the library logs.
struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let meta = event.metadata();
        let by_the_library = meta.target() == "portolan" || meta.target().starts_with("portolan::");
        if by_the_library && *meta.level() <= Level::INFO {
            LINES.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Begins to count log lines.
pub(crate) fn count_lines() {
    // A second time is no harm.
    drop(tracing_subscriber::registry().with(Lines).try_init());
}

/// In so many seconds views may still find out, each by itself.
const FIRST: usize = 10;
/// So many requests a second after that.
const MOST: f64 = 1.0;
/// So many log lines in the whole outage.
const MOST_LINES: u64 = 20;

/// The trial.
pub(crate) async fn trial(setting: &Setting) -> anyhow::Result<Table> {
    let mut table = Table::new(&[
        "registry",
        "views",
        "gone for",
        "requests in the first 10 s",
        "a second after that: mean / most",
        "log lines",
        "all read again after",
        "peak, requests a second",
        "lookups failed",
    ]);
    let views = if setting.short { 300 } else { 1_000 };
    one("embedded", Node::embedded().await?, views, setting, &mut table).await?;
    let node = Node::consul(setting.consul()?, json!({})).await?;
    one("Consul", node, views, setting, &mut table).await?;
    Ok(table)
}

async fn one(
    registry: &str,
    node: Node,
    views: usize,
    setting: &Setting,
    table: &mut Table,
) -> anyhow::Result<()> {
    println!("   {registry}");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let proxy = Proxy::start(any, node.http(), Faults::default()).await?;
    let size = Size { services: views, instances: 1, threads: 2, rate: 500 };
    let stage = Stage::new(size, node.http(), at(proxy.addr())?).await?;
    let crowd = stage.crowd(size);
    let gone = setting.time(300, 60);

    let lines = LINES.load(Ordering::Relaxed);
    let begun = Instant::now();
    proxy.cut();
    crowd.registry_is_gone();
    let asked = by_second(&proxy, begun, gone).await;
    let lines = LINES.load(Ordering::Relaxed) - lines;
    crowd.registry_may_answer();
    let before = proxy.counts().requests;
    let over = Instant::now();
    proxy.resume();
    let peak = async {
        let mut most = 0;
        let mut last = before;
        for second in 1..=60_u32 {
            sleep_until(over + Duration::from_secs(1) * second).await;
            let now = proxy.counts().requests;
            most = most.max(now - last);
            last = now;
        }
        most
    };
    let (converged, peak) = tokio::join!(stage.converged(over, Proof::After(over)), peak);
    let tally = stage.end(crowd).await?;
    let (first, rest) = asked.split_at_checked(FIRST).unwrap_or((&asked, &[]));
    let mean = average(rest);
    table.row([
        registry.to_owned(),
        views.to_string(),
        time(gone),
        first.iter().sum::<u64>().to_string(),
        format!("{mean:.2} / {}", rest.iter().max().copied().unwrap_or_default()),
        lines.to_string(),
        converged.as_ref().map_or_else(ToString::to_string, |took| time(*took)),
        peak.to_string(),
        format!("{} of {}", tally.failed, tally.made),
    ]);
    table.must(
        mean <= MOST,
        format!("{registry}: {mean:.2} requests a second after the first 10 s, not {MOST}"),
    );
    table.must(lines <= MOST_LINES, format!("{registry}: {lines} log lines in the outage, not {MOST_LINES}"));
    table.must(converged.is_ok(), format!("{registry}: the views did not converge"));
    if let Some(wrong) = tally.wrong() {
        table.must(false, format!("{registry}: {wrong}"));
    }
    Ok(())
}

/// How many connections were refused in each second.
async fn by_second(proxy: &Proxy, begun: Instant, lasts: Duration) -> Vec<u64> {
    let mut last = proxy.counts().refused;
    let mut asked = Vec::new();
    for second in 1..=u32::try_from(lasts.as_secs()).unwrap_or(u32::MAX) {
        sleep_until(begun + Duration::from_secs(1) * second).await;
        let now = proxy.counts().refused;
        asked.push(now - last);
        last = now;
    }
    asked
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
fn average(counts: &[u64]) -> f64 {
    counts.iter().sum::<u64>() as f64 / counts.len().max(1) as f64
}
