//! Questions over TCP, each with its length before it.
//!
//! In:  a listener. Out: answers in the order of the questions, until the registry stops.
//!
//! Never: holds more connections than it may, in all or from one address; keeps one whose client sends nothing, sends slowly,
//! or does not read.
//!
//! Times from Consul's library: miekg/dns 1.1, server.go.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    MOST_ASKED,
    desk::{Desk, Turn},
    fit::Over,
};
use crate::{
    chance::Chance,
    config::{Dns, Limits},
    core::Core,
    server::places::Places,
};

/// How long a connection may be idle.
const IDLE: Duration = Duration::from_secs(8);
/// How long a client may take for one question once it has begun, and for taking an answer.
const SLOWEST: Duration = Duration::from_secs(2);
/// How many connections one address holds at most.
const OF_ONE: usize = 100;
/// The pause after an accept that failed, for example because descriptors ran out.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn run(listener: Arc<TcpListener>, desk: Arc<Desk>, core: Arc<Core>, dns: Arc<Dns>) {
    let of_one = OF_ONE.min(dns.max_connections);
    let limits = Limits::default().max_connections(dns.max_connections);
    let places = Places::new(&limits.max_connections_per_address(Some(of_one)));
    let mut connections = JoinSet::new();
    loop {
        let (stream, from) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(failed) => {
                    tracing::warn!(%failed, "a DNS connection could not be accepted");
                    sleep(PAUSE).await;
                    continue;
                }
            },
            Some(ended) = connections.join_next() => {
                super::note(ended);
                continue;
            }
            () = core.stopping.cancelled() => return,
        };
        // Without a place it is closed: there is no way to say more before a question came.
        let Some(place) = places.take(from.ip()) else { continue };
        let (desk, mut chance) = (Arc::clone(&desk), core.chance());
        connections.spawn(async move {
            let _place = place;
            if let Err(failed) = serve(stream, &desk, &mut chance).await {
                tracing::debug!(%failed, %from, "a DNS connection ended");
            }
        });
    }
}

/// # Errors
/// The client went, was too slow, or sent what is no question.
async fn serve(mut stream: TcpStream, desk: &Desk, chance: &mut Chance) -> io::Result<()> {
    // An answer is one write.
    stream.set_nodelay(true)?;
    let mut message = Vec::new();
    loop {
        let length = usize::from(timeout(IDLE, stream.read_u16()).await??);
        if length > MOST_ASKED {
            return Err(io::Error::other("a question is longer than 4096 bytes"));
        }
        message.resize(length, 0);
        timeout(SLOWEST, stream.read_exact(&mut message)).await??;
        let answer = match desk.first(&message, Over::Tcp, chance) {
            Turn::Say(answer) => answer,
            Turn::Nothing => return Err(io::Error::other("what came is no question")),
            Turn::Others(open) => desk.rest(*open).await,
        };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        let framed = [&length.to_be_bytes(), answer.as_slice()].concat();
        timeout(SLOWEST, stream.write_all(&framed)).await??;
    }
}
