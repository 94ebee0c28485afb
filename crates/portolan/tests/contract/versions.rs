//! Instances that others registered, who know nothing of Portolan, are found by their version: it stands in `version` of
//! their meta, or in a tag.
//!
//! In:  a registry behind HTTP that nobody else writes to; and Consul's own command, where it is at hand. Out: the first
//! thing that was not as it must be.
//!
//! Nothing sleeps: what must come is awaited.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use portolan::{
    Config, Discovery, Registry as _, Requirement, Select,
    registry::consul::{Consul, ConsulConfig},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long anything may take that should take moments.
const DEADLINE: Duration = Duration::from_secs(30);

/// What others write, as Consul's documentation has it.
fn written() -> Vec<Value> {
    let all = [
        ("others-1", json!({"version": "1.4.2"}), json!([])),
        ("others-2", json!({}), json!(["blue", "v2.0.0"])),
        ("others-3", json!({}), json!(["version=2.1.0-rc.1"])),
        ("others-4", json!({"version": "two"}), json!(["very-old"])),
        ("others-5", json!({"team": "a"}), json!(["vip"])),
    ];
    let one = |(id, meta, tags)| json!({"Name": "others", "ID": id, "Address": "10.0.0.1", "Port": 80, "Meta": meta, "Tags": tags});
    all.into_iter().map(one).collect()
}

/// By which means they are written.
pub(crate) enum By<'a> {
    /// A request of a few lines.
    Http,
    /// Consul's command: `consul services register`.
    Command(&'a Path),
}

pub(crate) async fn versions_of_others_are_found(config: ConsulConfig, by: By<'_>) -> Result<(), Failure> {
    let registry = Arc::new(Consul::new(config));
    let address = registry.endpoint().ok_or("the registry has an address")?;
    for one in written() {
        match by {
            By::Http => put(&address, &one).await?,
            By::Command(binary) => {
                // Off this thread, which may be the one that serves the registry.
                let (binary, address, one) = (binary.to_owned(), address.clone(), one.clone());
                tokio::task::spawn_blocking(move || command(&binary, &address, &one)).await??;
            }
        }
    }
    let discovery = Discovery::with_registry(registry, Config::default());
    let all = timeout(DEADLINE, discovery.service("others")).await??;
    all.watch().wait_until(|known| known.instances().len() == 5, DEADLINE).await?;
    let unreadable: Vec<_> =
        all.snapshot().instances().iter().filter_map(|one| one.unreadable_version.clone()).collect();
    assert_eq!(unreadable.len(), 1, "{unreadable:?}");
    assert_eq!(unreadable.first().map(ToString::to_string).as_deref(), Some("\"two\" in meta:version"));
    for (requirement, expected) in [
        ("^1.4", &["others-1"][..]),
        (">=1, <3", &["others-1", "others-2"]),
        ("latest", &["others-2"]),
        ("^2 +pre", &["others-2", "others-3"]),
        ("latest +pre", &["others-3"]),
        ("^3", &[]),
    ] {
        let select = Select::default().version(requirement.parse::<Requirement>()?);
        let found = timeout(DEADLINE, discovery.service_with("others", select)).await??;
        let known = found.explain();
        let ids: Vec<&str> = known.usable.iter().map(|one| &*one.identity.id).collect();
        assert_eq!(ids, expected, "{requirement}");
        if let Err(none) = found.pick() {
            let none = none.to_string();
            assert!(
                none.starts_with("others: 5 known, 5 healthy, 0 match ^3, 1 of unreadable version"),
                "{none}"
            );
        }
    }
    discovery.close(DEADLINE).await?;
    Ok(())
}

/// Writes it as anybody would who has only Consul's documentation.
async fn put(address: &str, definition: &Value) -> Result<(), Failure> {
    let place = address.trim_start_matches("http://");
    let body = definition.to_string();
    let request = format!(
        "PUT /v1/agent/service/register HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(place).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer)).await??;
    if answer.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(answer.into()) }
}

fn command(binary: &Path, address: &str, definition: &Value) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("service.json");
    let lower = |(name, value): (&String, &Value)| (name.to_lowercase(), value.clone());
    let service: serde_json::Map<String, Value> =
        definition.as_object().into_iter().flatten().map(lower).collect();
    std::fs::write(&file, json!({"service": service}).to_string())?;
    let mut command = Command::new(binary);
    command
        .args(["services", "register"])
        .arg(format!("-http-addr={address}"))
        .arg(&file)
        .stdin(Stdio::null());
    let ran = command.output()?;
    if ran.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&ran.stderr).into_owned().into()) }
}
