//! Half an hour of work: ten thousand instances, a thousand who watch, fifty changes a second. Memory stays, nothing fails,
//! nobody misses a change.
//!
//! In:  the command `portolan`, with its data on disk. Out: memory after a sixth, a half and all of the time; how soon those
//! who watch saw each change.
//!
//! Every change has a number that is in the answer from then on, and numbers rise. Whoever watches a service must have seen
//! the number of a change, or a higher one, a while after it was acknowledged.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use serde_json::json;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    Setting,
    http::{Connection, request},
    node::Node,
    table::{Table, time},
};

const SERVICES: usize = 1_000;
/// Instances of each.
const EACH: usize = 10;
const WRITERS: usize = 8;
/// Changes a second.
const RATE: u32 = 50;
/// How long after it was acknowledged a change must have been seen by whoever watches.
const SEEN_WITHIN: Duration = Duration::from_secs(5);
/// How far memory may be from what it was at the first look.
const FLAT: f64 = 1.05;
/// From so many minutes on memory is judged: by the first look all caches are full then. Of less it is shown only.
const WARM: u32 = 30;
/// When memory is looked at, in parts of the whole.
const LOOKS: [(u32, u32); 3] = [(1, 6), (1, 2), (1, 1)];

/// What is known of each service.
#[derive(Debug, Default)]
struct Known {
    /// The highest number that was seen.
    seen: AtomicU64,
    /// How long the slowest took from being sent to being seen, in microseconds.
    slowest: AtomicU64,
    /// When the newest was sent, in microseconds since the start.
    sent: AtomicU64,
}

/// A change that was acknowledged.
#[derive(Clone, Copy, Debug)]
struct Change {
    service: usize,
    number: u64,
    at: Instant,
}

/// The trial.
pub(crate) async fn trial(setting: &Setting) -> anyhow::Result<Table> {
    let minutes = setting.minutes.unwrap_or(if setting.short { 2 } else { 30 });
    let whole = Duration::from_secs(60) * minutes;
    let mut node = Node::kept(setting.command()?)?;
    node.start().await?;
    fill(node.http()).await?;
    let known: Arc<Vec<Known>> = Arc::new((0..SERVICES).map(|_| Known::default()).collect());
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for service in 0..SERVICES {
        tasks.spawn(watch(node.http(), service, Arc::clone(&known), begun));
    }
    let (told, mut changes) = mpsc::channel(4096);
    tasks.spawn(change(node.http(), Arc::clone(&known), begun, told));

    let mut table =
        Table::new(&["after", "changes", "memory, MiB", "processor (cores)", "slowest to be seen"]);
    let (mut open, mut count, mut missed) = (VecDeque::new(), 0_usize, 0_usize);
    let (mut first, mut furthest) = (None, 1.0_f64);
    for (part, of) in LOOKS {
        let until = begun + whole * part / of;
        while Instant::now() < until {
            tokio::select! {
                change = changes.recv() => {
                    open.push_back(change.context("nobody changes anything any more")?);
                    count += 1;
                }
                ended = tasks.join_next() => {
                    let why = ended.context("everybody has ended")??.err();
                    anyhow::bail!("an error after {}: {why:#?}", time(begun.elapsed()));
                }
                () = sleep(until - Instant::now()) => {}
            }
            missed += overdue(&mut open, &known);
        }
        let memory = node.memory()? as f64;
        let ratio = memory / *first.get_or_insert(memory);
        furthest = if (ratio - 1.0).abs() > (furthest - 1.0).abs() { ratio } else { furthest };
        let cpu = node.cpu()?.as_secs_f64() / begun.elapsed().as_secs_f64();
        let slowest = known.iter().map(|known| known.slowest.swap(0, Ordering::SeqCst)).max().unwrap_or(0);
        let (after, slowest) = (time(begun.elapsed()), time(Duration::from_micros(slowest)));
        let memory = format!("{:.1}", memory / f64::from(1 << 20));
        table.row([after, count.to_string(), memory, format!("{cpu:.3}"), slowest]);
    }
    sleep(SEEN_WITHIN).await;
    missed += overdue(&mut open, &known);
    let due = whole.as_secs() * u64::from(RATE);
    table.note(format!(
        "{SERVICES} watchers, {} instances, {missed} changes missed, no error.",
        SERVICES * EACH
    ));
    table.must(missed == 0, format!("{missed} changes were not seen within {}", time(SEEN_WITHIN)));
    table.must(count as u64 >= due * 95 / 100, format!("only {count} of {due} changes were made"));
    let flat = (1.0 / FLAT..=FLAT).contains(&furthest);
    table.must(flat || minutes < WARM, format!("memory became {furthest:.3} times what it was"));
    Ok(table)
}

/// How many of those that should have been seen by now were not.
fn overdue(open: &mut VecDeque<Change>, known: &[Known]) -> usize {
    let mut missed = 0;
    while let Some(Change { service, number, .. }) =
        open.pop_front_if(|change| change.at.elapsed() >= SEEN_WITHIN)
    {
        let seen = known.get(service).map_or(0, |known| known.seen.load(Ordering::SeqCst));
        if seen < number {
            tracing::error!(service, number, seen, "a change was missed");
            missed += 1;
        }
    }
    missed
}

fn definition(service: usize, instance: usize, number: u64) -> String {
    json!({
        "Name": format!("soak-{service:04}"), "ID": format!("soak-{service:04}-{instance}"), "Port": 8000 + instance,
        "Tags": ["http", "v1.4.2"], "Meta": { "number": format!("#{number}#"), "zone": "eu-1a" },
        "Check": { "CheckID": format!("check:{service:04}-{instance}"), "TTL": "24h", "Status": "passing" },
    })
    .to_string()
}

async fn fill(addr: SocketAddr) -> anyhow::Result<()> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(async move {
            let mut connection = Connection::open(addr).await?;
            for number in (writer..SERVICES * EACH).step_by(WRITERS) {
                let body = definition(number / EACH, number % EACH, 0);
                connection.ask(&request("PUT", "/v1/agent/service/register", None, &body)).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    Ok(())
}

/// Makes changes at a steady rate: new definitions, statuses, instances that go and come.
async fn change(
    addr: SocketAddr,
    known: Arc<Vec<Known>>,
    begun: Instant,
    told: mpsc::Sender<Change>,
) -> anyhow::Result<()> {
    let mut connection = Connection::open(addr).await?;
    let mut turns = interval(Duration::from_secs(1) / RATE);
    turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 1_u64.. {
        turns.tick().await;
        // Spread without a pattern that repeats within minutes.
        let roll = usize::try_from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33)?;
        let (service, instance) = (roll % SERVICES, roll / SERVICES % EACH);
        let Some(of) = known.get(service) else { continue };
        of.sent.store(u64::try_from(begun.elapsed().as_micros())?, Ordering::SeqCst);
        let id = format!("{service:04}-{instance}");
        if number % 3 == 1 {
            let status = if number % 2 == 0 { "passing" } else { "warning" };
            // A status that it has already would be no change: first the other one.
            for (status, number) in [("critical", 0), (status, number)] {
                let body = json!({ "Status": status, "Output": format!("#{number}#") }).to_string();
                let path = format!("/v1/agent/check/update/check:{id}");
                connection.ask(&request("PUT", &path, None, &body)).await?;
            }
        } else {
            if number % 3 == 2 {
                let path = format!("/v1/agent/service/deregister/soak-{id}");
                connection.ask(&request("PUT", &path, None, "")).await?;
            }
            let body = definition(service, instance, number);
            connection.ask(&request("PUT", "/v1/agent/service/register", None, &body)).await?;
        }
        told.send(Change { service, number, at: Instant::now() }).await?;
    }
    Ok(())
}

async fn watch(
    addr: SocketAddr,
    service: usize,
    known: Arc<Vec<Known>>,
    begun: Instant,
) -> anyhow::Result<()> {
    let of = known.get(service).context("no such service")?;
    let mut connection = Connection::open(addr).await?;
    let mut index = 0;
    loop {
        let path = format!("/v1/health/service/soak-{service:04}?index={index}&wait=1m");
        let get = request("GET", &path, None, "");
        let (head, body) = timeout(Duration::from_secs(90), connection.read(&get)).await??;
        anyhow::ensure!(head.index >= index, "the index went down from {index} to {}", head.index);
        index = head.index;
        let newest = numbers(&body).max().unwrap_or(0);
        if of.seen.fetch_max(newest, Ordering::SeqCst) < newest {
            let now = u64::try_from(begun.elapsed().as_micros())?;
            of.slowest.fetch_max(now.saturating_sub(of.sent.load(Ordering::SeqCst)), Ordering::SeqCst);
        }
    }
}

/// The numbers of changes in a body: `#7#`.
fn numbers(body: &[u8]) -> impl Iterator<Item = u64> {
    body.split(|byte| *byte == b'#').filter_map(|part| std::str::from_utf8(part).ok()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_was_not_seen_in_time_is_missed() {
        let known = [Known::default()];
        known[0].seen.store(
            numbers(br##"[{"Meta":{"number":"#7#"}},{"Output":"#12#"}]"##).max().unwrap(),
            Ordering::SeqCst,
        );
        let at = Instant::now().checked_sub(SEEN_WITHIN).unwrap();
        let late = |number| Change { service: 0, number, at };
        let mut open = VecDeque::from([late(7), late(13), Change { at: Instant::now(), ..late(14) }]);
        assert_eq!((overdue(&mut open, &known), open.len()), (1, 1));
    }
}
