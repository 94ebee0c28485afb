//! An hour of churn in simulated time: memory and tasks must not grow.
//!
//! In:  a registry in this process, and a thousand changes a minute of fifty services whose consumers come and go. Out:
//! tasks and memory, minute by minute.
//!
//! The clock is tokio's, paused: an hour passes in seconds. Memory is the process's own, as the system counts it.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use portolan::{
    Config, Discovery, Registry as _, Select, ServiceId, ServiceName,
    registry::{Definition, memory::Memory},
};
use tokio::{
    runtime::{Builder, Handle},
    time::{Instant, sleep},
};

use crate::{Setting, table::Table};

const SERVICES: u64 = 50;
const MINUTE: Duration = Duration::from_secs(60);
/// What the allocator may keep on top of what it had after the first quarter: it rounds, and never gives all back.
const MORE: f64 = 1.10;

/// The trial. It has a runtime of its own, whose clock can be paused.
pub(crate) fn trial(setting: &Setting) -> anyhow::Result<Table> {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(churn(if setting.short { 20 } else { 60 }))
}

async fn churn(minutes: u64) -> anyhow::Result<Table> {
    let mut table = Table::new(&["minute", "changes", "tasks", "resident memory, KiB"]);
    let registry = Arc::new(Memory::new());
    let discovery = Discovery::with_registry(Arc::<Memory>::clone(&registry) as _, Config::default().seed(1));
    let mut kept = Vec::new();
    for number in 0..SERVICES {
        kept.push(discovery.service_now(&format!("churn-{number}"), Select::default())?);
    }
    let (mut changes, mut seed) = (0_u64, 1_u64);
    let mut looks = Vec::new();
    for minute in 1..=minutes {
        let end = Instant::now() + MINUTE;
        while Instant::now() < end {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            change(&registry, seed >> 16).await?;
            changes += 1;
            if seed % 97 == 0 {
                // A consumer with a filter of its own comes, looks, and goes.
                let name = format!("churn-{}", (seed >> 40) % SERVICES);
                let passing = discovery.service_now(&name, Select::default().tag("blue"))?;
                drop(passing.pick());
            }
            sleep(Duration::from_millis(60)).await;
        }
        let (tasks, memory) = (Handle::current().metrics().num_alive_tasks(), resident()?);
        looks.push((tasks, memory));
        if minute % 5 == 0 || minute == 1 {
            table.row([minute.to_string(), changes.to_string(), tasks.to_string(), memory.to_string()]);
        }
    }
    let quarter = looks.get(looks.len() / 4).copied().context("no minute passed")?;
    let last = looks.last().copied().context("no minute passed")?;
    table.must(last.0 <= quarter.0 + 2, format!("tasks grew from {} to {}", quarter.0, last.0));
    let grown = as_number(last.1) / as_number(quarter.1);
    table.must(grown <= MORE, format!("memory grew {grown:.2} times since the first quarter"));
    table.note(format!("Memory since the first quarter: {grown:.3} times."));
    discovery.close(MINUTE).await?;
    let left = Handle::current().metrics().num_alive_tasks();
    table.must(left == 0, format!("{left} tasks are left after close"));
    Ok(table)
}

async fn change(registry: &Memory, roll: u64) -> anyhow::Result<()> {
    let service = format!("churn-{}", roll % SERVICES);
    let id = ServiceId::new(format!("{service}-{}", roll / SERVICES % 6))?;
    if roll.is_multiple_of(3) {
        return Ok(registry.deregister(&id).await?);
    }
    let mut definition = Definition::new(id, ServiceName::new(service)?, "127.0.0.1", 8000);
    definition.meta.insert("round".to_owned(), roll.to_string());
    Ok(registry.register(&definition).await?)
}

/// What the process holds in memory.
fn resident() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").context("/proc/self/statm")?;
    let pages: u64 = text.split(' ').nth(1).context("statm has no second field")?.parse()?;
    Ok(pages * 4)
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
fn as_number(count: u64) -> f64 {
    count as f64
}
