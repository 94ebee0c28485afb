//! What is measured reaches the program's own recorder, under the names of `telemetry.rs`.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use portolan::{
    Config, Discovery, HealthConfig, HealthEndpoint, HealthView, Probe, Registration,
    registry::memory::Memory,
};

/// Counters by name and labels, as a program's recorder would have them; gauges by name as the last value, rounded.
#[derive(Clone, Default)]
struct Kept {
    #[expect(clippy::disallowed_types, reason = "a test's own")]
    counters: Arc<std::sync::Mutex<BTreeMap<String, Arc<AtomicU64>>>>,
}

impl Kept {
    fn slot(&self, key: &Key) -> Arc<AtomicU64> {
        let mut name = key.name().to_owned();
        for label in key.labels() {
            name.push_str(&format!(" {}={}", label.key(), label.value()));
        }
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(counters.entry(name).or_default())
    }

    fn all(&self) -> BTreeMap<String, u64> {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.iter().map(|(name, count)| (name.clone(), count.load(Ordering::Relaxed))).collect()
    }
}

struct Count(Arc<AtomicU64>);

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Count(self.slot(key))))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.slot(key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.slot(key);
        Histogram::noop()
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Ten picks and one service that is not there, on a registry that goes away for a minute.
async fn use_everything() -> Outcome {
    let memory = Memory::new();
    let discovery = Discovery::with_registry(Arc::new(memory.clone()), Config::default());
    let mut handle = discovery.register(Registration::ttl("web", 80)).await?;
    handle.wait_healthy(Duration::from_secs(5)).await?;
    let web = discovery.service("web").await?;
    discovery.service("web").await?;
    for _ in 0..10 {
        drop(web.pick()?);
    }
    let none = discovery.service("none").await?;
    assert!(none.pick().is_err());
    let services = discovery.services().await?;
    memory.set_reachable(false);
    let failing = |now: &portolan::Snapshot| now.failure().is_some();
    web.watch().wait_until(failing, Duration::from_secs(60)).await?;
    services.wait_until(|now| now.failure().is_some(), Duration::from_secs(60)).await?;
    memory.set_reachable(true);
    let again = |now: &portolan::Snapshot| now.failure().is_none();
    web.watch().wait_until(again, Duration::from_secs(60)).await?;
    // Lookups are folded in each ten seconds.
    tokio::time::advance(Duration::from_secs(11)).await;
    memory.set_reachable(true);
    while !matches!(handle.state(), portolan::RegistrationState::Registered) {
        handle.changed().await?;
    }
    let probe = Probe::new("database", || async { Err::<(), _>("gone") });
    let health = HealthEndpoint::open(HealthConfig::default().probe(probe))?;
    assert_eq!(health.report(HealthView::Check).await.code(), 503);
    handle.close().await?;
    discovery.close(Duration::from_secs(5)).await?;
    Ok(())
}

#[test]
fn lookups_refreshes_failures_and_registrations_are_measured() -> Outcome {
    let kept = Kept::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    metrics::with_local_recorder(&kept, || runtime.block_on(use_everything()))?;
    let seen = kept.all();
    for (name, least) in [
        ("portolan_lookups_total service=web outcome=picked", 10),
        ("portolan_lookups_total service=none outcome=none", 1),
        ("portolan_view_lookups_total service=web result=hit", 1),
        ("portolan_view_lookups_total service=web result=miss", 1),
        ("portolan_view_refreshes_total service=web changed=true", 1),
        ("portolan_view_failures_total service=web kind=unreachable", 1),
        ("portolan_catalog_refreshes_total datacenter=local changed=true", 1),
        ("portolan_catalog_failures_total datacenter=local kind=unreachable", 1),
        ("portolan_catalog_services datacenter=local state=confirmed", 0),
        ("portolan_catalog_up datacenter=local", 0),
        ("portolan_registrations_total service=web reason=new", 1),
        ("portolan_check_reports_total service=web outcome=ok", 1),
        ("portolan_check_report_seconds service=web", 0),
        ("portolan_health_probe_failures_total probe=database reason=critical", 1),
        ("portolan_health_probe_seconds probe=database", 0),
        ("portolan_view_up service=web", 0),
        ("portolan_view_instances service=web status=passing", 0),
        ("portolan_registration_state service=web state=registered", 0),
    ] {
        let count = seen.get(name);
        assert!(count.is_some_and(|count| *count >= least), "{name}: {count:?} of {seen:#?}");
    }
    let picked = seen.get("portolan_lookups_total service=web outcome=picked");
    assert_eq!(picked, Some(&10), "owned picks are counted one by one");
    Ok(())
}
