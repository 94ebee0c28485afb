//! Keeps every registration on one agent: one task that makes the calls which [`Table`] says are due.
//!
//! In:  registrations, words of their handles. Out: calls to the registry, each with a deadline, so many at once.
//!
//! Never: decides anything; lets one slow call hold up another; ends while a registration is there, unless it is told
//! to: then it removes them all first.
//!
//! Proof: `keeper/tests.rs`.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Finding, KeeperSettings, RegistrationHandle, RegistrationState, address, define, health_fn,
    spec::Registration,
    step::Input,
    table::{Insert, Table},
};
use crate::{
    error::{Error, Kind},
    guard::Guard,
    model::ServiceId,
    registry::{Definition, Registry as _},
    roll::Rolls,
    tasks::Tasks,
};

/// How long the task goes on removing what is left after it was told to end. Less than [`Tasks`] gives it.
const LAST_WORDS: Duration = Duration::from_secs(25);

/// All registrations on one agent. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    // Not within `shared`: the task holds that, and would keep itself alive.
    tasks: Tasks,
}

#[derive(Debug)]
struct Shared {
    registry: Arc<Guard>,
    settings: KeeperSettings,
    #[expect(clippy::disallowed_types, reason = "cold path: once per call to the agent; no await under it")]
    table: std::sync::Mutex<Table>,
    /// Rings when a handle has changed the table.
    bell: Notify,
    started: AtomicBool,
}

impl Shared {
    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

impl Keeper {
    /// A keeper without registrations. No I/O, and no task before the first of them.
    pub(crate) fn new(registry: Arc<Guard>, tasks: &Tasks, settings: KeeperSettings) -> Self {
        let table = Table::new(Rolls::new(settings.seed), settings.sweep).into();
        let shared =
            Shared { registry, settings, table, bell: Notify::new(), started: AtomicBool::new(false) };
        Self { shared: Arc::new(shared), tasks: tasks.clone() }
    }

    pub(crate) fn registry(&self) -> &Arc<Guard> {
        &self.shared.registry
    }

    pub(crate) fn settings(&self) -> &KeeperSettings {
        &self.shared.settings
    }

    /// Registers an instance, and waits for the first word about it, 5 s by default.
    ///
    /// With the registry down, or a token that it refuses, the handle's state says so, and the keeper goes on trying.
    ///
    /// # Errors
    /// [`Kind::Config`] when the registration is wrong; [`Kind::Conflict`] when its id is held by another instance that
    /// works; [`Kind::Rejected`] when the registry says that it can never be; [`Kind::Unreachable`] when an automatic
    /// address cannot be found; [`Kind::Closed`] once the tasks have ended.
    ///
    /// # Cancel safety
    /// An instance that was registered already is removed again.
    pub(crate) async fn register(&self, spec: &Registration) -> Result<RegistrationHandle, Error> {
        let definition = Arc::new(self.define(spec).await?);
        if self.tasks.is_closed() {
            return Err(Error::new(Kind::Closed, "register: the discovery is closed; make a new one"));
        }
        let handle = self.insert(&definition).await?;
        self.start();
        handle.first_word(self.shared.settings.first).await
    }

    /// The definition with everything filled in. Nothing is sent.
    pub(crate) async fn define(&self, spec: &Registration) -> Result<Definition, Error> {
        spec.validate()?;
        for warning in spec.warnings() {
            tracing::warn!(service = %spec.name, warning, "a registration is odd");
        }
        let address = address::find(&spec.address, self.shared.registry.endpoint().as_deref()).await?;
        let id = match &spec.id {
            Some(id) => ServiceId::new(id)?,
            None => {
                let host = address::hostname().unwrap_or_else(|| address.clone());
                let roll = self.shared.table().roll();
                ServiceId::new(define::unique_id(&spec.name, &host, spec.port, roll))?
            }
        };
        define::define(spec, id, &address)
    }

    async fn insert(&self, definition: &Arc<Definition>) -> Result<RegistrationHandle, Error> {
        let id = &definition.id;
        let give_up = Instant::now() + self.shared.settings.first;
        loop {
            let inserted = self.shared.table().insert(Arc::clone(definition), now());
            let mut leaving = match inserted {
                Insert::Done(number, state) => {
                    self.shared.bell.notify_one();
                    return Ok(RegistrationHandle::new(self.clone(), number, Arc::clone(definition), state));
                }
                Insert::Held => {
                    let what =
                        format!("id: {id:?} is held by another handle of this process; give each its own");
                    return Err(Error::new(Kind::Conflict, what));
                }
                Insert::Leaving(state) => state,
            };
            // An error of the channel means that it is gone, which is what we wait for.
            let gone = async { while leaving.changed().await.is_ok() {} };
            if let Err(late) = tokio::time::timeout_at(give_up, gone).await {
                let what = format!("id: the earlier instance {id:?} is still being removed; try again");
                return Err(Error::new(Kind::Timeout, what).caused_by(late));
            }
        }
    }

    fn start(&self) {
        if self.shared.started.swap(true, Ordering::AcqRel) {
            return;
        }
        let (shared, stop) = (Arc::clone(&self.shared), self.tasks.stop());
        self.tasks.spawn("keeper", move || run(Arc::clone(&shared), stop.clone()));
    }

    pub(crate) fn close_one(&self, id: &ServiceId, number: u64) {
        self.tell(id, number, Input::Close);
    }

    pub(crate) fn drain_one(&self, id: &ServiceId, number: u64, settle: Duration) {
        self.tell(id, number, Input::Drain(settle));
    }

    pub(crate) fn announce(&self, id: &ServiceId, number: u64) {
        self.tell(id, number, Input::Announce);
    }

    fn tell(&self, id: &ServiceId, number: u64, word: Input) {
        self.shared.table().tell(id, number, word, now());
        self.shared.bell.notify_one();
    }

    /// The clock stood still: everything is looked at again.
    pub(crate) fn suspend(&self) {
        self.shared.table().suspended(now());
        self.shared.bell.notify_one();
    }

    pub(crate) fn say(&self, id: &ServiceId, number: u64, status: crate::Status, output: &str) -> bool {
        let reports = self.shared.table().say(id, number, (status, output), now());
        self.shared.bell.notify_one();
        reports
    }

    /// Lets a function say what the TTL checks of a registration report, until the token is cancelled that this gives.
    pub(super) fn say_by(
        &self,
        definition: &Arc<Definition>,
        number: u64,
        runs: health_fn::Runs,
    ) -> DropGuard {
        let (shared, over) = (Arc::clone(&self.shared), self.tasks.stop());
        let (definition, until) = (Arc::clone(definition), over.clone());
        let say = move |finding: &Finding| {
            let mut table = shared.table();
            // Under the lock: whoever speaks after this function has ended it first, and is not spoken over.
            let said = !until.is_cancelled()
                && table.found(&definition.id, number, (finding.status(), finding.output()), now());
            drop(table);
            shared.bell.notify_one();
            said
        };
        let (runs, until, say) = (Arc::new(runs), over.clone(), Arc::new(say));
        self.tasks.spawn("health function", move || {
            health_fn::run(Arc::clone(&runs), Arc::clone(&say), until.clone())
        });
        over.drop_guard()
    }

    /// Removes all registrations from the agent.
    ///
    /// # Errors
    /// [`Kind::Timeout`] when some were still there after `within`; the keeper goes on a while. The kind of the last
    /// failure when it has given up on one.
    pub(crate) async fn close(&self, within: Duration) -> Result<(), Error> {
        let leaving = self.shared.table().close_all(now());
        self.shared.bell.notify_one();
        let gone = async {
            let mut left = Ok(());
            for mut state in leaving {
                while state.changed().await.is_ok() {}
                // What was given up says so with its last word.
                if let RegistrationState::Refused { kind, reason } = &*state.borrow() {
                    left = left.and_then(|()| Err(Error::new(*kind, format!("close: {reason}"))));
                }
            }
            left
        };
        timeout(within, gone).await.unwrap_or_else(|late| {
            let what = "close: some instances could not be removed from the agent in time; allow more time";
            Err(Error::new(Kind::Timeout, what).caused_by(late))
        })
    }
}

/// The loop: makes the calls that are due, and hands their ends back. A panic in a call ends it; it is started anew.
async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut jobs = JoinSet::new();
    let mut last_words: Option<Instant> = None;
    shared.table().restarted(now());
    loop {
        let (due, next, empty) = {
            let mut table = shared.table();
            (table.take(now()), table.deadline(), table.is_empty())
        };
        for job in due {
            let (registry, limit) = (Arc::clone(&shared.registry), shared.settings.call);
            jobs.spawn(async move { calls::perform(&registry, job, limit).await });
        }
        if last_words.is_some_and(|end| empty || Instant::now() >= end) {
            return;
        }
        let next = next.map(Instant::from_std);
        let next = next.into_iter().chain(last_words).min();
        tokio::select! {
            biased;
            () = stop.cancelled(), if last_words.is_none() => {
                last_words = Some(Instant::now() + LAST_WORDS);
                // Nobody is left who would look at the states.
                let _states = shared.table().close_all(now());
            }
            Some(ended) = jobs.join_next() => match ended {
                Ok(done) => shared.table().done(done, now()),
                Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
                Err(_) => {}
            },
            () = shared.bell.notified() => {}
            () = sleep_until(next) => {}
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

mod calls;

#[cfg(test)]
mod tests;
