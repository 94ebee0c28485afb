//! Stopped, cut off, damaged and repaired, in one process.

use std::{
    error::Error,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use portolan::{Registry as _, ServiceId};
use portolan_server::{Embedded, Repair, Server, ServerConfig};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::{JoinSet, yield_now},
    time::timeout,
};

type Try<T = ()> = Result<T, Box<dyn Error>>;

const PATIENCE: Duration = Duration::from_secs(20);

struct Registry {
    addr: SocketAddr,
    embedded: Embedded,
    stop: oneshot::Sender<()>,
    tasks: JoinSet<()>,
}

struct Reply {
    status: u16,
    index: u64,
    body: String,
}

fn config(dir: &Path) -> ServerConfig {
    let addr = SocketAddr::from(([127, 0, 0, 1], 0));
    ServerConfig::default().http_addr(addr).node("n1").data_dir(Some(dir.to_owned()))
}

async fn start(config: ServerConfig) -> Try<Registry> {
    let server = Server::bind(config).await?;
    let (addr, embedded) = (server.http_addr(), server.embedded());
    let (stop, stopped) = oneshot::channel::<()>();
    let mut tasks = JoinSet::new();
    tasks.spawn(server.run(async move { drop(stopped.await) }));
    Ok(Registry { addr, embedded, stop, tasks })
}

impl Registry {
    async fn send(&self, method: &str, path: &str, body: &str) -> Try<Reply> {
        let mut stream = TcpStream::connect(self.addr).await?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await??;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no end of the head")?;
        let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
        let index = head.lines().find_map(|line| line.strip_prefix("X-Consul-Index: "));
        let index = index.map_or(Ok(0), str::parse)?;
        Ok(Reply { status, index, body: body.to_owned() })
    }

    async fn write(&self, path: &str, body: &str) -> Try {
        let reply = self.send("PUT", path, body).await?;
        if reply.status == 200 {
            Ok(())
        } else {
            Err(format!("{path}: {} {}", reply.status, reply.body).into())
        }
    }

    async fn get(&self, path: &str) -> Try<Reply> {
        self.send("GET", path, "").await
    }

    async fn stop(mut self) -> Try {
        drop(self.stop);
        timeout(PATIENCE, self.tasks.join_next()).await?.ok_or("it never ran")??;
        Ok(())
    }

    /// Ends it where it is, and waits until its data directory is free.
    async fn cut(self, config: &ServerConfig) -> Try {
        let Self { mut tasks, embedded, .. } = self;
        tasks.shutdown().await;
        drop(embedded);
        // Its tasks are gone a moment after it.
        let free = async {
            while Repair::survey(config).is_err() {
                yield_now().await;
            }
        };
        Ok(timeout(PATIENCE, free).await?)
    }
}

const WEB: &str = r#"{"name":"web","id":"w1","port":80,"tags":["a"],"check":{"checkid":"c","ttl":"10m"}}"#;

async fn fill(registry: &Registry) -> Try {
    registry.write("/v1/agent/service/register", WEB).await?;
    registry.write("/v1/agent/check/pass/c?note=well", "").await?;
    registry.write("/v1/agent/service/register", r#"{"name":"gone"}"#).await?;
    registry.write("/v1/agent/service/deregister/gone", "").await?;
    let far = r#"{"Node":"far","Address":"10.0.0.9","Service":{"Service":"db","Port":5432}}"#;
    registry.write("/v1/catalog/register", far).await?;
    registry.write("/v1/kv/a/gone", "1").await?;
    registry.send("DELETE", "/v1/kv/a/gone", "").await?;
    registry.write("/v1/kv/a/b?flags=7", "value").await?;
    let holder = registry.send("PUT", "/v1/session/create", r#"{"TTL":"1h"}"#).await?;
    let holder: Value = serde_json::from_str(&holder.body)?;
    let acquire = format!("/v1/kv/a/lock?acquire={}", holder["ID"].as_str().ok_or("no id")?);
    registry.write(&acquire, "held").await?;
    registry.write("/v1/agent/service/maintenance/w1?enable=true&reason=upgrade", "").await
}

const PATHS: [&str; 8] = [
    "/v1/health/service/web",
    "/v1/catalog/services",
    "/v1/catalog/nodes",
    "/v1/health/state/any",
    "/v1/catalog/node/far",
    "/v1/catalog/node/n1",
    "/v1/kv/a?recurse",
    "/v1/session/list",
];

async fn told(registry: &Registry) -> Try<Vec<(u64, Value)>> {
    let mut told = Vec::new();
    for path in PATHS {
        let reply = registry.get(path).await?;
        told.push((reply.index, serde_json::from_str(&reply.body)?));
    }
    Ok(told)
}

fn same_and_not_lower(before: &[(u64, Value)], after: &[(u64, Value)]) {
    for ((path, before), after) in PATHS.iter().zip(before).zip(after) {
        assert_eq!(before.1, after.1, "{path}");
        assert!(after.0 >= before.0, "{path}: {} after {}", after.0, before.0);
    }
}

#[tokio::test]
async fn a_registry_that_stopped_goes_on_where_it_was() -> Try {
    let dir = TempDir::new()?;
    let registry = start(config(dir.path())).await?;
    fill(&registry).await?;
    let before = told(&registry).await?;
    registry.stop().await?;
    let registry = start(config(dir.path())).await?;
    let after = told(&registry).await?;
    same_and_not_lower(&before, &after);
    // A proper end passes over no index.
    let newest = before.iter().map(|(index, _)| *index).max();
    assert!(after.iter().all(|(index, _)| Some(*index) <= newest), "{after:?}");
    registry.write("/v1/agent/service/register", r#"{"name":"web","id":"w2"}"#).await?;
    let next = registry.get("/v1/health/service/web").await?;
    assert!(Some(next.index) > newest);
    Ok(())
}

#[tokio::test]
async fn a_registry_that_was_cut_off_has_all_that_it_acknowledged() -> Try {
    let dir = TempDir::new()?;
    let mut before = Vec::new();
    for round in 0..3 {
        let registry = start(config(dir.path())).await?;
        if round == 0 {
            fill(&registry).await?;
        } else {
            same_and_not_lower(&before, &told(&registry).await?);
        }
        before = told(&registry).await?;
        registry.cut(&config(dir.path())).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_second_registry_on_the_directory_is_told_who_has_it() -> Try {
    let dir = TempDir::new()?;
    let _first = start(config(dir.path())).await?;
    let error = Server::bind(config(dir.path())).await.err().ok_or("two registries in one directory")?;
    let (path, pid) = (dir.path().display(), std::process::id());
    let says =
        format!("data_dir: {path}: is in use by process {pid}; stop that one, or choose another directory");
    assert_eq!((error.to_string(), error.kind()), (says, portolan::Kind::Config));
    Ok(())
}

#[tokio::test]
async fn who_writes_to_a_registry_that_has_stopped_is_told_so() -> Try {
    let dir = TempDir::new()?;
    let registry = start(config(dir.path())).await?;
    fill(&registry).await?;
    let embedded = registry.embedded.clone();
    registry.stop().await?;
    let id = ServiceId::new("w1")?;
    let error =
        timeout(PATIENCE, embedded.maintenance(&id, None)).await?.err().ok_or("it was acknowledged")?;
    assert_eq!(error.kind(), portolan::Kind::Unavailable);
    assert!(error.to_string().contains("the registry has stopped"), "{error}");
    Ok(())
}

fn damage(dir: &Path) -> Try<PathBuf> {
    let path = dir.join("registry.redb");
    let mut bytes = fs::read(&path)?;
    // In a row, so that it is known which one is lost.
    let at = bytes.windows(7).position(|seen| seen == b"upgrade").ok_or("not there")?;
    *bytes.get_mut(at).ok_or("not there")? ^= 1;
    fs::write(&path, bytes)?;
    Ok(path)
}

#[tokio::test]
async fn a_damaged_directory_is_refused_and_a_repair_says_what_it_drops() -> Try {
    let dir = TempDir::new()?;
    let registry = start(config(dir.path())).await?;
    fill(&registry).await?;
    let before = told(&registry).await?;
    registry.stop().await?;
    assert!(Repair::survey(&config(dir.path()))?.is_none(), "it is sound");
    let path = damage(dir.path())?;
    let bad = fs::read(&path)?;
    let error = Server::bind(config(dir.path())).await.err().ok_or("it was believed")?.to_string();
    assert!(error.contains("is damaged") && error.contains("portolan serve --repair"), "{error}");

    let bad = if fs::read(&path)? == bad { bad } else { return Err("the refused file was changed".into()) };
    let repair = Repair::survey(&config(dir.path()))?.ok_or("nothing to repair")?;
    let [lost] = repair.dropped() else { return Err(format!("{:?}", repair.dropped()).into()) };
    assert!(lost.ends_with(": it is not what was written"), "{lost}");
    assert_eq!(fs::read(&path)?, bad, "nothing is done yet");
    let aside = repair.carry_out()?;
    assert_eq!(fs::read(aside)?, bad, "the old file is kept");

    let registry = start(config(dir.path())).await?;
    let after = told(&registry).await?;
    for (before, after) in before.iter().zip(&after) {
        assert!(after.0 >= before.0);
    }
    // All but the maintenance, whose row was hit.
    let checks = after.first().and_then(|(_, body)| body.pointer("/0/Checks")?.as_array()).map(Vec::len);
    assert_eq!(checks, Some(2));
    Ok(())
}
