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
use crate::{chance::Chance, core::Core};

/// The pause after a read that failed.
const PAUSE: Duration = Duration::from_millis(100);
/// So many questions that lie there already are answered before anything else is looked at.
const AT_ONCE: usize = 64;

/// What a socket's questions are answered with.
struct Answerer {
    socket: Arc<UdpSocket>,
    desk: Arc<Desk>,
    chance: Chance,
    /// Questions that wait for others. How many do is bounded where they do.
    waiting: JoinSet<()>,
}

impl Answerer {
    fn answer(&mut self, message: &[u8], from: SocketAddr) {
        match self.desk.first(message, Over::Udp, &mut self.chance) {
            Turn::Say(answer) => send(&self.socket, &answer, from),
            Turn::Nothing => {}
            Turn::Others(open) => {
                let (socket, desk) = (Arc::clone(&self.socket), Arc::clone(&self.desk));
                self.waiting.spawn(async move {
                    let answer = desk.rest(*open).await;
                    send(&socket, &answer, from);
                });
            }
        }
    }
}

pub(super) async fn run(socket: Arc<UdpSocket>, desk: Arc<Desk>, core: Arc<Core>) {
    let (chance, waiting) = (core.chance(), JoinSet::new());
    let mut answerer = Answerer { socket: Arc::clone(&socket), desk, chance, waiting };
    let mut buffer = vec![0; MOST_ASKED];
    let mut stopping = pin!(core.stopping.cancelled());
    loop {
        let (length, from) = tokio::select! {
            got = socket.recv_from(&mut buffer) => match got {
                Ok(got) => got,
                Err(failed) => {
                    tell(&failed);
                    sleep(PAUSE).await;
                    continue;
                }
            },
            Some(ended) = answerer.waiting.join_next() => {
                super::note(ended);
                continue;
            }
            () = &mut stopping => return,
        };
        answerer.answer(buffer.get(..length).unwrap_or_default(), from);
        for _ in 1..AT_ONCE {
            let (length, from) = match socket.try_recv_from(&mut buffer) {
                Ok(got) => got,
                Err(failed) if failed.kind() == io::ErrorKind::WouldBlock => break,
                Err(failed) => {
                    tell(&failed);
                    break;
                }
            };
            answerer.answer(buffer.get(..length).unwrap_or_default(), from);
        }
    }
}

fn tell(failed: &io::Error) {
    tracing::warn!(%failed, "a question could not be received");
}

/// An answer for which there is no room now is lost, as any datagram may be: whoever asked asks again.
fn send(socket: &UdpSocket, answer: &[u8], to: SocketAddr) {
    if let Err(failed) = socket.try_send_to(answer, to)
        && failed.kind() != io::ErrorKind::WouldBlock
    {
        tracing::debug!(%failed, %to, "an answer could not be sent");
    }
}
