//! Watches instances that are critical, and gives back those that stay so.
//!
//! In:  instances, and for how long. Out: those of them that were critical in every answer of that time.
//!
//! Never: counts a time in which the registry did not answer: then nothing can be said, and that is an error.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anyhow::bail;
use portolan::{Discovery, Identity, Instance, Resolver, Select, Snapshot, Status};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// Those that are critical from now to `time` later.
///
/// # Errors
/// The registry did not answer at the end of that time, or a service could not be watched.
pub(super) async fn stay_critical(
    discovery: &Discovery,
    instances: Vec<Arc<Instance>>,
    time: Duration,
) -> anyhow::Result<Vec<Arc<Instance>>> {
    let until = Instant::now() + time;
    let mut services: BTreeMap<Arc<str>, BTreeSet<Identity>> = BTreeMap::new();
    for one in instances {
        services.entry(Arc::clone(&one.service)).or_default().insert(one.identity.clone());
    }
    let mut watches = JoinSet::new();
    for (name, ids) in services {
        let resolver = discovery.service_with(&name, Select::default()).await?;
        watches.spawn(one_service(resolver, ids, until));
    }
    let mut stayed = Vec::new();
    while let Some(ended) = watches.join_next().await {
        stayed.extend(ended??);
    }
    Ok(stayed)
}

async fn one_service(
    resolver: Resolver,
    mut ids: BTreeSet<Identity>,
    until: Instant,
) -> anyhow::Result<Vec<Arc<Instance>>> {
    let mut reader = resolver.watch();
    loop {
        retain_critical(&mut ids, &resolver.snapshot());
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        tokio::select! {
            // What changed does not matter: the snapshot tells who is critical now.
            changed = reader.changed() => {
                changed?;
            }
            () = sleep_until(until) => break,
        }
    }
    let snapshot = resolver.snapshot();
    retain_critical(&mut ids, &snapshot);
    if let Some(failure) = snapshot.failure() {
        let service = snapshot.service();
        bail!("{service}: the registry does not answer, so nothing can be said of it: {}", failure.text);
    }
    Ok(snapshot.instances().iter().filter(|one| ids.contains(&one.identity)).cloned().collect())
}

/// Drops those that are not critical, or not there.
fn retain_critical(ids: &mut BTreeSet<Identity>, snapshot: &Snapshot) {
    let critical = snapshot.instances().iter().filter(|one| one.status == Status::Critical);
    let critical: BTreeSet<&Identity> = critical.map(|one| &one.identity).collect();
    ids.retain(|id| critical.contains(id));
}

#[cfg(test)]
mod tests;
