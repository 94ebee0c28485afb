//! The signals that end a command: Ctrl-C, and SIGTERM where there is such a thing; and SIGHUP, which has files read again.

use anyhow::Context;

/// Listens from now on, so that a signal between two waits is not lost.
#[derive(Debug)]
pub(crate) struct Ending {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Ending {
    /// # Errors
    /// The system hands out no signals.
    #[cfg(unix)]
    pub(crate) fn listen() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
        let terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        Ok(Self { interrupt, terminate })
    }

    /// # Errors
    /// Never on this system.
    #[cfg(not(unix))]
    pub(crate) fn listen() -> anyhow::Result<Self> {
        Ok(Self {})
    }

    /// Returns when the command is asked to end.
    #[cfg(unix)]
    pub(crate) async fn asked(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        Ok(())
    }

    /// Returns when the command is asked to end.
    #[cfg(not(unix))]
    pub(crate) async fn asked(&mut self) -> anyhow::Result<()> {
        tokio::signal::ctrl_c().await.context("cannot listen for Ctrl-C")
    }
}

/// SIGHUP, where there is such a thing. Where nobody listens it ends the command, as a closed terminal should.
#[derive(Debug)]
pub(crate) struct Hangup {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangup {
    /// Listens from now on.
    ///
    /// # Errors
    /// The system hands out no signals.
    #[cfg(unix)]
    pub(crate) fn listen() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { signal: Some(signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?) })
    }

    /// # Errors
    /// Never on this system.
    #[cfg(not(unix))]
    pub(crate) fn listen() -> anyhow::Result<Self> {
        Ok(Self {})
    }

    /// Does not listen.
    pub(crate) fn ignored() -> Self {
        Self {
            #[cfg(unix)]
            signal: None,
        }
    }

    /// Returns when it came.
    pub(crate) async fn came(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
