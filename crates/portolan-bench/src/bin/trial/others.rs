//! Services that others registered, who know nothing of Portolan: found by their version.
//!
//! In:  a Consul, and a Python that has py-consul. Out: a row for each registry and each who registers: whom the requirements
//! found.
//!
//! Each writes the same five instances, as its own documentation has it: a version in meta, in a tag `v…`, in a tag
//! `version=…`, one that cannot be read, and none.
//!
//! Never: writes what Portolan's own registration would.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context as _, bail, ensure};
use portolan::{Discovery, Requirement, Select};
use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};

use crate::{Setting, node::Node, stage::at, table::Table};

const PATIENCE: Duration = Duration::from_secs(60);

/// What py-consul is told, for each of the instances that stand in its first argument.
const PYTHON: &str = "\
import consul, json, sys
agent = consul.Consul(host=sys.argv[1], port=int(sys.argv[2])).agent
for one in json.loads(sys.argv[3]):
    agent.service.register(one['name'], service_id=one['id'], address=one['address'], port=one['port'],
                           tags=one['tags'], meta=one['meta'])
";

/// Who is found by which requirement.
const FOUND: &[(&str, &[&str])] =
    &[("^1.4", &["1"]), (">=1, <3", &["1", "2"]), ("latest", &["2"]), ("^2 +pre", &["2", "3"]), ("^3", &[])];

/// The trial.
pub(crate) async fn trial(setting: &Setting) -> anyhow::Result<Table> {
    let head = FOUND.iter().map(|(requirement, _)| *requirement);
    let head: Vec<&str> = ["registry", "registered by"].into_iter().chain(head).collect();
    let mut table = Table::new(&head);
    for registry in ["embedded", "Consul"] {
        let node = match registry {
            "embedded" => Node::embedded().await?,
            _ => Node::consul(setting.consul()?, json!({})).await?,
        };
        python(setting.python()?, node.http(), "by-python").await?;
        command(setting.consul()?, node.http(), "by-command").await?;
        let discovery = Discovery::new(at(node.http())?);
        for service in ["by-python", "by-command"] {
            found(&discovery, service, registry, &mut table).await?;
        }
        discovery.close(PATIENCE).await?;
    }
    Ok(table)
}

/// The instances, in the words of Consul's definition files.
fn instances(service: &str) -> Vec<Value> {
    let all = [
        ("1", json!({"version": "1.4.2"}), json!([])),
        ("2", json!({}), json!(["blue", "v2.0.0"])),
        ("3", json!({}), json!(["version=2.1.0-rc.1"])),
        ("4", json!({"version": "two"}), json!(["old"])),
        ("5", json!({"team": "a"}), json!(["vip"])),
    ];
    let one = |(id, meta, tags)| {
        let id = format!("{service}-{id}");
        json!({"name": service, "id": id, "address": "10.0.0.1", "port": 80, "meta": meta, "tags": tags})
    };
    all.into_iter().map(one).collect()
}

async fn python(python: &Path, registry: SocketAddr, service: &str) -> anyhow::Result<()> {
    let mut run = Command::new(python);
    run.args(["-c", PYTHON, &registry.ip().to_string(), &registry.port().to_string()]);
    run.arg(Value::from(instances(service)).to_string());
    ended(run).await.context("py-consul")
}

async fn command(consul: &Path, registry: SocketAddr, service: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("services.json");
    std::fs::write(&file, json!({"services": instances(service)}).to_string())?;
    let mut run = Command::new(consul);
    run.args(["services", "register"]).arg(format!("-http-addr=http://{registry}")).arg(&file);
    ended(run).await.context("consul services register")
}

async fn ended(mut run: Command) -> anyhow::Result<()> {
    let said = timeout(PATIENCE, run.kill_on_drop(true).output()).await??;
    if !said.status.success() {
        bail!("it ended with {}: {}", said.status, String::from_utf8_lossy(&said.stderr));
    }
    Ok(())
}

async fn found(
    discovery: &Discovery,
    service: &str,
    registry: &str,
    table: &mut Table,
) -> anyhow::Result<()> {
    let all = discovery.service(service).await?;
    all.watch().wait_until(|known| known.instances().len() == 5, PATIENCE).await?;
    let unreadable = all.snapshot().instances().iter().filter(|one| one.unreadable_version.is_some()).count();
    ensure!(unreadable == 1, "{unreadable} of unreadable version, and one was written");
    let mut cells = vec![registry.to_owned(), service.trim_start_matches("by-").to_owned()];
    for (text, expected) in FOUND {
        let select = Select::default().version(text.parse::<Requirement>()?);
        let usable = discovery.service_with(service, select).await?.explain().usable;
        let ids: Vec<String> = usable
            .iter()
            .map(|one| one.identity.id.trim_start_matches(service).trim_start_matches('-').to_owned())
            .collect();
        table
            .must(ids == *expected, format!("{registry}, {service}: {text} finds {ids:?}, not {expected:?}"));
        cells.push(if ids.is_empty() { "none".to_owned() } else { ids.join(", ") });
    }
    table.row(cells);
    Ok(())
}
