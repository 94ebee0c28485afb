//! Notices that the machine or the process stood still while the world went on. PURE.
//!
//! In:  a tick each second, with how long the machine has slept since it was started. Out: when something is wrong, and
//! how much time no clock of ours has counted.
//!
//! The monotonic clock of Linux stops in suspend: connections die without a word, and ages stand still.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

/// How often it is told the time.
pub(crate) const TICK: Duration = Duration::from_secs(1);
/// A tick that is late by this much: the process was stopped, or starved.
const LATE: Duration = Duration::from_secs(2);
/// More sleep than this is no error of reading two clocks one after the other.
const SLEPT: Duration = Duration::from_millis(500);

/// When it was last told the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suspend {
    ticked: Instant,
    slept: Duration,
}

impl Suspend {
    pub(crate) fn new(now: Instant, slept: Duration) -> Self {
        Self { ticked: now, slept }
    }

    /// Takes in a tick. `Some` when all that is known is to be doubted: for so long the clock stood still.
    pub(crate) fn tick(&mut self, now: Instant, slept: Duration) -> Option<Duration> {
        let gap = slept.saturating_sub(self.slept);
        let late = now.saturating_duration_since(self.ticked).saturating_sub(TICK);
        (self.ticked, self.slept) = (now, slept);
        (gap >= SLEPT || late >= LATE).then_some(gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspend_and_a_late_tick_are_noticed_once_and_a_steady_clock_is_trusted() {
        let millis = Duration::from_millis;
        let mut now = tokio::time::Instant::now().into_std();
        let mut suspend = Suspend::new(now, millis(7_000));
        for (passed, slept, says) in [
            (1_000, 7_000, None),
            (1_900, 7_000, None),
            // Suspended for ten minutes: our clock saw nothing of it.
            (1_000, 607_000, Some(millis(600_000))),
            (1_000, 607_000, None),
            // Stopped by a signal for a minute: our clock counted it.
            (60_000, 607_000, Some(Duration::ZERO)),
            (1_000, 607_000, None),
            // Two clocks read one after the other.
            (1_000, 607_001, None),
            (1_000, 606_999, None),
            (3_000, 606_999, Some(Duration::ZERO)),
        ] {
            now = now.checked_add(millis(passed)).unwrap();
            assert_eq!(suspend.tick(now, millis(slept)), says, "{passed} {slept}");
        }
    }
}
