//! `portolan register --file` beside `consul services register`, on a real Consul: the same file, the same instance.
//!
//! Also what is refused, by the command, before anything is sent.

use std::{fs, path::Path, process::Stdio, time::Duration};

use portolan::{
    Registry as _,
    registry::{CatalogQuery, consul::Consul},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::timeout,
};

#[expect(dead_code, reason = "only the plain address is used here")]
#[path = "../../portolan/tests/support/consul.rs"]
mod support;

type Outcome<T = ()> = Result<T, support::Failure>;

/// How long anything may take that should take moments.
const DEADLINE: Duration = Duration::from_secs(30);

/// No alias of a node is among them: an agent that ends such a check stands still until its query has ended.
const FILES: [(&str, &str); 7] = [
    (
        "full.hcl",
        r#"
service {
  name = "shop"
  id   = "shop-1"
  address = "10.1.2.3"
  port = 8443
  tags = ["front", "v2"]
  meta = { zone = "eu-1" }
  weights { passing = 10 }
  tagged_addresses {
    wan = { address = "198.51.100.7", port = 443 }
    lan = { address = "10.1.2.3" }
  }
  checks = [
    { id = "login", name = "login page", notes = "ask", http = "https://10.1.2.3:8443/login", tls_skip_verify = true
      interval = "10s", timeout = "2s", deregister_critical_service_after = "1h", header = { Host = ["a"] } },
    { tcp = "10.1.2.3:8443", interval = "5s" },
  ]
  check {
    ttl = "30s"
    status = "passing"
  }
}
"#,
    ),
    ("bare.hcl", "service {\n  name = \"bare\"\n}\n"),
    ("json.hcl", r#"{"service": {"name": "web", "port": 80}}"#),
    (
        "one.json",
        r#"{"service": {"ID": "w1", "Name": "web", "Port": 80, "Tags": ["a"], "Meta": {"k": "v"}, "check":
            {"grpc": "10.0.0.1:1/pkg.S", "interval": "10s", "success_before_passing": 2}}}"#,
    ),
    (
        "many.json",
        r#"{"services": [{"name": "a", "port": 1, "address": "::1"}, {"name": "b", "checks": [{"alias_service": "a"}]},
            {"name": "b", "id": "b2", "address": "host.example", "checks": [{"alias_service": "b"}, {"ttl": "1m"}]}]}"#,
    ),
    ("blocks.hcl", "services {\n  name = \"c\"\n}\nservices {\n  name = \"d\"\n  port = 4\n}\n"),
    (
        "override.json",
        r#"{"service": {"name": "web", "enable_tag_override": true, "kind": "", "token": ""}}"#,
    ),
];

async fn get(agent: &support::Agent, path: &str) -> Outcome<Value> {
    let url = agent.plain()?.shown_address().to_owned();
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer)).await??;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("an answer has a body")?;
    Ok(serde_json::from_str(body)?)
}

/// All that the agent tells of its instances and their checks, without what changes by itself.
async fn held(agent: &support::Agent) -> Outcome<Value> {
    let mut services = serde_json::Map::new();
    for id in get(agent, "/v1/agent/services").await?.as_object().ok_or("an object")?.keys() {
        services.insert(id.clone(), get(agent, &format!("/v1/agent/service/{id}")).await?);
    }
    let mut checks = get(agent, "/v1/agent/checks").await?;
    for check in checks.as_object_mut().ok_or("an object")?.values_mut() {
        // What a check says changes by itself. How long it may take is sent where Consul leaves its own time unsaid.
        for field in ["Status", "Output", "Timeout"] {
            check.as_object_mut().ok_or("an object")?.remove(field);
        }
    }
    Ok(serde_json::json!({ "services": services, "checks": checks }))
}

async fn empty(agent: &support::Agent, url: &str) -> Outcome {
    for id in get(agent, "/v1/agent/services").await?.as_object().ok_or("an object")?.keys() {
        let mut command = portolan(&["deregister", id, "--registry", url]);
        assert!(timeout(DEADLINE, command.status()).await??.success(), "{id}");
    }
    Ok(())
}

fn portolan(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.args(words).kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("CONSUL_HTTP_ADDR").env_remove("CONSUL_HTTP_TOKEN").env_remove("RUST_LOG");
    command
}

#[tokio::test]
async fn what_consul_registers_from_a_file_is_registered_alike() -> Outcome {
    let agent = support::Agent::start().await?;
    let url = agent.plain()?.shown_address().to_owned();
    let files = tempfile::tempdir()?;
    for (name, text) in FILES {
        let path = files.path().join(name);
        fs::write(&path, text)?;
        let mut theirs = Command::new(support::binary()?);
        theirs.args(["services", "register", "-http-addr", &url]).arg(&path).stdin(Stdio::null());
        let output = timeout(DEADLINE, theirs.output()).await??;
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let expected = held(&agent).await?;
        empty(&agent, &url).await?;

        let path = path.to_str().ok_or("a path of ours")?;
        let output =
            timeout(DEADLINE, portolan(&["register", "--file", path, "--registry", &url]).output()).await??;
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let ours = held(&agent).await?;
        assert_eq!(ours, expected, "{name}\nours: {ours:#}\ntheirs: {expected:#}");
        assert!(!expected["services"].as_object().ok_or("an object")?.is_empty(), "{name}");
        // Once more: the file says how the instance is to be, whatever is there.
        let output =
            timeout(DEADLINE, portolan(&["register", "--file", path, "--registry", &url]).output()).await??;
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(held(&agent).await?, expected, "{name}");
        empty(&agent, &url).await?;
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_sent_of_any_file_when_one_is_wrong() -> Outcome {
    let agent = support::Agent::start().await?;
    let url = agent.plain()?.shown_address().to_owned();
    let files = tempfile::tempdir()?;
    let good = files.path().join("good.json");
    fs::write(&good, r#"{"service": {"name": "web", "port": 80}}"#)?;
    let good = good.to_str().ok_or("a path of ours")?;
    let big = format!("{{\"service\": {{\"name\": \"{}\"}}}}", "x".repeat(1 << 20));
    for (name, text, says) in [
        (
            "key.hcl",
            "service {\n  name = \"a\"\n  prot = 80\n}\n",
            "key.hcl: service.prot: it is no key of a service",
        ),
        (
            "two.json",
            r#"{"service": {"name": "a", "check": {"tcp": "a:1", "http": "http://a/", "interval": "1s"}}}"#,
            "two.json: service.check: http and tcp are in one check",
        ),
        (
            "zero.toml",
            "[service]\nname = \"a\"\ncheck = { tcp = \"a:1\", interval = \"0s\" }\n",
            "zero.toml: service.check.interval: \"0s\" is under 1s",
        ),
        ("same.json", r#"{"service": {"name": "api", "id": "web"}}"#, "same.json: id: \"web\" stands in "),
        ("big.json", &big, "big.json: it has "),
        ("half.json", r#"{"service": "#, "half.json: it is no JSON"),
        ("web.yaml", "service:\n  name: web\n", "web.yaml: the name tells no format"),
    ] {
        fs::write(files.path().join(name), text)?;
        refused(&url, good, &files.path().join(name), says).await?;
    }
    refused(&url, good, &files.path().join("absent.json"), "absent.json: it cannot be read").await?;
    let consul = Consul::new(agent.plain()?);
    let names: Vec<String> =
        consul.services(&CatalogQuery::default()).await?.value.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["consul"], "nothing was sent");
    Ok(())
}

async fn refused(url: &str, good: &str, bad: &Path, says: &str) -> Outcome {
    let bad = bad.to_str().ok_or("a path of ours")?;
    let words = ["register", "--file", good, "--file", bad, "--registry", url];
    let output = timeout(DEADLINE, portolan(&words).output()).await??;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{bad}: {said}");
    assert!(said.contains(says) && said.lines().count() == 1, "{said}\nexpected {says}");
    assert!(output.stdout.is_empty());
    Ok(())
}
