//! Runs the health checks of the agent's instances: one task for all, with a bounded number of probes at a time.
//!
//! In:  which checks came, went or changed. Out: [`Command::Outcome`] for each run.
//!
//! TTL and alias checks are not run: the state's own deadlines and changes turn them.
//!
//! ```text
//! state -- probes changed --> Schedule -- due, a place is free --> probe -- outcome --> state
//! ```
//!
//! Never: holds a task per check; runs one check twice at a time; runs more than `max_checks` at once.

use std::{collections::BTreeSet, sync::Arc};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    core::Core,
    state::{
        Command, OUTPUT_LIMIT, ProbeOrder, State,
        rows::{Probe, Text},
    },
};

mod probe;
mod schedule;

use schedule::Schedule;

/// What came of one run.
#[derive(Debug)]
struct Ran {
    order: Arc<ProbeOrder>,
    /// `None`: it is of a kind that is not run.
    verdict: Option<probe::Verdict>,
}

/// Runs checks until the registry stops; probes that are under way are dropped then.
pub(crate) async fn run(core: Arc<Core>) {
    let mut schedule = Schedule::new(core.chance());
    let mut running: JoinSet<Ran> = JoinSet::new();
    let trusted = Arc::new(probe::Trusted::new(core.config.check_tls.clone()));
    // All of them: this may be a new start after a panic.
    let mut changed: BTreeSet<Text> = core.look(State::agent_check_ids).into_iter().collect();
    loop {
        let now = Instant::now().into_std();
        changed.append(&mut core.take_probes());
        for check in std::mem::take(&mut changed) {
            let order = core.look(|state| state.probe_order(&check));
            schedule.set(&check, order.map(Arc::new), now);
        }
        while running.len() < core.config.max_checks
            && let Some(order) = schedule.take(now)
        {
            let trusted = Arc::clone(&trusted);
            running.spawn(async move {
                let verdict = run_one(&order.spec.probe, &trusted).await;
                Ran { order, verdict }
            });
        }
        let next = schedule.next().filter(|_| running.len() < core.config.max_checks);
        let due = async {
            match next {
                Some(at) => sleep_until(Instant::from_std(at)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = core.probes_changed() => {}
            Some(ran) = running.join_next() => finish(&core, &mut schedule, ran),
            () = core.stopping.cancelled() => return running.shutdown().await,
        }
    }
}

async fn run_one(probe: &Probe, trusted: &probe::Trusted) -> Option<probe::Verdict> {
    match probe {
        Probe::Run { ask, timeout, .. } => Some(probe::run(ask, *timeout, trusted).await),
        Probe::Ttl(_) | Probe::Alias { .. } | Probe::Maintenance => None,
    }
}

/// An output as it is kept. What a service says is cut where it is read; this holds for what else is in it.
fn bounded(output: &str) -> Text {
    output.get(..output.floor_char_boundary(OUTPUT_LIMIT * 2)).unwrap_or(output).into()
}

fn finish(core: &Core, schedule: &mut Schedule, ran: Result<Ran, tokio::task::JoinError>) {
    let Ran { order, verdict } = match ran {
        Ok(ran) => ran,
        // Which check it was is lost with it: the supervisor starts all of them anew.
        Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
        Err(_aborted) => return,
    };
    schedule.done(&order, Instant::now().into_std());
    let Some(verdict) = verdict else { return };
    core.figures.probed(verdict.status);
    let outcome = Command::Outcome {
        check: Arc::clone(&order.spec.id),
        generation: order.generation,
        status: verdict.status,
        output: bounded(&verdict.output),
    };
    // Nobody waits for it to be on disk.
    if let Err(why) = core.apply(outcome) {
        tracing::debug!(%why, "the outcome of a probe came too late");
    }
}
