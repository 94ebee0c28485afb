//! The drain of an instance whose command is about to end.
//!
//! In:  a registration. Out: nobody chooses it any more, then the command's end, then it is removed.
//!
//! Never: drains what the registry has not seen: nobody could choose it.

use std::{future::Future, time::Duration};

use portolan::{Drain, RegistrationHandle, RegistrationState};

use crate::{config::Shell, exit};

/// How much longer than the command may take the drain waits for its end: it never gives up first.
const SLACK: Duration = Duration::from_secs(5);

/// Takes the instance out of service, lets `in_flight` come to its end, and removes it.
pub(super) async fn drain(
    handle: RegistrationHandle,
    settle: Duration,
    limit: Duration,
    in_flight: impl Future<Output = ()>,
    shell: &Shell,
) {
    let id = handle.id().clone();
    if handle.state() == RegistrationState::Pending {
        drop(handle);
        return in_flight.await;
    }
    let how = Drain::default().settle(settle).deadline(limit.saturating_add(SLACK));
    let in_flight = async {
        shell.hint(&format!("{id}: out of service; the command is asked to end"));
        in_flight.await;
    };
    match handle.drain(how, in_flight).await {
        Ok(()) => shell.hint(&format!("{id}: removed")),
        Err(error) => exit::say(&format!("{id}: {}", error.chain())),
    }
}
