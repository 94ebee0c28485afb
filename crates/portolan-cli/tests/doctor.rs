//! `portolan doctor` on a real Consul and on `portolan serve`: seeded faults are found, all of them and nothing else; a sound
//! registry gets one line.

use std::{collections::BTreeSet, net::TcpListener as StdListener};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

#[path = "registries/both.rs"]
mod both;

use both::{DEADLINE, Outcome, Ran, Running, portolan};

/// One PUT, past the command; the body of its answer.
async fn put(registry: &Running, path: &str, body: &Value, token: &str) -> Outcome<String> {
    let body = body.to_string();
    let head =
        format!("PUT {path} HTTP/1.0\r\ncontent-length: {}\r\nx-consul-token: {token}\r\n\r\n", body.len());
    let mut stream = TcpStream::connect(registry.url.trim_start_matches("http://")).await?;
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer)).await??;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    if head.lines().next().unwrap_or_default().contains(" 200 ") {
        Ok(body.to_owned())
    } else {
        Err(format!("{path}: {answer}").into())
    }
}

/// What an external node of this name holds: one instance, with a check unless it is to have none.
async fn external(registry: &Running, node: &str, service: Value, status: Option<&str>) -> Outcome {
    let mut entry = json!({"Node": node, "Address": "10.9.9.1", "Service": service});
    if let Some(status) = status {
        let id = entry["Service"]["ID"].clone();
        entry["Check"] = json!({"Node": node, "CheckID": id, "Name": "c", "Status": status, "ServiceID": id});
    }
    put(registry, "/v1/catalog/register", &entry, "").await.map(|_done| ())
}

/// The names of all that was found.
fn names(ran: &Ran) -> Outcome<BTreeSet<String>> {
    let object: Value = serde_json::from_str(&ran.out).map_err(|wrong| format!("{wrong}: {ran:?}"))?;
    let findings = object["findings"].as_array().ok_or("a list")?;
    Ok(findings.iter().filter_map(|one| Some(one["name"].as_str()?.to_owned())).collect())
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// What the catalogue can have of faults, whichever registry keeps it, and the names by which they are found.
async fn seed(registry: &Running) -> Outcome<Vec<&'static str>> {
    let service =
        |id: &str, name: &str, meta: Value| json!({"ID": id, "Service": name, "Port": 80, "Meta": meta});
    let none = || json!({});
    external(registry, "ext-1", service("dead-1", "dead", none()), Some("critical")).await?;
    external(registry, "ext-1", service("twin-1", "twin", none()), Some("passing")).await?;
    external(registry, "ext-2", service("twin-1", "twin", none()), Some("passing")).await?;
    external(registry, "ext-1", service("bare-1", "bare", none()), None).await?;
    let zone = |zone: &str| json!({"zone": zone});
    for id in ["pair-1", "pair-2"] {
        external(registry, "ext-1", service(id, "pair", zone("a")), Some("passing")).await?;
    }
    external(registry, "ext-2", service("else-1", "else", zone("b")), Some("passing")).await?;
    let mut local = service("local-1", "local", none());
    local["Address"] = "127.0.0.1".into();
    external(registry, "ext-1", local, Some("passing")).await?;
    let needs = json!({"portolan-needs": "nowhere; cache?; x@@1"});
    external(registry, "ext-1", service("needy-1", "needy", needs), Some("passing")).await?;
    let version = json!({"version": "newest"});
    external(registry, "ext-1", service("odd-1", "odd", version), Some("passing")).await?;
    // A label of DNS has 63 bytes.
    let long = format!("{}r", "long-".repeat(13));
    external(registry, "ext-1", service("long-1", &long, none()), Some("passing")).await?;
    for (node, address) in [("ext-1", "10.9.9.3"), ("ext-2", "10.9.9.4")] {
        let mut shared = service("both-1", "both", none());
        shared["Address"] = address.into();
        external(registry, node, shared, Some("passing")).await?;
    }
    Ok(vec![
        "leaked-critical",
        "same-id-twice",
        "no-check",
        "one-node",
        "one-zone",
        "loopback-address",
        "unmet-need",
        "unmet-optional",
        "unreadable-need",
        "unreadable-version",
        "dns-disagrees",
        "shared-id",
    ])
}

/// Writes an instance into the catalogue again and again, for the agent removes it with each of its syncs.
async fn haunt(registry: &Running, ghost: &Value) -> Outcome {
    loop {
        put(registry, "/v1/catalog/register", ghost, "").await?;
    }
}

/// Turns a TTL check over again and again.
async fn flap(registry: &Running) -> Outcome {
    loop {
        for status in ["fail", "pass"] {
            put(registry, &format!("/v1/agent/check/{status}/flaps"), &json!({}), "").await?;
        }
    }
}

#[tokio::test]
async fn the_faults_that_a_real_consul_can_have_are_found_and_nothing_else() -> Outcome {
    let dns = StdListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let check = |id: &str, ttl: &str| json!({"id": id, "ttl": ttl, "status": "passing"});
    let mut reaped = check("reaped", "8s");
    reaped["deregister_critical_service_after"] = "1m".into();
    let registry = Running::consul_with(json!({
        "ports": {"dns": dns},
        "limits": {"http_max_conns_per_client": 70},
        "services": [
            {"name": "reaped", "id": "reaped-1", "port": 1, "checks": [reaped]},
            {"name": "flaps", "id": "flaps-1", "port": 2, "checks": [check("flaps", "1h")]},
        ],
    }))
    .await?;
    let mut expected = seed(&registry).await?;
    let at = registry.url.trim_start_matches("http://");
    let mut held = Vec::new();
    for _ in 0..57 {
        held.push(TcpStream::connect(at).await?);
    }
    let ghost = json!({"Node": "test-node", "Address": "127.0.0.1", "SkipNodeUpdate": true,
        "Service": {"ID": "ghost-1", "Service": "ghost", "Port": 80},
        "Check": {"Node": "test-node", "CheckID": "ghost", "Name": "c", "Status": "passing", "ServiceID": "ghost-1"}});
    put(&registry, "/v1/catalog/register", &ghost, "").await?;
    put(&registry, "/v1/agent/check/pass/reaped", &json!({}), "").await?;
    expected.extend([
        "catalog-on-live-agent",
        "short-reap",
        "slow-heartbeat",
        "flapping-check",
        "connections-near-limit",
    ]);
    let words = ["doctor", "--json", "--for", "7s"];
    let examined = async {
        // A sync of the agent may come in the midst of an examination: then what it removes is not there to be found.
        for _ in 0..3 {
            let ran = registry.run(&words).await?;
            if names(&ran)?.contains("catalog-on-live-agent") {
                return Ok(ran);
            }
        }
        registry.run(&words).await
    };
    let ran = tokio::select! {
        ran = examined => ran?,
        failed = flap(&registry) => return failed,
        failed = haunt(&registry, &ghost) => return failed,
    };
    drop(held);
    let object: Value = serde_json::from_str(&ran.out)?;
    assert_eq!(names(&ran)?, set(&expected), "{object:#}");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let levels: Vec<&str> = object["findings"]
        .as_array()
        .ok_or("a list")?
        .iter()
        .filter_map(|one| one["level"].as_str())
        .collect();
    assert!(levels.is_sorted_by_key(|level| *level == "info"), "by harm: {levels:?}");
    Ok(())
}

#[tokio::test]
async fn the_faults_that_a_registry_of_ours_can_have_are_found_and_nothing_else() -> Outcome {
    let dns = StdListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let dns = format!("127.0.0.1:{dns}");
    let registry =
        Running::ours_with(&["--dns-addr", &dns, "--fault", "GET /v1/health/state/any lower-index 0.5"])
            .await?;
    let flaps =
        json!({"ID": "flaps-1", "Name": "flaps", "Port": 2, "Check": {"CheckID": "flaps", "TTL": "1h"}});
    put(&registry, "/v1/agent/service/register", &flaps, "").await?;
    let mut expected = seed(&registry).await?;
    expected.extend(["flapping-check", "index-went-back"]);
    let words = ["doctor", "--json", "--for", "5s", "--dns", &dns];
    let ran = tokio::select! {
        ran = registry.run(&words) => ran?,
        failed = flap(&registry) => return failed,
    };
    assert_eq!(names(&ran)?, set(&expected), "{ran:?}");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let ran = registry.run(&["doctor", "--level", "critical"]).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("warning  leaked-critical  dead: 1 of 1 critical"), "{ran:?}");
    assert!(ran.err.contains("give --dns HOST:PORT") && ran.err.contains("give --for 30s"), "{ran:?}");
    Ok(())
}

/// A service as it should be.
async fn sound(registry: &Running) -> Outcome {
    let words = ["register", "web", "--port", "80", "--address", "127.0.0.1", "--id", "web-1"];
    let ran = registry.run(&[&words[..], &["--check", "ttl:1h", "--initial", "passing"]].concat()).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    registry.until(&["discover", "web", "--format", "{{id}}"], |out| out == "web-1\n").await?;
    let ran = registry.run(&["doctor"]).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("fine nothing found: 1 node, 2 services, 2 instances and "), "{ran:?}");
    assert_eq!(ran.out.lines().count(), 1, "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn a_sound_consul_has_no_finding() -> Outcome {
    let dns = StdListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let registry = Running::consul_with(json!({"ports": {"dns": dns}})).await?;
    sound(&registry).await?;
    let ran = registry.run(&["doctor", "--json"]).await?;
    let not_examined = serde_json::from_str::<Value>(&ran.out)?["not_examined"].clone();
    assert!(!not_examined.to_string().contains("DNS"), "DNS was asked: {not_examined}");
    Ok(())
}

#[tokio::test]
async fn a_sound_registry_of_ours_has_no_finding() -> Outcome {
    sound(&Running::ours().await?).await
}

/// A token that may not see one service.
async fn blind(registry: &Running) -> Outcome<String> {
    let object = |text: String| serde_json::from_str::<Value>(&text);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let bootstrap = async {
        loop {
            // A server that has just started is not ready for it.
            if let Ok(made) = put(registry, "/v1/acl/bootstrap", &json!({}), "").await {
                return made;
            }
        }
    };
    let manager = text(&object(timeout(DEADLINE, bootstrap).await?)?["SecretID"]);
    let rules = r#"service "secret" { policy = "deny" }"#;
    put(registry, "/v1/acl/policy", &json!({"Name": "blind", "Rules": rules}), &manager).await?;
    let token = json!({"Policies": [{"Name": "blind"}]});
    let made = put(registry, "/v1/acl/token", &token, &manager).await?;
    let entry = json!({"Node": "ext-1", "Address": "127.0.0.1", "Service": {"ID": "s", "Service": "secret", "Port": 1},
        "Check": {"Node": "ext-1", "CheckID": "s", "Name": "c", "Status": "passing", "ServiceID": "s"}});
    put(registry, "/v1/catalog/register", &entry, &manager).await?;
    Ok(text(&object(made)?["SecretID"]))
}

#[tokio::test]
async fn what_the_token_hides_is_found_where_the_registry_says_so_and_else_said_to_be_unknown() -> Outcome {
    let acl = json!({"acl": {"enabled": true, "default_policy": "allow"}});
    let ours = Running::ours_with(&["--acl-default-policy", "allow"]).await?;
    for registry in [Running::consul_with(acl).await?, ours] {
        let token = blind(&registry).await?;
        let ran = registry.run(&["doctor", "--json", "--token", &token]).await?;
        let object: Value = serde_json::from_str(&ran.out)?;
        let minor = object["agent"]["version"]
            .as_str()
            .and_then(|version| version.split('.').nth(1)?.parse::<u32>().ok());
        if minor.ok_or("a version")? >= 11 {
            assert_eq!((names(&ran)?, ran.code), (set(&["hidden-by-acl"]), Some(1)), "{object:#}");
        } else {
            assert_eq!((names(&ran)?, ran.code), (set(&[]), Some(0)), "{object:#}");
            assert!(object["not_examined"].to_string().contains("before 1.11"), "{object:#}");
        }
    }
    Ok(())
}

/// A registry whose server has lost its leader, and its clock.
async fn adrift(stream: &mut TcpStream) -> Outcome {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        asked.push(stream.read_u8().await?);
    }
    let asked = String::from_utf8_lossy(&asked).into_owned();
    let body = if asked.contains("/v1/catalog/services") { "{}" } else { "[]" };
    let status = if asked.contains("/v1/agent/") { "403 Forbidden" } else { "200 OK" };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-consul-index: 9\r\nx-consul-knownleader: false\r\n\
         x-consul-lastcontact: 60000\r\ndate: Mon, 05 Jan 1998 10:00:00 GMT\r\ncontent-length: {length}\r\n\r\n"
    );
    Ok(stream.write_all(format!("{head}{body}").as_bytes()).await?)
}

#[tokio::test]
async fn a_server_without_leader_and_with_a_wrong_clock_is_found_though_its_agent_refuses() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            open.spawn(async move { while adrift(&mut stream).await.is_ok() {} });
        }
    });
    let words = ["doctor", "--json", "--registry", &url];
    let ran = Ran::from(timeout(DEADLINE, portolan(&words).output()).await??);
    assert_eq!(names(&ran)?, set(&["no-leader", "stale-reads", "clock-skew"]), "{ran:?}");
    let object: Value = serde_json::from_str(&ran.out)?;
    assert_eq!(object["findings"][0]["level"], "critical", "{object:#}");
    assert!(object["not_examined"].to_string().contains("the agent's settings"), "{object:#}");
    let ran = Ran::from(
        timeout(DEADLINE, portolan(&["doctor", "--registry", "http://127.0.0.1:1"]).output()).await??,
    );
    assert_eq!((ran.code, &*ran.out), (Some(3), ""), "{ran:?}");
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn the_watching_ends_at_ctrl_c_and_what_was_seen_is_told() -> Outcome {
    use rustix::process::{Pid, Signal, kill_process};
    use tokio::io::{AsyncBufReadExt as _, BufReader};

    let registry = Running::consul().await?;
    let mut child =
        portolan(&["doctor", "--for", "10m", "--registry", &registry.url]).env("NO_COLOR", "1").spawn()?;
    let mut lines = BufReader::new(child.stderr.take().ok_or("stderr is piped")?).lines();
    let seen = timeout(DEADLINE, async {
        while let Some(line) = lines.next_line().await? {
            if line.starts_with("watching for 10m") {
                return Ok(());
            }
        }
        Err::<(), both::Failure>("it never watched".into())
    });
    seen.await??;
    let pid = Pid::from_raw(i32::try_from(child.id().ok_or("it runs")?)?).ok_or("a process")?;
    kill_process(pid, Signal::INT)?;
    let ran = Ran::from(timeout(DEADLINE, child.wait_with_output()).await??);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("fine nothing found: ") && ran.out.contains(", watched for "), "{ran:?}");
    Ok(())
}
