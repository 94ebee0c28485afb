//! Faults on purpose: what a registry and the network before it do wrong, from rules and a seed.
//!
//! ```text
//! rules, seed ─▶ plan (pure: which fault hits which request)
//!                  │
//! request ─▶ injure ─▶ the registry, or a real Consul behind a proxy
//!                  │
//!            answer, hurt body, reset or silence
//! ```
//!
//! In:  a [`Plan`] and requests. Out: the same answers, but for those that a rule hits.
//!
//! It stands in two places: in the embedded registry ([`ServerConfig::faults`](crate::ServerConfig::faults)), and in a
//! [`Proxy`] before any registry that speaks HTTP. A [`Faults`] handle changes the plan while it runs.
//!
//! Never: changes a request that no rule hits, or its answer; injects without a rule.
//!
//! Proof: `faults/tests.rs` (rules and plans), `tests/faults/` (over sockets).

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

mod hurt;
mod injure;
mod line;
mod plan;
mod proxy;
mod rule;

pub(crate) use injure::{Broken, answer};
pub use {
    plan::Plan,
    proxy::{Counts, Proxy},
    rule::{Fault, Rule},
};

/// Where faults are shown and changed over HTTP. No fault ever hits this path, or none could be ended.
pub(crate) const ENDPOINT: &str = "/v1/portolan/faults";
/// So many counts of requests; paths that share one are numbered together.
const COUNTERS: usize = 4096;

/// The plan in force, and how often it hit. Clones share it.
#[derive(Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

struct Shared {
    plan: watch::Sender<Arc<Plan>>,
    asked: Vec<AtomicU64>,
    injected: AtomicU64,
}

impl Faults {
    /// A handle with this plan in force.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let (plan, _) = watch::channel(Arc::new(plan));
        let asked = std::iter::repeat_with(AtomicU64::default).take(COUNTERS).collect();
        Self { shared: Arc::new(Shared { plan, asked, injected: AtomicU64::new(0) }) }
    }

    /// Puts another plan in force, for requests that come from now on; they are numbered from 0 again.
    pub fn set(&self, plan: Plan) {
        self.shared.plan.send_replace(Arc::new(plan));
        self.shared.asked.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    }

    /// The plan in force.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.shared.plan.borrow())
    }

    /// Ends all faults, for requests that come from now on.
    pub fn clear(&self) {
        self.set(Plan::default());
    }

    /// How many requests were hit so far, by all plans.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.shared.injected.load(Ordering::Relaxed)
    }

    /// The fault of the next request for this path.
    pub(crate) fn next(&self, method: &str, path: &str) -> Option<Fault> {
        let plan = Arc::clone(&self.shared.plan.borrow());
        if plan.is_empty() || path == ENDPOINT {
            return None;
        }
        let slot = usize::try_from(plan::digest(path)).unwrap_or_default() % COUNTERS;
        let number = self.shared.asked.get(slot)?.fetch_add(1, Ordering::Relaxed);
        let fault = plan.fault(method, path, number)?;
        self.shared.injected.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(method, path, number, %fault, "a fault is injected");
        Some(fault)
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::new(Plan::default())
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("plan", &self.shared.plan.borrow())
            .field("injected", &self.injected())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
