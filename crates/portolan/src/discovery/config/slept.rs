//! How long this machine has slept: two clocks of the system, and their difference.
//!
//! Never: fails; says more than the system knows.

use std::time::Duration;

/// How long this machine has slept since it was started: the boot's clock counts that, the monotonic one does not.
#[cfg(target_os = "linux")]
pub(super) fn slept() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| {
        let time = clock_gettime(clock);
        let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
        Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
    };
    let monotonic = read(ClockId::Monotonic);
    read(ClockId::Boottime).saturating_sub(monotonic)
}

/// Elsewhere the clock that is used counts sleep, or nobody says; a late tick is noticed all the same.
#[cfg(not(target_os = "linux"))]
pub(super) fn slept() -> Duration {
    Duration::ZERO
}
