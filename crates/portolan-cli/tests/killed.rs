//! `portolan serve` with its data on disk: killed at any moment under writers, stopped, and run twice.
//!
//! `cargo xtask trial lasting` does the first for longer, with more writers.

use std::{
    collections::BTreeMap,
    error::Error,
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long anything may take that should take moments.
const DEADLINE: Duration = Duration::from_secs(30);
const ROUNDS: u64 = 6;
const WRITERS: u64 = 8;

/// A port, which the check's notes repeat; `None`: it is not there.
type Version = Option<u64>;
type MayBe = BTreeMap<String, Vec<Version>>;

fn serve(words: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.arg("serve").args(words).arg("--data-dir").arg(dir).env_remove("RUST_LOG");
    command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn start(dir: &Path) -> Result<(Child, SocketAddr)> {
    let mut child = serve(&["--http-addr", "127.0.0.1:0"], dir).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("stdout is piped")?).lines();
    let Some(first) = timeout(DEADLINE, lines.next_line()).await?? else {
        let mut said = String::new();
        child.stderr.take().ok_or("stderr is piped")?.read_to_string(&mut said).await?;
        return Err(said.into());
    };
    let addr = first.split_whitespace().find_map(|word| word.strip_prefix("http://")).ok_or(first.clone())?;
    Ok((child, addr.parse()?))
}

async fn send(addr: SocketAddr, method: &str, path: &str, body: &str) -> Result<(u16, u64, String)> {
    let mut stream = TcpStream::connect(addr).await?;
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close");
    stream.write_all(format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes()).await?;
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer)).await??;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no end of the head")?;
    let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
    let index = head.lines().find_map(|line| line.strip_prefix("X-Consul-Index: "));
    Ok((status, index.map_or(Ok(0), str::parse)?, body.to_owned()))
}

/// Writes until the registry is gone; each acknowledgement is told.
async fn write(
    addr: SocketAddr,
    id: String,
    mut may_be: Vec<Version>,
    told: mpsc::Sender<()>,
) -> (String, Vec<Version>) {
    let dice = RandomState::new();
    for step in 0_u64.. {
        let roll = dice.hash_one(step);
        let version = Some(1 + (roll >> 8) % 60_000).filter(|_| !roll.is_multiple_of(5));
        may_be.push(version);
        let notes = version.unwrap_or(0).to_string();
        let check = json!({ "CheckID": format!("c{id}"), "TTL": "1h", "Notes": notes });
        let body = json!({ "Name": "s", "ID": id, "Port": version, "Check": check }).to_string();
        let gone = format!("/v1/agent/service/deregister/{id}");
        let (path, body) =
            if version.is_some() { ("/v1/agent/service/register", &*body) } else { (&*gone, "") };
        match send(addr, "PUT", path, body).await {
            // One that is not there is as good as removed.
            Ok((200 | 404, ..)) => may_be = vec![version],
            Ok(_) | Err(_) => break,
        }
        if told.send(()).await.is_err() {
            break;
        }
    }
    (id, may_be)
}

/// What is there, each whole.
fn held(body: &str) -> Result<BTreeMap<String, u64>> {
    let entries: Vec<Value> = serde_json::from_str(body)?;
    let mut held = BTreeMap::new();
    for entry in entries {
        let id = entry.pointer("/Service/ID").and_then(Value::as_str).unwrap_or_default();
        let port = entry.pointer("/Service/Port").and_then(Value::as_u64).unwrap_or(0);
        let checks = entry.pointer("/Checks").and_then(Value::as_array).into_iter().flatten();
        let own: Vec<&Value> = checks.filter(|check| check["ServiceID"] == id).collect();
        let says = port.to_string();
        if !matches!(own[..], [check] if check["Notes"] == says) {
            return Err(format!("half applied: {entry}").into());
        }
        held.insert(id.to_owned(), port);
    }
    Ok(held)
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_by_kill_9_under_writers() -> Result<()> {
    let dir = TempDir::new()?;
    let dice = RandomState::new();
    let mut known: MayBe = (0..WRITERS).map(|n| (format!("w{n}"), vec![None])).collect();
    let mut shown = 0;
    for round in 0..=ROUNDS {
        let (mut child, addr) = start(dir.path()).await?;
        let (_, index, body) = send(addr, "GET", "/v1/health/service/s", "").await?;
        assert!(index >= shown, "round {round}: the index is {index}, and {shown} was shown");
        let held = held(&body)?;
        for (id, may_be) in &mut known {
            let is = held.get(id).copied();
            assert!(may_be.contains(&is), "round {round}: {id} is {is:?}, and may be one of {may_be:?}");
            *may_be = vec![is];
        }
        let (told, mut acknowledged) = mpsc::channel(1);
        let mut writers = JoinSet::new();
        for (id, may_be) in std::mem::take(&mut known) {
            writers.spawn(write(addr, id, may_be, told.clone()));
        }
        drop(told);
        for _ in 0..1 + dice.hash_one(round) % 60 {
            acknowledged.recv().await.ok_or("the writers gave up")?;
        }
        shown = send(addr, "GET", "/v1/health/service/s", "").await?.1;
        child.kill().await?;
        acknowledged.close();
        while let Some(writer) = writers.join_next().await {
            known.extend([writer?]);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_second_one_on_the_same_data_is_told_of_the_first() -> Result<()> {
    let dir = TempDir::new()?;
    let (first, _) = start(dir.path()).await?;
    let said = start(dir.path()).await.err().ok_or("both run")?.to_string();
    let pid = first.id().ok_or("it has ended")?;
    assert!(said.contains(&format!("is in use by process {pid}; stop that one")), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_damaged_file_is_refused_until_it_is_repaired_and_what_is_lost_is_said_first() -> Result<()> {
    let dir = TempDir::new()?;
    let (mut child, addr) = start(dir.path()).await?;
    let body = r#"{"name":"web","port":80,"tags":["a-tag-to-find"]}"#;
    assert_eq!(send(addr, "PUT", "/v1/agent/service/register", body).await?.0, 200);
    // After a crash the commit before the last one stands in for it: that one must be damaged too.
    for name in ["one", "two"] {
        let body = format!(r#"{{"name":"{name}"}}"#);
        assert_eq!(send(addr, "PUT", "/v1/agent/service/register", &body).await?.0, 200);
    }
    child.kill().await?;
    let path = dir.path().join("registry.redb");
    let mut bytes = std::fs::read(&path)?;
    for at in 0..bytes.len() {
        if bytes[at..].starts_with(b"a-tag-to-find") {
            bytes[at] = b'A';
        }
    }
    std::fs::write(&path, &bytes)?;

    let said = start(dir.path()).await.err().ok_or("it was believed")?.to_string();
    assert!(said.contains("is damaged: ") && said.contains("portolan serve --repair"), "{said}");
    let mut child = serve(&["--repair", "--http-addr", "127.0.0.1:0"], dir.path()).spawn()?;
    let mut lines = BufReader::new(child.stderr.take().ok_or("stderr is piped")?).lines();
    let mut told = Vec::new();
    while told.len() < 3 {
        told.push(timeout(DEADLINE, lines.next_line()).await??.ok_or("it ended early")?);
    }
    let [saved, lost, done] = &told[..] else { return Err(format!("{told:?}").into()) };
    assert_eq!(saved, "saved: 5 nodes, instances and checks; lost:");
    assert!(lost.ends_with(": it is not what was written"), "{lost}");
    let aside = done.strip_prefix("repaired; the file as it was is ").ok_or(done.clone())?;
    assert_eq!(std::fs::read(aside)?, bytes);
    Ok(())
}
