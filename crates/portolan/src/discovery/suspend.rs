//! Tells every view and the keeper when the machine or the process stood still.
//!
//! In:  a tick each second, and how long the machine has slept. Out: a word to each view, which reads anew, and to the keeper,
//! which looks at what its agent holds, and reports.
//!
//! Never: decides; that is `sync::Suspend`.

use std::{
    sync::Weak,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::Inner;
use crate::sync::{SUSPEND_TICK, Suspend};

/// Ticks until `stop` is cancelled or the Discovery is gone.
pub(super) async fn watch_the_clock(inner: Weak<Inner>, slept: fn() -> Duration, stop: CancellationToken) {
    let mut suspend = Suspend::new(now(), slept());
    while stop.run_until_cancelled(tokio::time::sleep(SUSPEND_TICK)).await.is_some() {
        let Some(inner) = inner.upgrade() else { return };
        if let Some(gap) = suspend.tick(now(), slept()) {
            let seconds = gap.as_secs_f64();
            tracing::warn!(
                seconds,
                "the clock stood still, or this process did; everything is looked at anew"
            );
            inner.views.suspend(gap);
            inner.keeper.suspend();
        }
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
