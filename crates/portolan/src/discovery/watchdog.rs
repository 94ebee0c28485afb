//! Feeds systemd's watchdog while the tasks of a Discovery live.
//!
//! In:  how many of its tasks are down. Out: `WATCHDOG=1`, twice in each interval.
//!
//! Never: feeds while a task is down, or while the runtime turns no task; ends a program itself.
//!
//! Proof: `tests/systemd.rs`.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Discovery;
use crate::systemd::Systemd;

/// Not more often than this, whatever was set.
const LEAST: Duration = Duration::from_millis(1);

impl Discovery {
    /// Tells systemd twice in each of its intervals that the program lives, for as long as it does: while this runtime
    /// turns its tasks, and every task of this Discovery runs. One that panicked counts as down until it has run for 1 s
    /// again; so one bug that strikes at every start has the program restarted.
    ///
    /// Nothing happens where systemd does not watch. It goes on until this Discovery is closed or dropped, so close it last.
    /// Call it once, when the program has started. A word that does not arrive is logged, once until one does.
    pub fn feed_watchdog(&self, systemd: &Systemd) {
        let Some(interval) = systemd.watchdog() else { return };
        let (tasks, pace) = (&self.inner.tasks, (interval / 2).max(LEAST));
        let (systemd, down, stop) = (systemd.clone(), tasks.down(), tasks.stop());
        tasks.spawn("watchdog", move || feed(systemd.clone(), pace, down.clone(), stop.clone()));
    }
}

async fn feed(systemd: Systemd, pace: Duration, mut down: watch::Receiver<usize>, stop: CancellationToken) {
    let work = async {
        let mut told = true;
        // The sender is in the set that owns this task.
        while down.wait_for(|down| *down == 0).await.is_ok() {
            let fed = systemd.alive();
            if let (true, Err(failed)) = (told, &fed) {
                tracing::warn!(%failed, "systemd's watchdog could not be fed");
            }
            told = fed.is_ok();
            tokio::time::sleep(pace).await;
        }
    };
    stop.run_until_cancelled(work).await;
}
