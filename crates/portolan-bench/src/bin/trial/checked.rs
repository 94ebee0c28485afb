//! What HTTP checks ask: a process that answers at every address of the loopback, and notes how late it is asked.
//!
//! In:  `GET /N` for check number N. Out: `ok`; at `/stats` how often it was asked since `/reset`, over how many
//! connections, and by how much the latest was late.
//!
//! Never: does more than a checked service must, so that the one that checks has the machine.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

/// How often each is asked.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);

/// What was seen since the last reset.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stats {
    pub(crate) requests: u64,
    pub(crate) connections: u64,
    /// By how much the latest was late, in milliseconds.
    pub(crate) late_ms: u64,
}

#[derive(Debug, Default)]
struct Seen {
    stats: Stats,
    /// When each check asked last.
    last: Vec<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Shared {
    #[expect(clippy::disallowed_types, reason = "held to note one request")]
    seen: std::sync::Mutex<Seen>,
}

impl Shared {
    fn with<T>(&self, work: impl FnOnce(&mut Seen) -> T) -> T {
        work(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn answer(&self, path: &str) -> String {
        self.with(|seen| match path {
            "/stats" => serde_json::to_string(&seen.stats).unwrap_or_default(),
            "/reset" => {
                seen.stats = Stats::default();
                "ok".to_owned()
            }
            _ => {
                if let Some(number) = path.strip_prefix('/').and_then(|number| number.parse().ok()) {
                    seen.asked(number);
                }
                "ok".to_owned()
            }
        })
    }
}

impl Seen {
    fn asked(&mut self, number: usize) {
        let now = Instant::now();
        self.stats.requests += 1;
        if self.last.len() <= number {
            self.last.resize(number + 1, None);
        }
        let before = self.last.get_mut(number).and_then(|last| last.replace(now));
        let late = before.map(|before| now.duration_since(before).saturating_sub(INTERVAL));
        let late = late.and_then(|late| u64::try_from(late.as_millis()).ok());
        self.stats.late_ms = self.stats.late_ms.max(late.unwrap_or_default());
    }
}

/// Answers until killed.
///
/// # Errors
/// When the port is taken.
pub(crate) async fn be_checked(port: u16) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await.context("bind")?;
    let shared = Arc::new(Shared::default());
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                shared.with(|seen| seen.stats.connections += 1);
                open.spawn(converse(stream, Arc::clone(&shared)));
            }
            // One that broke is of no interest: what was asked has been noted.
            Some(_ended) = open.join_next() => {}
        }
    }
}

async fn converse(mut stream: TcpStream, shared: Arc<Shared>) -> std::io::Result<()> {
    let mut head = Vec::new();
    loop {
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let body = shared.answer(text.split(' ').nth(1).unwrap_or_default());
        let last = text.contains("connection: close") || text.contains("http/1.0");
        let (length, close) = (body.len(), if last { "Connection: close\r\n" } else { "" });
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n{close}\r\n{body}"
        );
        stream.write_all(answer.as_bytes()).await?;
        if last {
            return Ok(());
        }
        head.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_latest_of_all_is_noted() {
        let shared = Shared::default();
        let stats = || serde_json::from_str::<Stats>(&shared.answer("/stats")).unwrap();
        shared.answer("/0");
        shared.answer("/7");
        tokio::time::advance(INTERVAL).await;
        shared.answer("/0");
        tokio::time::advance(Duration::from_millis(20)).await;
        shared.answer("/7");
        assert_eq!((stats().requests, stats().late_ms), (4, 20));
        shared.answer("/reset");
        assert_eq!((stats().requests, stats().late_ms), (0, 0));
    }
}
