//! A registry that is away for five minutes under a thousand views: what is sent to it, what is logged, what lookups
//! say, and how the views come back.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use portolan::{
    BreakerState, Config, Discovery, Error, Identity, Instance, Kind, Registry, ServiceId,
    registry::{
        AgentInfo, Answer, CatalogQuery, Definition, Registered, Reply, Report, ServiceQuery, ServiceTags,
    },
};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, timeout},
};
use tracing::{Event, Level, Metadata, Subscriber, span};

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Outcome = Result<(), Failure>;

const VIEWS: usize = 1_000;
const SECOND: Duration = Duration::from_secs(1);

/// A registry of one instance a service, that can go away: then open reads break, and new ones fail at once.
#[derive(Debug, Default)]
struct Switch {
    away: AtomicBool,
    turned: Notify,
    open: AtomicUsize,
    most_open: AtomicUsize,
    #[expect(clippy::disallowed_types, reason = "a test's own")]
    asked: std::sync::Mutex<Vec<Instant>>,
}

struct Open<'a>(&'a Switch);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Switch {
    fn turn(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
        self.turned.notify_waiters();
    }

    fn asked(&self) -> Vec<Instant> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn read(&self, query: &ServiceQuery) -> Result<Answer<Vec<Arc<Instance>>>, Error> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_open.fetch_max(open, Ordering::SeqCst);
        let _open = Open(self);
        let turned = self.turned.notified();
        if !self.away.load(Ordering::SeqCst)
            && let Some(block) = query.block
        {
            // Either way it is over: which, the switch says.
            let _turned = timeout(block.wait, turned).await.is_ok();
        }
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::registry(Kind::Unreachable, "the registry is away"));
        }
        let name = query.service.as_str();
        let instance = Instance::new(Identity::new("dc1", "n1", name), name, "10.0.0.1", 80);
        Ok(Answer::new(vec![Arc::new(instance)], 7))
    }
}

fn unused<'a, T: Send + 'a>() -> Reply<'a, T> {
    Box::pin(std::future::ready(Err(Error::registry(Kind::Rejected, "not of this test"))))
}

impl Registry for Switch {
    fn describe(&self) -> String {
        "the switch".to_owned()
    }

    fn service<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Vec<Arc<Instance>>>> {
        Box::pin(self.read(query))
    }

    fn services<'a>(&'a self, _: &'a CatalogQuery) -> Reply<'a, Answer<ServiceTags>> {
        unused()
    }

    fn agent(&self) -> Reply<'_, AgentInfo> {
        unused()
    }

    fn registered<'a>(&'a self, _: &'a [ServiceId]) -> Reply<'a, Vec<Registered>> {
        unused()
    }

    fn register<'a>(&'a self, _: &'a Definition) -> Reply<'a, ()> {
        unused()
    }

    fn deregister<'a>(&'a self, _: &'a ServiceId) -> Reply<'a, ()> {
        unused()
    }

    fn report<'a>(&'a self, _: &'a Report) -> Reply<'a, ()> {
        unused()
    }

    fn maintenance<'a>(&'a self, _: &'a ServiceId, _: Option<&'a str>) -> Reply<'a, ()> {
        unused()
    }
}

/// Counts the lines that a program sees which logs from `info` on.
#[derive(Clone, Default)]
struct Lines(Arc<AtomicU64>);

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

fn name(view: usize) -> String {
    format!("service-{view}")
}

async fn warm(discovery: &Discovery) -> Outcome {
    let mut first = JoinSet::new();
    for view in 0..VIEWS {
        let discovery = discovery.clone();
        first.spawn(async move { discovery.service(&name(view)).await.map(drop) });
    }
    while let Some(done) = first.join_next().await {
        done??;
    }
    Ok(())
}

/// How old the oldest view is; an error when a lookup fails.
fn oldest(discovery: &Discovery) -> Result<Duration, Failure> {
    let mut oldest = Duration::ZERO;
    for view in 0..VIEWS {
        let age = discovery.warm(&name(view), |found| {
            found.pick().map_err(|none| none.to_string())?;
            let age = found.watch().snapshot().freshness().age(Instant::now().into_std());
            Ok::<_, Failure>(age.unwrap_or(Duration::MAX))
        });
        oldest = oldest.max(age.ok_or("a lookup of a warm service found no resolver")??);
    }
    Ok(oldest)
}

#[expect(clippy::print_stdout, reason = "for BENCHMARKS.md, with --nocapture")]
fn figures(line: &str) {
    println!("{line}");
}

/// The most that were sent in any second.
fn peak(asked: &[Instant]) -> usize {
    let within = |first: &Instant| asked.iter().filter(|at| **at >= *first && **at < *first + SECOND).count();
    asked.iter().map(within).max().unwrap_or(0)
}

async fn five_minutes_without_a_registry(connections: usize, seed: u64) -> Outcome {
    let lines = Lines::default();
    let _logs = tracing::subscriber::set_default(lines.clone());
    let registry = Arc::new(Switch::default());
    let config = Config::default().seed(seed).connections(connections);
    let discovery = Discovery::with_registry(Arc::<Switch>::clone(&registry), config);
    warm(&discovery).await?;
    tokio::time::sleep(60 * SECOND).await;
    assert!(registry.most_open.load(Ordering::SeqCst) <= connections + 16, "places of two kinds");
    let (before, said) = (registry.asked().len(), lines.0.load(Ordering::SeqCst));

    registry.turn(true);
    let gone = Instant::now();
    for _ in 0..60 {
        tokio::time::sleep(5 * SECOND).await;
        oldest(&discovery)?;
    }
    let asked = registry.asked().split_off(before);
    let late = asked.iter().filter(|at| at.duration_since(gone) > 10 * SECOND).count();
    assert!(late <= 290, "{late} requests in 290 s");
    assert!(late >= 100, "{late}: nobody finds out that it is back");
    assert!(oldest(&discovery)? >= 300 * SECOND);
    let state = discovery.registry_state();
    assert!(!state.is_up() && state.writes == BreakerState::Closed, "{state:?}");

    let before = registry.asked().len();
    registry.turn(false);
    let back = Instant::now();
    while oldest(&discovery)? > back.elapsed() {
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(back.elapsed() < 12 * SECOND, "the oldest is {:?} old", oldest(&discovery)?);
    }
    let took = back.elapsed();
    tokio::time::sleep(60 * SECOND).await;
    let peak = peak(&registry.asked().split_off(before));
    assert!(peak <= 601, "{peak} requests in one second of the return");
    let said = lines.0.load(Ordering::SeqCst) - said;
    assert!(said <= 20, "{said} lines");
    assert!(said >= 3, "{said} lines: an operator learns nothing");
    assert!(discovery.registry_state().is_up());
    let early = asked.len() - late;
    figures(&format!(
        "{connections} places: {early} requests in the first 10 s, {late} in the next 290; {said} lines; all \
         refreshed after {took:?}, at most {peak} requests a second"
    ));
    discovery.close(5 * SECOND).await?;
    assert_eq!(registry.open.load(Ordering::SeqCst), 0, "no read is left open");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn five_minutes_without_a_registry_cost_it_one_request_a_second_and_the_log_twenty_lines() -> Outcome {
    five_minutes_without_a_registry(64, 1).await
}

#[tokio::test(start_paused = true)]
async fn so_it_is_when_each_view_had_a_read_open() -> Outcome {
    five_minutes_without_a_registry(2_000, 2).await
}
