//! A client of a few lines: one request a connection, so that nothing is hidden by a pool.

use std::{collections::BTreeMap, error::Error, net::SocketAddr, time::Duration};

use portolan_server::{Embedded, Server, ServerConfig};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinSet,
    time::timeout,
};

pub(crate) type Try<T = ()> = Result<T, Box<dyn Error>>;

/// No answer takes this long, unless something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A registry that runs until it is dropped.
pub(crate) struct Registry {
    pub(crate) addr: SocketAddr,
    pub(crate) embedded: Embedded,
    stop: Option<oneshot::Sender<()>>,
    tasks: JoinSet<()>,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn index(&self) -> u64 {
        self.header("x-consul-index").parse().unwrap_or(0)
    }
}

pub(crate) async fn start() -> Try<Registry> {
    start_with(ServerConfig::default()).await
}

pub(crate) async fn start_with(config: ServerConfig) -> Try<Registry> {
    let config = config.http_addr(SocketAddr::from(([127, 0, 0, 1], 0))).node("n1").seed(Some(1));
    let server = Server::bind(config).await?;
    let (addr, embedded) = (server.http_addr(), server.embedded());
    let (stop, stopped) = oneshot::channel::<()>();
    let mut tasks = JoinSet::new();
    tasks.spawn(server.run(async move {
        // An error means that the sender is gone: the test has ended.
        drop(stopped.await);
    }));
    Ok(Registry { addr, embedded, stop: Some(stop), tasks })
}

impl Registry {
    pub(crate) async fn get(&self, path: &str) -> Try<Reply> {
        self.send("GET", path, "").await
    }

    pub(crate) async fn put(&self, path: &str, body: &str) -> Try<Reply> {
        self.send("PUT", path, body).await
    }

    /// A write that must succeed.
    pub(crate) async fn write(&self, path: &str, body: &str) -> Try {
        let reply = self.put(path, body).await?;
        if reply.status == 200 {
            Ok(())
        } else {
            Err(format!("PUT {path}: {} {}", reply.status, reply.body).into())
        }
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> Try<Reply> {
        timeout(PATIENCE, send(self.addr, method, path, body)).await?
    }

    /// Asks until `want` accepts the answer.
    pub(crate) async fn until(&self, path: &str, want: impl Fn(&Reply) -> bool) -> Try<Reply> {
        timeout(PATIENCE, async {
            let mut index = 0;
            loop {
                let glue = if path.contains('?') { '&' } else { '?' };
                let reply = self.get(&format!("{path}{glue}index={index}&wait=10s")).await?;
                if want(&reply) {
                    return Ok(reply);
                }
                index = reply.index();
            }
        })
        .await?
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> Try {
        drop(self.stop.take());
        timeout(PATIENCE, self.tasks.join_next()).await?.ok_or("it never ran")??;
        Ok(())
    }

    /// Tells it to stop.
    pub(crate) fn tell_to_stop(&mut self) {
        drop(self.stop.take());
    }
}

pub(crate) async fn send(addr: SocketAddr, method: &str, path: &str, body: &str) -> Try<Reply> {
    let mut stream = TcpStream::connect(addr).await?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    parse(&String::from_utf8(answer)?)
}

pub(crate) fn parse(answer: &str) -> Try<Reply> {
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no end of the head")?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or("no status")?.parse()?;
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    Ok(Reply { status, headers: headers.collect(), body: body.to_owned() })
}
