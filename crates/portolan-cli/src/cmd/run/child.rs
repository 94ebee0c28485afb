//! The command that is run: started, signalled, waited for.
//!
//! In:  a command line. Out: how it ended, to as many as ask.
//!
//! Never: signals a process that has been waited for, whose number may be another's by now; leaves its group behind when
//! it is killed.

use std::{
    ffi::OsString,
    fmt,
    io::{self, IsTerminal},
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{
    process::Command,
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};

/// How many signals may wait to be passed on.
const SIGNALS: usize = 32;

/// A command that could not be started.
#[derive(Debug)]
pub(super) struct NotStarted {
    what: String,
    /// As a shell tells it.
    pub(super) code: u8,
}

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Code(u8),
    Signal(u8),
}

impl Ended {
    fn of(status: ExitStatus) -> Self {
        let number = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(number(code)),
            (None, signal) => Self::Signal(number(signal.unwrap_or_default())),
        }
    }

    /// The code to end with, as a shell would.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => signal.saturating_add(128),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with code {code}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Pass(Signal),
    /// Ends the whole group.
    Kill,
}

/// A running command. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Child {
    ending: Ending,
    _task: JoinSet<()>,
}

/// Waits for the command's end, and can ask for it.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    orders: mpsc::Sender<Order>,
    ended: watch::Receiver<Option<Ended>>,
}

impl Child {
    /// Starts a command in a process group of its own. It inherits what is not a terminal on stdin: from the background it
    /// could not read one.
    ///
    /// # Errors
    /// It is not there (127), or cannot be started (126).
    pub(super) fn start(command: &[OsString]) -> Result<Self, NotStarted> {
        let (program, arguments) = command.split_first().ok_or_else(|| NotStarted {
            what: "there is no command; give one after --".to_owned(),
            code: 127,
        })?;
        let stdin = if io::stdin().is_terminal() { Stdio::null() } else { Stdio::inherit() };
        let started = Command::new(program)
            .args(arguments)
            // The word to systemd is ours.
            .env_remove("NOTIFY_SOCKET")
            .stdin(stdin)
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let child = started.map_err(|cause| NotStarted {
            what: format!("{}: cannot be started: {cause}", program.to_string_lossy()),
            code: if cause.kind() == io::ErrorKind::NotFound { 127 } else { 126 },
        })?;
        let (orders, due) = mpsc::channel(SIGNALS);
        let (tell, ended) = watch::channel(None);
        let mut task = JoinSet::new();
        task.spawn(attend(child, due, tell));
        Ok(Self { ending: Ending { orders, ended }, _task: task })
    }

    pub(super) fn ending(&self) -> Ending {
        self.ending.clone()
    }

    pub(super) fn signal(&self, signal: Signal) {
        self.ending.order(Order::Pass(signal));
    }

    /// Ends it and its whole group.
    pub(super) fn kill(&self) {
        self.ending.order(Order::Kill);
    }

    /// How it ended, once it has.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(super) async fn ended(&mut self) -> Ended {
        self.ending.ended().await
    }
}

impl Ending {
    fn order(&self, order: Order) {
        // Full: as many wait already. Closed: it has ended.
        if let Err(lost) = self.orders.try_send(order) {
            tracing::debug!(%lost, "a signal was not passed on");
        }
    }

    async fn ended(&mut self) -> Ended {
        match self.ended.wait_for(Option::is_some).await {
            Ok(ended) => (*ended).unwrap_or(Ended::Code(u8::MAX)),
            // Its task is gone, and with it the child.
            Err(_gone) => Ended::Signal(9),
        }
    }

    /// Asks it to end by SIGTERM, and ends it after `limit`; returns once it has ended.
    pub(super) async fn asked_to(mut self, limit: Duration) {
        self.order(Order::Pass(Signal::TERM));
        if timeout(limit, self.ended()).await.is_err() {
            self.order(Order::Kill);
            self.ended().await;
        }
    }
}

/// Passes signals on until the command has ended.
async fn attend(
    mut child: tokio::process::Child,
    mut due: mpsc::Receiver<Order>,
    tell: watch::Sender<Option<Ended>>,
) {
    let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    let ended = loop {
        tokio::select! {
            biased;
            ended = child.wait() => break ended,
            Some(order) = due.recv() => {
                // It has not been waited for, so the number is still its own.
                let done = match (pid, order) {
                    (Some(pid), Order::Pass(signal)) => kill_process(pid, signal),
                    (Some(pid), Order::Kill) => kill_process_group(pid, Signal::KILL),
                    (None, _) => Ok(()),
                };
                if let Err(failed) = done {
                    tracing::debug!(%failed, "a signal was not passed on");
                }
            }
        }
    };
    let ended = ended.map_or_else(
        |lost| {
            tracing::error!(%lost, "the command was lost");
            Ended::Code(1)
        },
        Ended::of,
    );
    let _former = tell.send_replace(Some(ended));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[tokio::test]
    async fn it_ends_with_its_code_or_with_the_signals_number() {
        for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)] {
            let mut child = Child::start(&command(&["sh", "-c", script])).unwrap();
            assert_eq!(child.ended().await.code(), code, "{script}");
            // To be asked again, and to be signalled in vain, is fine.
            child.signal(Signal::TERM);
            assert_eq!(child.ended().await.code(), code, "{script}");
        }
    }

    #[test]
    fn what_cannot_be_started_is_told_as_a_shell_tells_it() {
        for (words, code) in
            [(&["/does/not/exist"][..], 127), (&["no-such-command-here"], 127), (&["/"], 126), (&[], 127)]
        {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let failed = runtime.block_on(async { Child::start(&command(words)).unwrap_err() });
            assert_eq!(failed.code, code, "{failed}");
        }
    }

    #[tokio::test]
    async fn who_does_not_end_when_asked_to_is_killed() {
        // Asked before it has its trap, it ends by that; it never ends by itself.
        let script = "trap '' TERM; exec tail -f /dev/null";
        let mut child = Child::start(&command(&["sh", "-c", script])).unwrap();
        child.ending().asked_to(Duration::from_millis(1)).await;
        assert!(matches!(child.ended().await, Ended::Signal(9 | 15)));
    }
}
