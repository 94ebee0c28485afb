//! `--exec`: a command for each change, never two at once, and the latest state wins.
//!
//! In:  "something changed", and the state when a command is about to start. Out: the command's end.
//!
//! Never: queues states; holds up the watch because a command does not read its stdin.

use std::{process::Stdio, time::Duration};

use anyhow::Context;
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    task::JoinSet,
};

/// How long the last command may go on when the watch ends.
const LAST: Duration = Duration::from_secs(5);

/// What a command is given.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) service: String,
    pub(crate) registry: String,
    pub(crate) index: u64,
    pub(crate) healthy: usize,
    /// A JSON array of the healthy instances.
    pub(crate) json: String,
}

/// Runs one command at a time.
#[derive(Debug)]
pub(crate) struct Exec {
    command: String,
    running: JoinSet<anyhow::Result<()>>,
    /// Something changed since the running command was started.
    stale: bool,
}

impl Exec {
    pub(crate) fn new(command: String) -> Self {
        Self { command, running: JoinSet::new(), stale: false }
    }

    /// Something changed: starts the command, now or when the running one has ended.
    ///
    /// # Errors
    /// There is no shell.
    pub(crate) fn changed(&mut self, state: &State) -> anyhow::Result<()> {
        if !self.running.is_empty() {
            self.stale = true;
            return Ok(());
        }
        self.stale = false;
        let child = self.spawn(state)?;
        self.running.spawn(feed(child, state.json.clone()));
        Ok(())
    }

    /// Waits for the running command to end; says whether there is a newer state to run it for. Never returns while
    /// none is running.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn ended(&mut self) -> (bool, anyhow::Result<()>) {
        let Some(ended) = self.running.join_next().await else {
            return std::future::pending().await;
        };
        (self.stale, ended.context("--exec").and_then(|result| result))
    }

    /// Gives the running command a last while to end by itself.
    pub(crate) async fn finish(mut self) {
        let last = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST, last).await.is_err() {
            self.running.shutdown().await;
        }
    }

    fn spawn(&self, state: &State) -> anyhow::Result<Child> {
        Command::new("sh")
            .arg("-c")
            .arg(&self.command)
            .env("PORTOLAN_SERVICE", &state.service)
            .env("PORTOLAN_REGISTRY", &state.registry)
            .env("PORTOLAN_INDEX", state.index.to_string())
            .env("PORTOLAN_HEALTHY", state.healthy.to_string())
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("--exec: cannot start `sh`, which runs the command")
    }
}

/// Hands the state to the command, and waits for its end.
async fn feed(mut child: Child, json: String) -> anyhow::Result<()> {
    let stdin = child.stdin.take();
    let write = async {
        if let Some(mut stdin) = stdin {
            // A command that does not care for its stdin closes it, which is fine.
            let _unread = stdin.write_all(json.as_bytes()).await;
        }
    };
    let ((), ended) = tokio::join!(write, child.wait());
    let status = ended.context("--exec: the command was lost")?;
    anyhow::ensure!(status.success(), "--exec: the command ended with {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(json: &str) -> State {
        State {
            service: "web".to_owned(),
            registry: "http://127.0.0.1:1".to_owned(),
            index: 7,
            healthy: 1,
            json: json.to_owned(),
        }
    }

    #[tokio::test]
    async fn the_state_is_on_stdin_and_in_the_environment() {
        let check = "test \"$(cat)\" = '[1]' && test $PORTOLAN_SERVICE = web && test $PORTOLAN_HEALTHY = 1";
        let mut exec = Exec::new(check.to_owned());
        exec.changed(&state("[1]")).unwrap();
        let (again, ended) = exec.ended().await;
        ended.unwrap();
        assert!(!again);
    }

    #[tokio::test]
    async fn many_changes_while_it_runs_are_one_more_run() {
        let mut exec = Exec::new("cat >/dev/null".to_owned());
        for _ in 0..3 {
            exec.changed(&state("[]")).unwrap();
        }
        assert_eq!(exec.running.len(), 1, "never two at once");
        let (again, ended) = exec.ended().await;
        ended.unwrap();
        assert!(again, "there is a newer state");
        exec.changed(&state("[]")).unwrap();
        assert!(!exec.ended().await.0);
    }

    #[tokio::test]
    async fn a_command_that_fails_is_told_and_one_that_reads_nothing_is_not() {
        let mut exec = Exec::new("exit 3".to_owned());
        exec.changed(&state("[]")).unwrap();
        assert!(exec.ended().await.1.unwrap_err().to_string().contains("exit status: 3"));
        let mut exec = Exec::new("exec <&-; true".to_owned());
        exec.changed(&state(&"x".repeat(1 << 20))).unwrap();
        exec.ended().await.1.unwrap();
    }
}
