//! An answer with ten thousand instances: what it costs to read it first, and to read it when one of them changed.
//!
//! In:  bodies as Consul writes them, in memory. Out: rows. A registry hands a body to the decoder that a view of Consul
//! uses; from there to the published snapshot everything is the library's own: the guard, the loop, the step machine.
//!
//! Each round runs Portolan, the peer and the limits one after another; the least of each is kept, as what is above it
//! is the noise of others. The peer is what people write: every field as an owned type of serde, and the last answer in
//! a map by id, to see what differs.
//!
//! Never: counts the time in which bytes travel.
#![expect(clippy::disallowed_methods, reason = "to measure time is what this file is for")]

use std::{
    collections::HashMap,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{anyhow, ensure};
use portolan::{
    Config, Discovery, Instance, Select, ViewConfig,
    registry::{
        Answer, CheckOutput, Recall, Reply, ServiceQuery,
        consul::inside::{is_split, recalled},
    },
};
use serde::Deserialize;
use tokio::sync::watch;

use crate::{
    body::body,
    fixture::{Reads, ReadsOnly},
    measure::disturbed,
    report::Row,
};

/// How many instances an answer has.
pub(crate) const INSTANCES: usize = 10_000;

/// An element of the answer, as a program types it that wants all of it.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Typed {
    node: TypedNode,
    service: TypedService,
    checks: Vec<TypedCheck>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TypedNode {
    node: String,
    address: String,
    datacenter: String,
    meta: HashMap<String, String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TypedService {
    #[serde(rename = "ID")]
    id: String,
    service: String,
    tags: Vec<String>,
    address: String,
    meta: HashMap<String, String>,
    port: u16,
    weights: TypedWeights,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TypedWeights {
    passing: u16,
    warning: u16,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TypedCheck {
    #[serde(rename = "CheckID")]
    check_id: String,
    name: String,
    status: String,
    output: String,
    #[serde(rename = "ServiceID")]
    service_id: String,
}

/// Reads an answer and finds what differs from the last, as it is mostly written by hand.
fn by_hand(body: &[u8], last: &mut HashMap<String, Typed>) -> anyhow::Result<usize> {
    let entries: Vec<Typed> = serde_json::from_slice(body)?;
    let new: HashMap<String, Typed> =
        entries.into_iter().map(|entry| (entry.service.id.clone(), entry)).collect();
    let changed = new.iter().filter(|(id, entry)| last.get(*id) != Some(*entry)).count();
    let gone = last.keys().filter(|id| !new.contains_key(*id)).count();
    *last = new;
    Ok(changed + gone)
}

/// The body that the registry answers with, and its index.
type Stand = (Arc<Vec<u8>>, u64);

/// What one round took, from the body in memory until the view has published it and asks again.
#[derive(Debug, Default)]
struct Round {
    /// When its decode began, and how often the thread had lost its processor until then.
    began: Option<(Instant, Option<String>)>,
    /// The least of all rounds in which it did not.
    least: Option<Duration>,
}

/// A registry whose answers lie in memory.
#[derive(Debug)]
struct Canned {
    now: watch::Receiver<Stand>,
    #[expect(clippy::disallowed_types, reason = "twice a read")]
    round: Arc<std::sync::Mutex<Round>>,
}

impl Reads for Canned {
    fn read<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Vec<Arc<Instance>>>> {
        Box::pin(self.answer(query))
    }
}

impl Canned {
    async fn answer(&self, query: &ServiceQuery) -> Result<Answer<Vec<Arc<Instance>>>, portolan::Error> {
        // The loop of a view asks again in the same breath in which it published.
        if let Ok(mut round) = self.round.lock()
            && let Some((began, before)) = round.began.take()
        {
            let took = began.elapsed();
            if disturbed() == before {
                round.least = Some(round.least.map_or(took, |least| least.min(took)));
            }
        }
        let mut now = self.now.clone();
        let after = query.block.map_or(0, |block| block.index);
        let stand = now.wait_for(|(_, index)| *index > after).await;
        let Ok((body, index)) = stand.map(|stand| stand.clone()) else { return std::future::pending().await };
        let recall = query.recall.clone().unwrap_or_else(|| Recall::new(1));
        if let Ok(mut round) = self.round.lock() {
            let before = disturbed();
            round.began = Some((Instant::now(), before));
        }
        match recalled(&body, query.output, &recall) {
            Ok(seen) => Ok(Answer::new(seen.instances, index)),
            Err(_never) => std::future::pending().await,
        }
    }
}

/// How many rounds, and whether there is time to be patient.
pub(crate) fn rows(rounds: u32) -> anyhow::Result<Vec<Row>> {
    let bodies: Vec<Arc<Vec<u8>>> =
        [0, 1].map(|version| Arc::new(body(INSTANCES, version).into_bytes())).into();
    let [first, other] = &bodies[..] else { return Err(anyhow!("two bodies")) };
    let mut one = Least::default();
    change(first, other, rounds, &mut one)?;
    let (start, memory) = decode(first, rounds)?;
    let each = |time: Duration| time.as_secs_f64() * 1e9 / as_number(INSTANCES);
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let name = |what: &str| format!("an answer of {INSTANCES} instances: {what}");
    let peer = "serde_json, owned, and a map";
    Ok(vec![
        Row::beside_one(
            name("one change, until it is published"),
            ms(one.portolan),
            "ms",
            peer,
            ms(one.peer),
            Some(6.0),
        ),
        Row::beside_one(
            name("the same, against the limit"),
            ms(one.portolan),
            "ms",
            "limit: split and hash",
            ms(one.split),
            None,
        ),
        Row::beside_one(
            name("the same, against a copy"),
            ms(one.portolan),
            "ms",
            "limit: memcpy",
            ms(one.copy),
            None,
        ),
        Row::beside_one(
            name("first decode, an instance"),
            each(start.portolan),
            "ns",
            "serde_json, owned",
            each(start.peer),
            Some(2_000.0),
        ),
        Row::beside_one(
            name("first decode, allocations an instance"),
            memory.allocations,
            "allocations",
            "serde_json, owned",
            memory.peer_allocations,
            Some(8.0),
        ),
        Row::beside_one(
            name("memory of a view, an instance"),
            memory.bytes,
            "bytes",
            "serde_json, owned",
            memory.peer_bytes,
            Some(600.0),
        ),
    ])
}

/// The least that each took.
#[derive(Clone, Copy, Debug)]
struct Least {
    portolan: Duration,
    peer: Duration,
    split: Duration,
    copy: Duration,
}

impl Default for Least {
    fn default() -> Self {
        let most = Duration::MAX;
        Self { portolan: most, peer: most, split: most, copy: most }
    }
}

fn keep<R>(least: &mut Duration, run: impl FnOnce() -> R) -> R {
    let from = Instant::now();
    let made = run();
    *least = from.elapsed().min(*least);
    made
}

/// One of the instances changes, again and again, under a view that follows.
fn change(first: &Arc<Vec<u8>>, other: &Arc<Vec<u8>>, rounds: u32, least: &mut Least) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (stand, now) = watch::channel((Arc::clone(first), 1));
    let registry = Canned { now, round: Arc::default() };
    let round = Arc::clone(&registry.round);
    let quiet = ViewConfig::default().wait(Duration::from_secs(600));
    let config = Config::default().view(quiet).seed(1);
    let discovery =
        runtime.block_on(async { Discovery::with_registry(Arc::new(ReadsOnly(registry)), config) });
    let resolver = runtime.block_on(discovery.service_with("web", Select::default()))?;
    let (recall, mut by_id) = (Recall::new(1), HashMap::new());
    for (index, body) in (2..).zip([other, first].into_iter().cycle()).take(usize::try_from(rounds)?) {
        // A view reads four times a second, and what is measured must not wait for its turn.
        std::thread::sleep(Duration::from_millis(300));
        stand.send((Arc::clone(body), index))?;
        while resolver.snapshot().freshness().index < index {
            std::thread::sleep(Duration::from_millis(2));
        }
        let changed = keep(&mut least.peer, || by_hand(body, &mut by_id))?;
        ensure!(index == 2 || changed == 1, "{changed} changes by hand, where one was made");
        black_box(keep(&mut least.copy, || body.to_vec()));
        recalled(body, CheckOutput::Drop, &recall).map_err(|error| anyhow!(error))?;
        ensure!(keep(&mut least.split, || is_split(body, CheckOutput::Drop, &recall)), "not split");
    }
    runtime.block_on(discovery.close(Duration::from_secs(5)))?;
    let took = round.lock().ok().and_then(|round| round.least);
    least.portolan = took.ok_or_else(|| anyhow!("no round was undisturbed: the machine is too busy"))?;
    Ok(())
}

/// What a decode leaves behind.
struct Memory {
    allocations: f64,
    bytes: f64,
    peer_allocations: f64,
    peer_bytes: f64,
}

/// An answer is read of which nothing is known.
fn decode(body: &[u8], rounds: u32) -> anyhow::Result<(Least, Memory)> {
    let mut least = Least::default();
    // What a view keeps: the list that is published, and what is remembered of the answer.
    let view = || {
        let recall = Recall::new(1);
        let seen = recalled(body, CheckOutput::Drop, &recall).unwrap_or_default();
        let published: Arc<[Arc<Instance>]> = seen.instances.into();
        (published, recall)
    };
    let peer = || serde_json::from_slice::<Vec<Typed>>(body).unwrap_or_default();
    for _ in 0..rounds {
        ensure!(keep(&mut least.portolan, view).0.len() == INSTANCES, "not all were read");
        ensure!(keep(&mut least.peer, peer).len() == INSTANCES, "not all were read");
    }
    let (mut kept, mut typed) = (None, Vec::new());
    let ours = allocation_counter::measure(|| kept = Some(view()));
    let theirs = allocation_counter::measure(|| typed = peer());
    drop(black_box((kept, typed)));
    let each = |count: u64| count as f64 / as_number(INSTANCES);
    let bytes = |count: i64| each(u64::try_from(count).unwrap_or(0));
    let memory = Memory {
        allocations: each(ours.count_total),
        bytes: bytes(ours.bytes_current),
        peer_allocations: each(theirs.count_total),
        peer_bytes: bytes(theirs.bytes_current),
    };
    Ok((least, memory))
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
fn as_number(count: usize) -> f64 {
    count as f64
}
