//! `portolan backup` and `portolan restore`, over real processes: while they serve, and on what they left.

use std::{
    error::Error,
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    task::JoinSet,
    time::timeout,
};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// How long anything may take that should take moments.
const DEADLINE: Duration = Duration::from_secs(60);
const WEB: &str = "/v1/health/service/web";

fn portolan() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    for name in ["RUST_LOG", "CONSUL_HTTP_ADDR", "CONSUL_HTTP_TOKEN"] {
        command.env_remove(name);
    }
    command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A registry in a process of its own.
struct Registry {
    addr: SocketAddr,
    process: Child,
}

impl Registry {
    async fn start(words: &[&str]) -> Result<Self> {
        let mut process = portolan().args(["serve", "--http-addr", "127.0.0.1:0"]).args(words).spawn()?;
        let mut lines = BufReader::new(process.stdout.take().ok_or("stdout is piped")?).lines();
        let first = timeout(DEADLINE, lines.next_line()).await??.ok_or("it ended early")?;
        let addr = first.split_whitespace().find_map(|word| word.strip_prefix("http://"));
        Ok(Self { addr: addr.ok_or(first.clone())?.parse()?, process })
    }

    async fn on(dir: &Path) -> Result<Self> {
        Self::start(&["--data-dir", dir.to_str().ok_or("no text")?]).await
    }

    async fn send(&self, method: &str, path: &str, body: &[u8]) -> Result<(u16, u64, String)> {
        send(self.addr, method, path, body).await
    }

    async fn put(&self, name: &str, id: &str, port: u16) -> Result {
        let body = format!(
            r#"{{"name":"{name}","id":"{id}","port":{port},"check":{{"checkid":"c{id}","ttl":"1h"}}}}"#
        );
        let (status, _, said) = self.send("PUT", "/v1/agent/service/register", body.as_bytes()).await?;
        if status == 200 { Ok(()) } else { Err(said.into()) }
    }

    /// Ids and ports of a service, and the index.
    async fn held(&self, name: &str) -> Result<(Vec<(String, u64)>, u64)> {
        let (_, index, body) = self.send("GET", &format!("/v1/health/service/{name}"), b"").await?;
        let entries: Vec<Value> = serde_json::from_str(&body)?;
        let one = |entry: &Value| {
            let id = entry.pointer("/Service/ID")?.as_str()?.to_owned();
            Some((id, entry.pointer("/Service/Port")?.as_u64()?))
        };
        Ok((entries.iter().filter_map(one).collect(), index))
    }

    /// Runs a command beside it.
    async fn run(&self, words: &[&str]) -> Result<Ran> {
        run(&[words, &["--registry", &format!("http://{}", self.addr)]].concat(), b"").await
    }
}

async fn send(addr: SocketAddr, method: &str, path: &str, body: &[u8]) -> Result<(u16, u64, String)> {
    let mut stream = TcpStream::connect(addr).await?;
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close");
    stream.write_all(format!("{head}\r\nContent-Length: {length}\r\n\r\n").as_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = Vec::new();
    timeout(DEADLINE, stream.read_to_end(&mut answer)).await??;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no end of the head")?;
    let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
    let index = head.lines().find_map(|line| line.strip_prefix("X-Consul-Index: "));
    Ok((status, index.map_or(Ok(0), str::parse)?, body.to_owned()))
}

#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: Vec<u8>,
    err: String,
}

async fn run(words: &[&str], input: &[u8]) -> Result<Ran> {
    let mut child = portolan().args(words).stdin(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().ok_or("stdin is piped")?;
    // It may have ended without a look at it.
    let _not_read = stdin.write_all(input).await;
    drop(stdin);
    let Output { status, stdout, stderr } = timeout(DEADLINE, child.wait_with_output()).await??;
    let err = String::from_utf8(stderr)?;
    Ok(Ran { code: status.code(), out: stdout, err })
}

fn text(path: &Path) -> Result<&str> {
    Ok(path.to_str().ok_or("no text")?)
}

#[tokio::test]
async fn what_was_backed_up_while_others_wrote_is_back_on_another_registry_and_after_its_death() -> Result {
    let (one, two, files) = (TempDir::new()?, TempDir::new()?, TempDir::new()?);
    let (from, to) = (Registry::on(one.path()).await?, Registry::on(two.path()).await?);
    for port in 1..=20 {
        from.put("web", &format!("w{port}"), port).await?;
        to.put("old", &format!("o{port}"), port).await?;
    }
    let (addr, mut writers) = (from.addr, JoinSet::new());
    for writer in 0..4 {
        writers.spawn(async move {
            for step in 0_u64.. {
                let body = format!(r#"{{"name":"busy","id":"b{writer}","port":{}}}"#, step % 60_000);
                if send(addr, "PUT", "/v1/agent/service/register", body.as_bytes()).await.is_err() {
                    break;
                }
            }
        });
    }
    let file = files.path().join("b");
    let ran = from.run(&["backup", text(&file)?]).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("and read again: "), "{ran:?}");
    writers.shutdown().await;
    assert_eq!(fs::read_dir(files.path())?.count(), 1, "nothing else is left behind");

    let (_, shown) = to.held("old").await?;
    let mut watchers = JoinSet::new();
    for path in ["/v1/health/service/old", WEB, "/v1/health/service/never", "/v1/catalog/services"] {
        let path = format!("{path}?index={shown}&wait=10m");
        let addr = to.addr;
        watchers.spawn(async move { send(addr, "GET", &path, b"").await.map_err(|error| error.to_string()) });
    }
    let ran = to.run(&["restore", text(&file)?]).await?;
    assert_eq!((ran.code, ran.err.starts_with("restored: ")), (Some(0), true), "{ran:?}");
    while let Some(woken) = watchers.join_next().await {
        let (status, index, _) = woken??;
        assert!(status == 200 && index > shown, "{index}, and {shown} was shown");
    }
    let (held, index) = to.held("web").await?;
    let expected: Vec<(String, u64)> = from.held("web").await?.0;
    assert_eq!((held.len(), &held), (20, &expected));
    assert_eq!(to.held("old").await?.0, []);
    // What was answered is on disk.
    let Registry { mut process, .. } = to;
    process.kill().await?;
    let again = Registry::on(two.path()).await?;
    let (held, after) = again.held("web").await?;
    assert_eq!(held, expected);
    assert!(after >= index, "{after}, and {index} was shown");
    again.put("web", "w1", 99).await?;
    assert!(again.held("web").await?.1 > after);
    Ok(())
}

#[tokio::test]
async fn a_backup_that_is_not_right_is_refused_and_changes_nothing() -> Result {
    let (registry, files) = (Registry::start(&["-dev"]).await?, TempDir::new()?);
    registry.put("web", "w1", 1).await?;
    let file = files.path().join("b");
    assert_eq!(registry.run(&["backup", text(&file)?]).await?.code, Some(0));
    let right = fs::read(&file)?;
    registry.put("web", "w2", 2).await?;
    let middle = right.len() / 2;
    let mut damaged = right.clone();
    *damaged.get_mut(middle).ok_or("too short")? ^= 1;
    let end = right.len() - (1 + 4 + 8 + 8);
    for (bad, says) in [
        (right[..end].to_vec(), "without its end mark: a part of it is missing"),
        (right[..middle].to_vec(), "without its end mark: a part of it is missing"),
        (damaged, "the backup is damaged: the part that begins at byte"),
        (b"PK\x03\x04 an archive, say".to_vec(), "this is no backup of portolan's"),
        (Vec::new(), "the backup is empty"),
        ([&right[..], &right[..]].concat(), "and more follows"),
    ] {
        fs::write(&file, &bad)?;
        let ran = registry.run(&["restore", text(&file)?]).await?;
        assert_eq!((ran.code, ran.err.contains(says)), (Some(2), true), "{ran:?}");
        assert!(ran.err.contains(&format!("{}: ", file.display())), "{ran:?}");
        // Also where somebody sends it who did not look.
        let (status, _, said) = registry.send("PUT", "/v1/portolan/restore", &bad).await?;
        assert_eq!((status, said.contains(says)), (400, true), "{said}");
    }
    assert_eq!(registry.held("web").await?.0.len(), 2, "nothing was changed");
    fs::write(&file, &right)?;
    assert_eq!(registry.run(&["restore", text(&file)?]).await?.code, Some(0));
    assert_eq!(registry.held("web").await?.0, [("w1".to_owned(), 1)]);
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_there_is_kept_a_pipe_is_served_and_a_full_disk_is_told() -> Result {
    let (registry, files) = (Registry::start(&["-dev"]).await?, TempDir::new()?);
    registry.put("web", "w1", 1).await?;
    let file = files.path().join("b");
    fs::write(&file, "mine")?;
    let ran = registry.run(&["backup", text(&file)?]).await?;
    assert_eq!((ran.code, ran.err.contains("is there already")), (Some(2), true), "{ran:?}");
    assert_eq!(fs::read(&file)?, b"mine");
    let ran = registry.run(&["backup", "--force", text(&file)?]).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");

    let piped = registry.run(&["backup", "-"]).await?;
    assert_eq!((piped.code, &piped.out), (Some(0), &fs::read(&file)?), "{}", piped.err);
    registry.put("web", "w2", 2).await?;
    let to = format!("http://{}", registry.addr);
    let ran = run(&["restore", "-", "--registry", &to], &piped.out).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(registry.held("web").await?.0.len(), 1);

    if Path::new("/dev/full").exists() {
        let full = File::options().write(true).open("/dev/full")?;
        let ended = portolan().args(["backup", "-", "--registry", &to]).stdout(full).spawn()?;
        let ended = ended.wait_with_output().await?;
        let said = String::from_utf8(ended.stderr)?;
        assert_eq!((ended.status.code(), said.contains("No space left")), (Some(1), true), "{said}");
        let ran = registry.run(&["backup", "--force", "/dev/full"]).await?;
        assert_eq!((ran.code, ran.err.contains("is no plain file")), (Some(2), true), "{ran:?}");
    }
    let ran = registry.run(&["backup", text(&files.path().join("no/such/folder"))?]).await?;
    assert_eq!((ran.code, ran.err.contains("cannot write")), (Some(1), true), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn a_data_directory_takes_a_backup_on_when_no_registry_has_it_and_keeps_the_old_file() -> Result {
    let (source, dir, files) = (Registry::start(&["-dev"]).await?, TempDir::new()?, TempDir::new()?);
    source.put("web", "w1", 1).await?;
    let file = files.path().join("b");
    assert_eq!(source.run(&["backup", text(&file)?]).await?.code, Some(0));
    let mut registry = Registry::on(dir.path()).await?;
    for port in 1..=30 {
        registry.put("old", "o1", port).await?;
    }
    let (_, shown) = registry.held("old").await?;
    let words = ["restore", text(&file)?, "--data-dir", text(dir.path())?];
    let ran = run(&words, b"").await?;
    assert_eq!((ran.code, ran.err.contains("is in use by process")), (Some(2), true), "{ran:?}");
    registry.process.kill().await?;
    // Also where what is there is damaged: this is the remedy.
    let path = dir.path().join("registry.redb");
    let mut old = fs::read(&path)?;
    for at in 0..old.len() {
        if old[at..].starts_with(b"o1") {
            old[at] = b'O';
        }
    }
    fs::write(&path, &old)?;
    let ran = run(&words, b"").await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let aside = ran.err.lines().find_map(|line| line.strip_prefix("the file as it was is "));
    assert_eq!(fs::read(aside.ok_or(ran.err.clone())?)?, old);
    let registry = Registry::on(dir.path()).await?;
    assert_eq!(registry.held("web").await?.0, [("w1".to_owned(), 1)]);
    let (held, index) = registry.held("old").await?;
    assert!(held.is_empty() && index > shown, "{index}, and {shown} was shown");
    Ok(())
}
