//! What the system tells of this process.
//!
//! In:  nothing. Out: figures that are there on Linux, and are left out elsewhere.
//!
//! Rules from Linux: proc_pid_status(5), proc_pid_fd(5).

use std::time::Duration;

/// As far as it can be told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Process {
    pub(super) memory_bytes: Option<u64>,
    pub(super) open_files: Option<u64>,
    pub(super) cpu: Option<Duration>,
}

#[cfg(not(target_os = "linux"))]
pub(super) fn look() -> Process {
    Process::default()
}

#[cfg(target_os = "linux")]
pub(super) fn look() -> Process {
    use rustix::time::{ClockId, clock_gettime};

    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let files = std::fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64);
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu = u64::try_from(cpu.tv_sec).ok().zip(u32::try_from(cpu.tv_nsec).ok());
    Process {
        memory_bytes: resident(&status),
        open_files: files,
        cpu: cpu.map(|(seconds, nanos)| Duration::new(seconds, nanos)),
    }
}

/// `VmRSS:       12345 kB`.
#[cfg(target_os = "linux")]
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_linux_writes_it() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t   12345 kB\nVmHWM:\t 1 kB\n"), Some(12_345 * 1024));
        for odd in ["", "VmRSS:", "VmRSS: many kB", "VmRSS: 12", "VmRSS: 99999999999999999999 kB"] {
            assert_eq!(resident(odd), None, "{odd:?}");
        }
        let now = look();
        assert!(now.memory_bytes.is_some_and(|bytes| bytes > 1 << 20), "{now:?}");
        assert!(now.open_files.is_some_and(|files| files >= 3) && now.cpu.is_some(), "{now:?}");
    }
}
