//! `maint`, `checks` and `gc`, on `portolan serve` and on a real Consul.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

#[path = "registries/both.rs"]
mod both;

use both::{DEADLINE, Outcome, Running};

const STATUS: [&str; 4] = ["discover", "--all", "--format", "{{id}} {{status}}"];

/// `ID STATUS` of each instance, once it is as wanted.
async fn status(registry: &Running, name: &str, want: &str) -> Outcome {
    registry.until(&[&STATUS[..], &[name]].concat(), |out| out == want).await.map(|_seen| ())
}

async fn maintenance(registry: &Running) -> Outcome {
    for id in ["web-1", "web-2"] {
        let ran = registry
            .run(&[
                "register",
                "web",
                "--port",
                "80",
                "--id",
                id,
                "--check",
                "ttl:1h",
                "--initial",
                "passing",
            ])
            .await?;
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    status(registry, "web", "web-1 passing\nweb-2 passing\n").await?;
    let ran = registry.run(&["maint", "on", "web-1", "--reason", "disk is replaced"]).await?;
    assert_eq!((ran.code, &*ran.out), (Some(0), ""), "{ran:?}");
    status(registry, "web", "web-1 maintenance\nweb-2 passing\n").await?;
    let ran = registry.run(&["maint", "off", "web-1"]).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    status(registry, "web", "web-1 passing\nweb-2 passing\n").await?;
    let ran = registry.run(&["maint", "on", "--node"]).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    status(registry, "web", "web-1 maintenance\nweb-2 maintenance\n").await?;
    let ran = registry.run(&["maint", "off", "--node"]).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    status(registry, "web", "web-1 passing\nweb-2 passing\n").await?;
    let ran = registry.run(&["maint", "on", "web-9"]).await?;
    assert_eq!((ran.code, ran.err.contains("holds no such id")), (Some(1), true), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn an_instance_and_a_node_leave_service_and_come_back() -> Outcome {
    maintenance(&Running::ours().await?).await
}

#[tokio::test]
async fn an_instance_and_a_node_of_consul_leave_service_and_come_back() -> Outcome {
    maintenance(&Running::consul().await?).await
}

async fn checks(registry: &Running) -> Outcome {
    let words = [
        "register",
        "web",
        "--port",
        "1",
        "--address",
        "127.0.0.1",
        "--id",
        "web-1",
        "--interval",
        "1s",
        "--initial",
        "passing",
    ];
    let ran = registry.run(&[&words[..], &["--check", "tcp", "--check", "ttl:1h"]].concat()).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    registry.until(&["checks", "web"], |out| out.contains("refused")).await?;
    let ran = registry.run(&["checks", "web", "--json"]).await?;
    let rows: Value = serde_json::from_str(&ran.out)?;
    let of = |check: &str, field: &str| {
        let row = rows.as_array()?.iter().find(|row| row["check"] == check)?;
        Some(row[field].as_str()?.to_owned())
    };
    for (check, field, value) in [
        ("service:web-1:1", "kind", "tcp"),
        ("service:web-1:1", "status", "critical"),
        ("service:web-1:1", "instance", "web-1"),
        ("service:web-1:2", "kind", "ttl"),
        ("service:web-1:2", "scope", "service"),
        ("serfHealth", "scope", "node"),
        ("serfHealth", "status", "passing"),
    ] {
        assert_eq!(of(check, field).as_deref(), Some(value), "{check} {field}: {rows:#}");
    }
    let table = registry.run(&["checks", "web", "--failing"]).await?.out;
    let words: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(words, ["INSTANCE", "NODE", "CHECK", "KIND", "STATUS", "OUTPUT"]);
    assert!(table.contains("service:web-1:1") && !table.contains("serfHealth"), "{table}");
    let ran = registry.run(&["checks", "nope"]).await?;
    assert!(ran.code == Some(0) && ran.out.is_empty() && ran.err.contains("no instance is known"), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn checks_are_told_with_kind_status_and_output() -> Outcome {
    checks(&Running::ours().await?).await
}

#[tokio::test]
async fn checks_of_consul_are_told_with_kind_status_and_output() -> Outcome {
    checks(&Running::consul().await?).await
}

/// One PUT with a body, past the command.
async fn put(registry: &Running, path: &str, body: &Value) -> Outcome {
    let body = body.to_string();
    let head = format!("PUT {path} HTTP/1.0\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut stream = TcpStream::connect(registry.url.trim_start_matches("http://")).await?;
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer)).await??;
    let status = answer.lines().next().unwrap_or_default();
    if status.contains(" 200 ") { Ok(()) } else { Err(answer.into()) }
}

/// A node whose agent is gone, as gossip would tell it, with an instance on it.
fn dead_node() -> Value {
    json!({
        "Node": "dead-1", "Address": "10.9.9.9", "Service": {"ID": "web-1", "Service": "web", "Port": 80},
        "Check": {"Node": "dead-1", "CheckID": "serfHealth", "Name": "Serf Health Status", "Status": "critical",
                  "Output": "Agent not live or unreachable"},
    })
}

async fn garbage(registry: &Running) -> Outcome {
    put(registry, "/v1/catalog/register", &dead_node()).await?;
    // An external node has no agent that could be dead.
    let external = json!({"Node": "ext-1", "Address": "10.9.9.8", "Service": {"ID": "db-1", "Service": "db", "Port": 5432}});
    put(registry, "/v1/catalog/register", &external).await?;
    for (id, initial) in [("job-1", "critical"), ("job-2", "passing"), ("job-3", "critical")] {
        let words =
            ["register", "job", "--port", "80", "--check", "ttl:1h", "--id", id, "--initial", initial];
        let ran = registry.run(&words).await?;
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    status(registry, "job", "job-1 critical\njob-2 passing\njob-3 critical\n").await?;
    let ran = registry.run(&["maint", "on", "job-3"]).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    status(registry, "job", "job-1 critical\njob-2 passing\njob-3 maintenance\n").await?;

    let ran = registry.run(&["gc"]).await?;
    let lines: Vec<Vec<&str>> = ran.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines.get(1..),
        Some(&[vec!["web-1", "web", "dead-1", "10.9.9.9:80", "catalogue", "node", "dead"]][..])
    );
    assert!(ran.err.contains("1 more critical now") && ran.err.contains("nothing was removed"), "{ran:?}");
    status(registry, "web", "web-1 critical\n").await?;

    let ran = registry.run(&["gc", "--critical-for", "1s", "--yes", "--json"]).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let rows: Value = serde_json::from_str(&ran.out)?;
    let found: Vec<(&Value, &Value)> =
        rows.as_array().ok_or("a list")?.iter().map(|row| (&row["id"], &row["way"])).collect();
    assert_eq!(
        found,
        [(&json!("web-1"), &json!("catalogue")), (&json!("job-1"), &json!("agent"))],
        "{rows:#}"
    );
    assert!(ran.err.contains("web-1 on dead-1: removed (catalogue)"), "{ran:?}");
    status(registry, "web", "").await?;
    status(registry, "job", "job-2 passing\njob-3 maintenance\n").await?;
    status(registry, "db", "db-1 passing\n").await?;
    let ran = registry.run(&["gc", "--yes"]).await?;
    assert!(ran.out.is_empty() && ran.err.contains("nothing dead was found"), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_dead_is_listed_and_removed_only_when_asked() -> Outcome {
    garbage(&Running::ours().await?).await
}

#[tokio::test]
async fn what_is_dead_in_consul_is_listed_and_removed_only_when_asked() -> Outcome {
    garbage(&Running::consul().await?).await
}
