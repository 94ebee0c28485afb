//! The processor time of a process, as the system counts it.
//!
//! In:  a process id. Out: user and system time of all its threads, ended ones among them.

use std::time::Duration;

use anyhow::Context as _;

/// # Errors
/// Where there is no `/proc`, or no such process.
pub(crate) fn used_by(process: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    // The name, in brackets, may hold anything: what counts comes after its end.
    let fields = text.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}
