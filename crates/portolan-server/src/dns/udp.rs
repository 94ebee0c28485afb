//! Questions over UDP.
//!
//! In:  a socket that is bound. Out: answers, until the registry stops.
//!
//! Never: lets a question that waits for others hold up one that does not; waits for a client to take its answer.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use tokio::{net::UdpSocket, task::JoinSet, time::sleep};

use super::{
    MOST_ASKED,
    desk::{Desk, Turn},
    fit::Over,
};
use crate::core::Core;

/// The pause after a read that failed.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn run(socket: Arc<UdpSocket>, desk: Arc<Desk>, core: Arc<Core>) {
    let mut chance = core.chance();
    let mut buffer = vec![0; MOST_ASKED];
    let mut waiting = JoinSet::new();
    let mut stopping = pin!(core.stopping.cancelled());
    loop {
        let (length, from) = tokio::select! {
            got = socket.recv_from(&mut buffer) => match got {
                Ok(got) => got,
                Err(failed) => {
                    tracing::warn!(%failed, "a question could not be received");
                    sleep(PAUSE).await;
                    continue;
                }
            },
            Some(ended) = waiting.join_next() => {
                super::note(ended);
                continue;
            }
            () = &mut stopping => return,
        };
        match desk.first(buffer.get(..length).unwrap_or_default(), Over::Udp, &mut chance) {
            Turn::Say(answer) => send(&socket, &answer, from),
            Turn::Nothing => {}
            // How many wait is bounded where they do.
            Turn::Others(open) => {
                let (socket, desk) = (Arc::clone(&socket), Arc::clone(&desk));
                waiting.spawn(async move {
                    let answer = desk.rest(*open).await;
                    send(&socket, &answer, from);
                });
            }
        }
    }
}

/// An answer for which there is no room now is lost, as any datagram may be: whoever asked asks again.
fn send(socket: &UdpSocket, answer: &[u8], to: SocketAddr) {
    if let Err(failed) = socket.try_send_to(answer, to)
        && failed.kind() != io::ErrorKind::WouldBlock
    {
        tracing::debug!(%failed, %to, "an answer could not be sent");
    }
}
