//! Script checks: a program, run without a shell.
//!
//! In:  a program with its arguments, and a time limit. Out: a verdict by its exit code: 0, 1, anything else.
//!
//! It runs in a process group of its own, with nothing to read. Its end is the end of its output too: who still holds
//! that open is waited for, within the limit.
//! Never: leaves the group running when the time is over or the run is dropped; keeps more of the output than is shown; is
//! there where no process groups are: the setting that allows scripts is refused there.
//!
//! Rules from Consul: agent/checks/check.go `CheckMonitor`, agent/exec/exec_unix.go.

use std::{
    io::{self, PipeWriter},
    os::fd::OwnedFd,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use portolan::format_duration;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{io::AsyncReadExt, net::unix::pipe, process::Command};

use super::{Verdict, within};
use crate::state::{
    OUTPUT_LIMIT,
    rows::{Health, Text},
};

/// Runs the program once.
pub(super) async fn script(args: &[Text], limit: Duration) -> Verdict {
    let mut output = Tail::default();
    let (mut group, read) = match start(args) {
        Ok(started) => started,
        Err(failed) => {
            let program = args.first().map_or("", |program| program);
            return Verdict::critical(format!("fork/exec {program}: {failed}"));
        }
    };
    let Some(ended) = within(limit, finish(&mut group, read, &mut output)).await else {
        let mut said = format!("Timed out ({}) running check", format_duration(limit));
        let output = output.shown();
        if !output.is_empty() {
            said = format!("{said}\n\n{output}");
        }
        return Verdict::critical(said);
    };
    match ended {
        Ok(status) => {
            let health = match status.code() {
                Some(0) => Health::Passing,
                Some(1) => Health::Warning,
                _ => Health::Critical,
            };
            Verdict { status: health, output: output.shown() }
        }
        Err(failed) => Verdict::critical(format!("the program cannot be waited for: {failed}")),
    }
}

/// A running program with all that it started; killed when dropped.
struct Group {
    child: tokio::process::Child,
    id: Option<Pid>,
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.id
            && let Err(failed) = kill_process_group(id, Signal::KILL)
        {
            tracing::debug!(%failed, "the process group of a script check could not be killed");
        }
    }
}

fn start(args: &[Text]) -> io::Result<(Group, pipe::Receiver)> {
    let (reader, writer) = io::pipe()?;
    let reader = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
    let child = command(args, writer)?.spawn()?;
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    Ok((Group { child, id }, reader))
}

fn command(args: &[Text], output: PipeWriter) -> io::Result<Command> {
    let (program, args) = args.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(&**program);
    command
        .args(args.iter().map(|arg| &**arg))
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0)
        .kill_on_drop(true);
    Ok(command)
}

async fn finish(group: &mut Group, mut read: pipe::Receiver, output: &mut Tail) -> io::Result<ExitStatus> {
    let mut part = vec![0; OUTPUT_LIMIT];
    loop {
        match read.read(&mut part).await? {
            0 => break,
            count => output.add(part.get(..count).unwrap_or_default()),
        }
    }
    let status = group.child.wait().await?;
    // Nobody holds its output any more, and its number may be another's soon.
    group.id = None;
    Ok(status)
}

/// The end of what a program wrote.
#[derive(Debug, Default)]
struct Tail {
    kept: Vec<u8>,
    written: usize,
}

impl Tail {
    fn add(&mut self, part: &[u8]) {
        self.written = self.written.saturating_add(part.len());
        self.kept.extend_from_slice(part);
        let over = self.kept.len().saturating_sub(OUTPUT_LIMIT);
        self.kept.drain(..over);
    }

    /// In Consul's words where some is left out.
    fn shown(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        if self.written > OUTPUT_LIMIT {
            return format!("Captured {OUTPUT_LIMIT} of {} bytes\n...\n{text}", self.written);
        }
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    async fn shell(script: &str, limit: Duration) -> (Health, String) {
        let args: Vec<Text> = ["/bin/sh", "-c", script].map(Into::into).into();
        let Verdict { status, output } = self::script(&args, limit).await;
        (status, output)
    }

    #[tokio::test]
    async fn the_exit_code_decides_and_both_outputs_are_shown() {
        for (code, status) in [(0, Health::Passing), (1, Health::Warning), (2, Health::Critical)] {
            let ran = shell(&format!("echo out; echo err >&2; exit {code}"), LIMIT).await;
            assert_eq!(ran, (status, "out\nerr\n".to_owned()));
        }
        assert_eq!(shell("kill -9 $$", LIMIT).await.0, Health::Critical);
    }

    #[tokio::test]
    async fn arguments_are_not_read_by_a_shell_and_nothing_is_there_to_read() {
        let args: Vec<Text> = ["/bin/echo", "$HOME; exit 1", "*"].map(Into::into).into();
        let verdict = script(&args, LIMIT).await;
        assert_eq!((verdict.status, &*verdict.output), (Health::Passing, "$HOME; exit 1 *\n"));
        assert_eq!(shell("cat", LIMIT).await, (Health::Passing, String::new()));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_critical() {
        let verdict = script(&["/no/such/program".into()], LIMIT).await;
        assert_eq!(verdict.status, Health::Critical);
        assert!(verdict.output.starts_with("fork/exec /no/such/program: No such file"), "{}", verdict.output);
    }

    #[tokio::test]
    async fn of_a_long_output_the_end_is_kept() {
        let (status, output) = shell("head -c 5000 /dev/zero | tr '\\0' x; printf end", LIMIT).await;
        assert_eq!(status, Health::Passing);
        let rest = output.strip_prefix("Captured 4096 of 5003 bytes\n...\n").unwrap();
        assert_eq!((rest.len(), rest.ends_with("xend")), (OUTPUT_LIMIT, true));
    }

    /// Long enough for a shell to start on a busy machine.
    const SHORT: Duration = Duration::from_secs(2);
    const TIMED_OUT: &str = "Timed out (2s) running check\n\n";

    #[tokio::test]
    async fn an_endless_output_ends_at_the_limit() {
        let (status, output) = shell("yes", SHORT).await;
        assert_eq!(status, Health::Critical);
        assert!(output.strip_prefix(TIMED_OUT).unwrap().starts_with("Captured 4096 of "), "{output}");
    }

    #[tokio::test]
    async fn a_program_is_killed_at_its_limit_with_all_that_it_started() {
        let (status, output) = shell("sleep 1000 & echo $!; wait", SHORT).await;
        assert_eq!(status, Health::Critical);
        let id = output.strip_prefix(TIMED_OUT).unwrap().trim();
        assert!(id.parse::<u32>().is_ok(), "{output}");
        // It is dead, or its parent has not looked yet.
        let dead = async {
            while is_running(id) {
                tokio::task::yield_now().await;
            }
        };
        within(LIMIT, dead).await.unwrap();
    }

    fn is_running(id: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
    }
}
