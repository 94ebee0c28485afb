//! One task a datacentre: while views there get streamed answers, which say nothing true about their age, it proves how
//! new they can be by reading a service that nobody has.
//!
//! In:  what every answer of the datacentre says about itself. Out: the age of those that do not know theirs.
//!
//! Never: reads while no view needs it; proves anything by a streamed answer, or by an error.
//!
//! Consul: agent/rpcclient/health/view.go sets `LastContact` to 0 (seen: 1.21). Proof: the rule in `probe/proof.rs`, the
//! loop below.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    guard::Guard,
    model::ServiceName,
    registry::{AnswerMeta, Registry, ServiceQuery},
    roll::{Rolls, jitter},
};

mod proof;

use proof::Proof;

/// A name that nobody registers: its answer is empty and costs nothing.
const PROBED: &str = "portolan-probe";
/// The longest time between two proofs, give or take a tenth.
const PACE: Duration = Duration::from_secs(5);
/// The shortest, whatever bound is set.
const LEAST_PACE: Duration = Duration::from_secs(1);

/// What is proved of one datacentre; shared by its views and the task.
#[derive(Debug)]
pub(crate) struct Probe {
    datacenter: Option<Arc<str>>,
    pace: Duration,
    begun: AtomicBool,
    proof: ArcSwap<Proof>,
    /// Until when somebody needs proofs.
    needed: watch::Sender<Instant>,
}

impl Probe {
    /// Of a datacentre of which nothing is proved before `now`; for views with this bound.
    pub(crate) fn new(datacenter: Option<Arc<str>>, max_stale: Option<Duration>, now: Instant) -> Self {
        // Proofs that come more seldom than the bound would make every answer look too old.
        let pace = max_stale.map_or(PACE, |bound| (bound / 2).clamp(LEAST_PACE, PACE));
        let (begun, proof) = (AtomicBool::new(false), ArcSwap::from_pointee(Proof::none_since(now)));
        Self { datacenter, pace, begun, proof, needed: watch::Sender::new(now) }
    }

    /// Whether the task is to be started: said once.
    pub(crate) fn begin(&self) -> bool {
        !self.begun.swap(true, Ordering::Relaxed)
    }

    /// Takes in what an answer says about itself, and fills in what it does not know. The next one of its view comes
    /// within `wait`.
    pub(super) fn judge(&self, meta: &mut AnswerMeta, wait: Duration, now: Instant) {
        if let Some(proof) = Proof::of(meta, now) {
            self.proof.rcu(|before| before.or(proof, now));
        }
        if meta.streaming {
            self.proof.load().fill(meta, now);
            let until = now.checked_add(wait.saturating_mul(2)).unwrap_or(now);
            self.needed.send_if_modified(|needed| {
                let later = until > *needed;
                *needed = until.max(*needed);
                later
            });
        }
    }
}

/// Proves, while it is needed, until `stop` is cancelled.
pub(crate) async fn prove(guard: Arc<Guard>, probe: Arc<Probe>, mut rolls: Rolls, stop: CancellationToken) {
    let Ok(service) = ServiceName::new(PROBED) else { return };
    let query = ServiceQuery::new(service).datacenter(probe.datacenter.clone());
    let mut needed = probe.needed.subscribe();
    let work = async {
        while needed.wait_for(|until| *until > super::now()).await.is_ok() {
            let rest = probe.pace.mul_f64(0.9).saturating_add(jitter(rolls.next(), probe.pace.mul_f64(0.2)));
            tokio::time::sleep(rest).await;
            // An error proves nothing, and is told by the views, which meet it too.
            if let Ok(mut answer) = guard.service(&query).await {
                probe.judge(&mut answer.meta, Duration::ZERO, super::now());
            }
        }
    };
    stop.run_until_cancelled(work).await.unwrap_or_default();
}

#[cfg(test)]
mod tests;
