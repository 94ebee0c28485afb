//! Owns every task: none outlives its handle, and one that panics is logged, counted and started again.
//!
//! In:  a name and a way to make the future, so that it can be made anew. Out: nothing; `close` ends them all.
//!
//! Never: detaches a task; restarts without a pause; blocks in `Drop`.

use std::{
    future::Future,
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    error::{Error, Kind},
    telemetry,
};

/// The pause before a task that panicked is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// A set of tasks that end together. Clones share the set; the last one dropped cancels them.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    stop: CancellationToken,
    #[expect(clippy::disallowed_types, reason = "cold path: once per task")]
    set: std::sync::Mutex<JoinSet<()>>,
    /// How many have panicked, and have not yet run for [`RESTART_PAUSE`] since.
    down: watch::Sender<usize>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Tasks {
    pub(crate) fn new() -> Self {
        let (stop, set, down) = (CancellationToken::new(), Default::default(), watch::Sender::new(0));
        Self { shared: Arc::new(Shared { stop, set, down }) }
    }

    /// A token that is cancelled when the set is closed or dropped.
    pub(crate) fn stop(&self) -> CancellationToken {
        self.shared.stop.child_token()
    }

    /// Whether the set was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.stop.is_cancelled()
    }

    /// How many are down: from a panic until they have run for 1 s again.
    #[cfg(unix)]
    pub(crate) fn down(&self) -> watch::Receiver<usize> {
        self.shared.down.subscribe()
    }

    /// How many run now.
    #[cfg(test)]
    pub(crate) fn running(&self) -> usize {
        let mut set = self.shared.set.lock().unwrap_or_else(PoisonError::into_inner);
        while set.try_join_next().is_some() {} // forget those that ended
        set.len()
    }

    /// Runs what `make` makes until it returns; makes it anew after a panic.
    pub(crate) fn spawn<F>(&self, name: &'static str, make: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, down) = (self.stop(), self.shared.down.clone());
        let mut set = self.shared.set.lock().unwrap_or_else(PoisonError::into_inner);
        while set.try_join_next().is_some() {} // forget those that ended
        set.spawn(async move {
            tokio::select! {
                biased;
                () = supervise(name, make, down) => {}
                () = ended(&stop) => {}
            }
        });
    }

    /// Ends all tasks: cancels, and waits until they have returned.
    ///
    /// # Errors
    /// [`Kind::Timeout`] when some still ran after `within`; they are aborted then.
    pub(crate) async fn close(&self, within: Duration) -> Result<(), Error> {
        self.shared.stop.cancel();
        let mut set = std::mem::take(&mut *self.shared.set.lock().unwrap_or_else(PoisonError::into_inner));
        let drain = async { while set.join_next().await.is_some() {} };
        let Err(late) = timeout(within, drain).await else {
            return Ok(());
        };
        set.shutdown().await;
        Err(Error::new(Kind::Timeout, "close: tasks still ran at the deadline; allow more time")
            .caused_by(late))
    }
}

/// How long after a cancel a task may take to end by itself before it is dropped.
const LAST_WORDS: Duration = Duration::from_secs(30);

async fn ended(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(LAST_WORDS).await;
}

/// A task that counts as down until this is dropped.
struct Down(watch::Sender<usize>);

impl Down {
    fn new(down: &watch::Sender<usize>) -> Self {
        down.send_modify(|down| *down = down.saturating_add(1));
        Self(down.clone())
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        self.0.send_modify(|down| *down = down.saturating_sub(1));
    }
}

async fn supervise<F>(name: &'static str, make: impl Fn() -> F, down: watch::Sender<usize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut is_down = None;
    loop {
        let mut one = JoinSet::new();
        one.spawn(make());
        let early = match &is_down {
            Some(_) => timeout(RESTART_PAUSE, one.join_next()).await.ok(),
            None => None,
        };
        let ended = match early {
            Some(ended) => ended,
            None => {
                is_down = None;
                one.join_next().await
            }
        };
        match ended {
            Some(Err(failed)) if failed.is_panic() => {
                is_down.get_or_insert_with(|| Down::new(&down));
                metrics::counter!(telemetry::TASK_PANICS, "task" => name).increment(1);
                tracing::error!(task = name, "a task panicked and is started again; please report this bug");
                rethrow_in_tests(failed);
                tokio::time::sleep(RESTART_PAUSE).await;
            }
            _ => return,
        }
    }
}

#[cfg(test)]
fn rethrow_in_tests(failed: tokio::task::JoinError) {
    std::panic::resume_unwind(failed.into_panic());
}

#[cfg(not(test))]
fn rethrow_in_tests(_: tokio::task::JoinError) {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts the tasks that are alive.
    struct Alive(Arc<AtomicUsize>);

    impl Alive {
        fn new(count: &Arc<AtomicUsize>) -> Self {
            count.fetch_add(1, Ordering::SeqCst);
            Self(Arc::clone(count))
        }
    }

    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn wait_for_stop(tasks: &Tasks, alive: &Arc<AtomicUsize>) {
        let (alive, stop) = (Arc::clone(alive), tasks.stop());
        tasks.spawn("test", move || {
            let (alive, stop) = (Alive::new(&alive), stop.clone());
            async move {
                stop.cancelled().await;
                drop(alive);
            }
        });
    }

    #[tokio::test(start_paused = true)]
    async fn closing_ends_all_and_a_stubborn_one_is_aborted_at_the_deadline() {
        let (tasks, alive) = (Tasks::new(), Arc::default());
        wait_for_stop(&tasks, &alive);
        tasks.close(Duration::from_secs(1)).await.unwrap();
        assert_eq!(alive.load(Ordering::SeqCst), 0);

        let tasks = Tasks::new();
        let stubborn = Arc::clone(&alive);
        tasks.spawn("stubborn", move || {
            let alive = Alive::new(&stubborn);
            async move {
                std::future::pending::<()>().await;
                drop(alive);
            }
        });
        tokio::task::yield_now().await;
        assert_eq!(tasks.close(Duration::from_secs(1)).await.unwrap_err().kind(), Kind::Timeout);
        assert_eq!(alive.load(Ordering::SeqCst), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn dropping_the_last_handle_ends_all() {
        let (tasks, alive) = (Tasks::new(), Arc::<AtomicUsize>::default());
        wait_for_stop(&tasks, &alive);
        tokio::task::yield_now().await;
        drop(tasks.clone());
        assert!(!tasks.is_closed(), "a clone is left");
        drop(tasks);
        timeout(Duration::from_secs(60), async {
            while alive.load(Ordering::SeqCst) > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }
}
