//! `portolan serve` with faults that are changed while it runs: over HTTP, and by an edit of their file.

use std::{error::Error, fs, net::SocketAddr, process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// How long anything may take that should take moments.
const DEADLINE: Duration = Duration::from_secs(60);
const AT: &str = "/v1/portolan/faults";

async fn start(words: &[&str]) -> Result<(Child, SocketAddr)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.args(["serve", "-dev", "--http-addr", "127.0.0.1:0"]).args(words).env_remove("RUST_LOG");
    command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("stdout is piped")?).lines();
    let Some(first) = timeout(DEADLINE, lines.next_line()).await?? else {
        let mut said = String::new();
        child.stderr.take().ok_or("stderr is piped")?.read_to_string(&mut said).await?;
        return Err(said.into());
    };
    let addr = first.split_whitespace().find_map(|word| word.strip_prefix("http://")).ok_or(first.clone())?;
    Ok((child, addr.parse()?))
}

/// The status of an answer, and its body.
async fn send(addr: SocketAddr, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(addr).await?;
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close");
    let length = body.len();
    stream.write_all(format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes()).await?;
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer)).await??;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no end of the head")?;
    Ok((head.split(' ').nth(1).ok_or("no status")?.parse()?, body.to_owned()))
}

#[tokio::test]
async fn faults_are_changed_over_http_and_by_an_edit_of_their_file() -> Result {
    let dir = TempDir::new()?;
    let file = dir.path().join("night.rules");
    fs::write(&file, "seed 7\nGET /v1/health/* 429 1\n")?;
    let (_registry, addr) =
        start(&["--faults-endpoint", "--faults", file.to_str().ok_or("no text")?]).await?;
    let web = "/v1/health/service/web";
    assert_eq!(send(addr, "GET", web, "").await?.0, 429);
    assert_eq!(
        send(addr, "GET", AT, "").await?.1,
        "seed 7\nGET /v1/health/* 429 1\n# 1 requests were hit so far\n"
    );
    assert_eq!(send(addr, "PUT", AT, "GET /v1/health/* 503 1").await?.0, 200);
    assert_eq!(send(addr, "GET", web, "").await?.0, 503);
    assert_eq!(send(addr, "DELETE", AT, "").await?.0, 200);
    assert_eq!(send(addr, "GET", web, "").await?.0, 200);
    fs::write(&file, "GET /v1/health/* delay:100ms 0.5\nGET /v1/health/* 500 1\n")?;
    let noticed = async {
        while send(addr, "GET", web, "").await?.0 != 500 {}
        Ok::<_, Box<dyn Error>>(())
    };
    timeout(DEADLINE, noticed).await??;
    Ok(())
}

#[tokio::test]
async fn a_wrong_file_is_refused_with_each_wrong_line_and_nobody_changes_faults_unasked() -> Result {
    let dir = TempDir::new()?;
    let file = dir.path().join("night.rules");
    fs::write(&file, "GET /a rest 1\n* * 500 1\nGET b 500 1\n")?;
    let said =
        start(&["--faults", file.to_str().ok_or("no text")?]).await.err().ok_or("it starts")?.to_string();
    for line in ["faults, line 1: ", "; faults, line 3: "] {
        assert!(said.contains(line), "{said}");
    }
    let (_registry, addr) = start(&[]).await?;
    assert_eq!(send(addr, "PUT", AT, "* * 500 1").await?.0, 403);
    Ok(())
}
