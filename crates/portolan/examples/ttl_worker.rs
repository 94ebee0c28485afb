//! A worker that listens on nothing: it reports how it is, by a TTL check, and takes itself out when it is asked to end.
//!
//! ```text
//! cargo run -p portolan --example ttl_worker                          # all in this process
//! cargo run -p portolan --example ttl_worker http://127.0.0.1:8500    # on this registry
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use portolan::{
    Config, ConsulConfig, Discovery, Finding, HealthFn, Instance, Registration, Status,
    registry::memory::Memory,
};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// With so many jobs waiting, it warns.
const MANY: u32 = 1_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let config = Config::default();
    let discovery = match std::env::args().nth(1) {
        Some(url) => Discovery::new(config.consul(ConsulConfig::default().address(url)?)),
        None => Discovery::with_registry(Arc::new(Memory::new()), config),
    };
    show(&discovery).await?;
    Ok(discovery.close(PATIENCE).await?)
}

pub(crate) async fn show(discovery: &Discovery) -> Outcome {
    let waiting = Arc::new(AtomicU32::new(0));
    // There is no port to connect to; 0 says so, and the id makes it one of many.
    let worker = discovery.register(Registration::ttl("worker-example", 0)).await?;
    let seen = Arc::clone(&waiting);
    let health = HealthFn::new(move || {
        let jobs = seen.load(Ordering::Relaxed);
        async move { if jobs < MANY { Finding::passing() } else { Finding::warning(format!("{jobs} jobs wait")) } }
    });
    worker.report_with(health.every(Duration::from_millis(200)))?;

    let workers = discovery.service("worker-example").await?;
    let is = |status: Status| move |instance: &Arc<Instance>| instance.status == status;
    let some = |status| move |known: &portolan::Snapshot| known.instances().iter().any(is(status));
    workers.watch().wait_until(some(Status::Passing), PATIENCE).await?;
    println!("{} works", worker.id());

    waiting.store(MANY, Ordering::Relaxed);
    workers.watch().wait_until(some(Status::Warning), PATIENCE).await?;
    println!("it warns: too much waits for it");

    // Whoever hands out jobs has left it out before its last one ends.
    worker.close().await?;
    println!("it is gone");
    Ok(())
}
