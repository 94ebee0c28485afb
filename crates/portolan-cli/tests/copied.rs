//! `portolan import` and `portolan export`, over real processes: between registries, and over a file.

use std::{
    error::Error,
    net::SocketAddr,
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
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
    _process: Child,
}

impl Registry {
    async fn start(node: &str) -> Result<Self> {
        let words = ["serve", "-dev", "--http-addr", "127.0.0.1:0", "--dns-addr", "off", "--node", node];
        let mut process = portolan().args(words).spawn()?;
        let mut lines = BufReader::new(process.stdout.take().ok_or("stdout is piped")?).lines();
        let first = timeout(DEADLINE, lines.next_line()).await??.ok_or("it ended early")?;
        let addr = first.split_whitespace().find_map(|word| word.strip_prefix("http://"));
        Ok(Self { addr: addr.ok_or(first.clone())?.parse()?, _process: process })
    }

    fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.addr).await?;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close", self.addr);
        let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        timeout(DEADLINE, stream.read_to_end(&mut answer)).await??;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("no end of the head")?;
        Ok(body.to_owned())
    }

    async fn json(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.send("GET", path, "").await?)?)
    }

    /// Runs a command that speaks to it.
    async fn run(&self, words: &[&str]) -> Result<(Option<i32>, String, String)> {
        let child = portolan().args(words).args(["--registry", &self.url()]).spawn()?;
        let Output { status, stdout, stderr } = timeout(DEADLINE, child.wait_with_output()).await??;
        Ok((status.code(), String::from_utf8(stdout)?, String::from_utf8(stderr)?))
    }

    async fn fill(&self) -> Result {
        let db = json!({
            "Node": "far", "Address": "10.0.0.9", "NodeMeta": { "rack": "7" },
            "Service": { "Service": "db", "ID": "db1", "Port": 5432, "Tags": ["primary"] },
            "Checks": [{ "CheckID": "c1", "Name": "c", "Status": "warning", "Output": "slow", "ServiceID": "db1" }]
        });
        self.send("PUT", "/v1/catalog/register", &db.to_string()).await?;
        let web =
            json!({ "Name": "web", "ID": "w1", "Port": 80, "Check": { "TTL": "1h", "Status": "passing" } });
        self.send("PUT", "/v1/agent/service/register", &web.to_string()).await?;
        for (key, value) in [("a", "1"), ("dir/b?flags=7", "2"), ("empty", "")] {
            self.send("PUT", &format!("/v1/kv/{key}"), value).await?;
        }
        Ok(())
    }

    async fn index(&self) -> Result<Value> {
        let db = self.json("/v1/health/service/db").await?;
        let keys = self.json("/v1/kv/?recurse").await?;
        Ok(json!([db.pointer("/0/Service/ModifyIndex"), keys.pointer("/0/ModifyIndex")]))
    }
}

#[tokio::test]
async fn what_a_registry_holds_is_copied_once_and_what_differs_is_left_alone() -> Result {
    let (from, to) = (Registry::start("one").await?, Registry::start("two").await?);
    from.fill().await?;
    to.send("PUT", "/v1/kv/a", "mine").await?;
    to.send("PUT", "/v1/kv/other", "stays").await?;

    let (code, _, said) = to.run(&["import", "--from", &from.url()]).await?;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("copied: 2 nodes, 2 instances, 2 checks, 2 keys"), "{said}");
    assert!(said.contains("left alone, for they differ: 0 nodes, 0 instances, 0 checks, 1 keys"), "{said}");
    assert!(said.contains("never copied: sessions and locks"), "{said}");
    let db = to.json("/v1/health/service/db").await?;
    assert_eq!(db.pointer("/0/Checks/0/Status"), Some(&json!("warning")));
    assert_eq!(db.pointer("/0/Node/Meta/rack"), Some(&json!("7")));
    assert_eq!(to.json("/v1/health/service/web?passing").await?.as_array().map(Vec::len), Some(1));
    assert_eq!(to.json("/v1/kv/dir/b").await?.pointer("/0/Flags"), Some(&json!(7)));
    assert_eq!(to.send("GET", "/v1/kv/a?raw", "").await?, "mine");

    let before = to.index().await?;
    let (code, _, said) = to.run(&["import", "--from", &from.url()]).await?;
    assert_eq!((code, to.index().await?), (Some(0), before), "{said}");
    assert!(said.contains("copied: 0 nodes, 0 instances, 0 checks, 0 keys"), "{said}");

    let (code, _, said) = to.run(&["import", "--from", &from.url(), "--overwrite"]).await?;
    assert!(code == Some(0) && said.contains("0 checks, 1 keys"), "{said}");
    assert_eq!(to.send("GET", "/v1/kv/a?raw", "").await?, "1");
    assert_eq!(to.send("GET", "/v1/kv/other?raw", "").await?, "stays");
    Ok(())
}

#[tokio::test]
async fn what_was_exported_comes_back_from_the_file() -> Result {
    let (from, to, files) = (Registry::start("one").await?, Registry::start("two").await?, TempDir::new()?);
    from.fill().await?;
    let (code, document, said) = from.run(&["export"]).await?;
    assert!(code == Some(0) && said.contains("exported: 2 nodes, 2 instances, 2 checks, 3 keys"), "{said}");
    let path = files.path().join("all.json");
    std::fs::write(&path, &document)?;
    let path = path.to_str().ok_or("no text")?;
    let (code, _, said) = to.run(&["import", "--file", path]).await?;
    assert!(code == Some(0) && said.contains("copied: 2 nodes, 2 instances, 2 checks, 3 keys"), "{said}");

    let (_, keys, _) = from.run(&["export", "--only", "kv"]).await?;
    let keys: Value = serde_json::from_str(&keys)?;
    assert_eq!(keys.pointer("/1"), Some(&json!({ "key": "dir/b", "flags": 7, "value": "Mg==" })));
    std::fs::write(path, "{}")?;
    let (code, _, said) = to.run(&["import", "--file", path]).await?;
    assert!(code == Some(2) && said.contains("format: is not \"portolan-export\""), "{said}");
    let (code, _, said) = to.run(&["import", "--from", &to.url()]).await?;
    assert!(code == Some(2) && said.contains("is the registry that is copied to"), "{said}");
    let (code, _, said) = to.run(&["import"]).await?;
    assert!(code == Some(2) && said.contains("--from"), "{said}");
    Ok(())
}
