//! What a command that is run waits for before it is started.
//!
//! In:  its readiness. Out: all is there; or not in time; or it was told to end. On stderr: what is missing, why, and what
//! has come.
//!
//! Never: waits without a word; holds up a signal that ends it.

use std::{pin::pin, time::Duration};

use portolan::depend::{Readiness, ReadyChanges, Stage};
use tokio::time::{MissedTickBehavior, interval};

use super::{Signals, Told};
use crate::{config::Shell, exit};

/// How often it is said what is still missing.
const PROGRESS: Duration = Duration::from_secs(10);

/// How the wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// All is there.
    Ready,
    /// Something is still missing; it was said what.
    Late,
    /// A signal ended it.
    Ended,
}

/// Waits for what is needed, at most `within`; `kept` registers meanwhile.
pub(super) async fn wait(
    mut readiness: Readiness,
    within: Duration,
    signals: &mut Signals,
    kept: &mut (impl Future<Output = ()> + Unpin),
    shell: &Shell,
) -> Waited {
    let waits = readiness.clone();
    let mut ready = pin!(waits.ready(within));
    let mut progress = interval(PROGRESS);
    progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first answers need a moment; what is missing before them is everything.
    progress.reset_after(FIRST_WORD);
    loop {
        tokio::select! {
            biased;
            told = signals.next() => if told == Told::End { return Waited::Ended },
            ready = &mut ready => match ready {
                Ok(()) => return Waited::Ready,
                Err(late) => {
                    exit::say(&format!("error: {}", late.chain()));
                    return Waited::Late;
                }
            },
            Ok(changes) = readiness.changed() => tell(&changes, shell),
            _ = progress.tick() => {
                let state = readiness.state();
                shell.hint(&format!("{}: waits for {}", state.service, state.missing_text()));
            }
            // It goes on for as long as the command does.
            () = &mut *kept => {}
        }
    }
}

/// When it is first said what is missing.
const FIRST_WORD: Duration = Duration::from_millis(500);

/// Says what has come and gone, for as long as the discovery is open.
pub(super) async fn follow(mut readiness: Readiness, shell: &Shell) {
    while let Ok(changes) = readiness.changed().await {
        tell(&changes, shell);
    }
    std::future::pending().await
}

fn tell(changes: &ReadyChanges, shell: &Shell) {
    let service = &changes.now.service;
    for need in &changes.met {
        shell.hint(&format!("{service}: {need} is there"));
    }
    for one in &changes.lost {
        let lack = one.lack.as_ref().map(ToString::to_string).unwrap_or_default();
        shell.hint(&format!("{service}: {} is lost: {lack}", one.need));
    }
    let after_start = changes.before != Stage::Waiting && changes.before != changes.now.stage;
    if after_start && changes.now.stage == Stage::Degraded {
        shell.hint(&format!("{service}: it goes on without"));
    }
}
