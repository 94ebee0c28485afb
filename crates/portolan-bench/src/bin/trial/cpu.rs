//! The processor time of a process, as the system counts it.
//!
//! In:  `self`, or a process id. Out: user and system time of all its threads, ended ones among them.

use std::time::Duration;

use anyhow::Context as _;

/// # Errors
/// Where there is no `/proc`, or no such process.
pub(crate) fn of(process: &str) -> anyhow::Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    used(&text, rustix::param::clock_ticks_per_second()).with_context(|| path)
}

/// The name of the process, in brackets, may hold anything: what counts comes after its end.
fn used(stat: &str, ticks_per_second: u64) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let ticks = user.checked_add(system)?;
    Some(Duration::from_millis(ticks.checked_mul(1000)?.checked_div(ticks_per_second)?))
}

/// As a share of one core.
pub(crate) fn share(used: Duration, of: Duration) -> f64 {
    used.as_secs_f64() / of.as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_read_behind_a_name_that_holds_anything() {
        let stat = "7 (a) 9 (b c) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 3 0 99 1 2";
        assert_eq!(used(stat, 100), Some(Duration::from_secs(2)));
        assert_eq!(used("7 (a) S 1", 100), None);
        assert!(of("self").is_ok());
    }
}
