//! A registry for a test: one line, a free port, nothing on disk, gone with its handle.
//!
//! In:  settings, if any. Out: where it listens.
//!
//! Never: outlives its [`Running`]; meets another one, however many there are side by side.
//!
//! Proof: `tests/http/ephemeral.rs`.

use std::{net::Ipv4Addr, sync::mpsc, time::Duration};

use portolan::Error;
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{Embedded, Server, ServerConfig};

/// A registry for a test that has not been started.
#[derive(Clone, Debug)]
#[must_use = "it is not there before it is started"]
pub struct Ephemeral {
    config: ServerConfig,
    by_hand: bool,
}

/// A registry that serves. Dropping it ends it at once.
#[derive(Debug)]
pub struct Running {
    http_addr: std::net::SocketAddr,
    embedded: Embedded,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    /// While it is there, the clock stands still unless it is moved.
    _hand: Option<mpsc::Sender<()>>,
}

impl Server {
    /// A registry for a test: at a free port of the loopback, in memory.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), portolan::Error> {
    /// use portolan_server::Server;
    ///
    /// let registry = Server::ephemeral().start().await?;
    /// println!("CONSUL_HTTP_ADDR={}", registry.url());
    /// # Ok(())
    /// # }
    /// ```
    pub fn ephemeral() -> Ephemeral {
        Ephemeral { config: ServerConfig::default(), by_hand: false }
    }
}

impl Ephemeral {
    /// Other settings. Its address and its directory are not taken: the port is free, and nothing is kept.
    pub fn config(mut self, config: ServerConfig) -> Self {
        self.config = config;
        self
    }

    /// In a test whose clock is paused, time passes only where the test moves it.
    ///
    /// By itself, tokio's paused clock jumps to the next deadline whenever all tasks wait, also while an answer is on
    /// its way through a socket: checks expire that nobody was late for. This holds it. On a runtime of one thread only.
    ///
    /// ```
    /// # use tokio::time::Duration;
    /// # async fn example() -> Result<(), portolan::Error> {
    /// use portolan_server::Server;
    ///
    /// let registry = Server::ephemeral().time_by_hand().start().await?;
    /// // … an instance with a TTL of 30 s is registered, and then nothing is heard of it:
    /// tokio::time::advance(Duration::from_secs(31)).await;
    /// // … it is critical.
    /// # drop(registry);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
    /// #     .block_on(example()).unwrap();
    /// ```
    pub fn time_by_hand(mut self) -> Self {
        self.by_hand = true;
        self
    }

    /// Starts it; when this returns, it answers.
    ///
    /// # Errors
    /// [`Kind::Config`](portolan::Kind::Config): a setting is out of range, or no port can be had.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn start(self) -> Result<Running, Error> {
        let config = self.config.http_addr((Ipv4Addr::LOCALHOST, 0).into()).data_dir(None);
        let server = Server::bind(config).await?;
        let (http_addr, embedded, stop) = (server.http_addr(), server.embedded(), CancellationToken::new());
        let mut tasks = JoinSet::new();
        let hand = self.by_hand.then(|| {
            let (hand, held) = mpsc::channel();
            // Tokio moves a paused clock by itself only while no blocking task is under way.
            tasks.spawn_blocking(move || if held.recv().is_ok() {});
            hand
        });
        tasks.spawn(server.run(stop.clone().cancelled_owned()));
        Ok(Running { http_addr, embedded, stop, tasks, _hand: hand })
    }
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn http_addr(&self) -> std::net::SocketAddr {
        self.http_addr
    }

    /// The same as clients are told it: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.http_addr)
    }

    /// The same registry without the network.
    #[must_use]
    pub fn embedded(&self) -> Embedded {
        self.embedded.clone()
    }

    /// Answers what is open, and ends; cuts off what is still open after `within`.
    ///
    /// # Cancel safety
    /// Dropping the future ends it at once.
    pub async fn stop(mut self, within: Duration) {
        self.stop.cancel();
        self._hand = None;
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(within, ended).await.is_err() {
            tracing::warn!("connections were cut at the end of the time that was given");
        }
    }
}
