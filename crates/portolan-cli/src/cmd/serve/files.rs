//! How many files this process may have open, and so how many connections it can hold.
//!
//! In:  the limits asked for. Out: limits that the system grants; the soft limit of open files raised to the hard one.
//!
//! Never: promises connections that could not be accepted.

use portolan_server::Limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Shell;

/// What is kept for all that is no client's connection: checks, the store, listeners.
const OTHERS: u64 = 512;

/// The limits, as far as files allow.
pub(super) fn granted(limits: Limits, shell: &Shell) -> Limits {
    let files = getrlimit(Resource::Nofile);
    // Go's programs do so at their start too, Consul among them.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum });
    let files = if raised.is_ok() { files.maximum } else { files.current };
    let most = limited(limits.max_connections, files);
    if most < limits.max_connections {
        shell.hint(&format!(
            "at most {most} connections are held, more get a 429: this process may open {} files only (ulimit -n)",
            files.unwrap_or_default()
        ));
    }
    limits.max_connections(most)
}

/// How many connections there is room for; `files`: `None` where there is no limit.
fn limited(wanted: usize, files: Option<u64>) -> usize {
    let Some(files) = files else { return wanted };
    let room = if files > OTHERS * 2 { files - OTHERS } else { files / 2 };
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_leave_room_for_so_many_connections() {
        for (wanted, files, expected) in [
            (16_384, None, 16_384),
            (16_384, Some(1 << 20), 16_384),
            (16_384, Some(4096), 4096 - 512),
            (16_384, Some(1024), 512),
            (100, Some(1024), 100),
            (100, Some(0), 1),
        ] {
            assert_eq!(limited(wanted, files), expected, "{wanted} {files:?}");
        }
    }
}
