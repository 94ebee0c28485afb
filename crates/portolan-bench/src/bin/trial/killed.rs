//! kill -9 of a process that keeps registrations: when its instances are critical, and when they are gone.
//!
//! In:  a registry, and this program as the process that is killed. Out: a row for each kind of check: the time until the
//! catalogue shows it critical, beside what its definition allows, and until the agent has removed it.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::bail;
use portolan::{Address, Check, Discovery, Registration};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};

use crate::{
    Setting,
    node::Node,
    promises::healthy,
    stage::at,
    table::{Table, time},
};

const TTL: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(1);
/// The least that Consul allows.
const REAP: Duration = Duration::from_secs(60);
/// How often Consul looks for what is to be removed. agent/agent.go `reapServices`.
const REAPS: Duration = Duration::from_secs(30);
/// What the agent, the catalogue and the one who looks need besides.
const SLACK: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(10);

/// The process that is killed: two instances, until then.
pub(crate) async fn be_the_service(registry: SocketAddr) -> anyhow::Result<()> {
    let discovery = Discovery::new(at(registry)?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let by = |name: &str, check: Check| {
        Registration::new(name, port)
            .address(Address::Given("127.0.0.1".to_owned()))
            .check(check.deregister_after(Some(REAP)))
    };
    let _ttl = discovery.register(by("ttl", Check::ttl(TTL))).await?;
    let _http =
        discovery.register(by("http", Check::http("/health").every(INTERVAL).timeout(TIMEOUT))).await?;
    healthy(listener).await;
    Ok(())
}

/// Ends with its trial.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            tracing::error!(%error, "a service could not be ended");
        }
    }
}

/// The trial.
pub(crate) async fn trial(setting: &Setting) -> anyhow::Result<Table> {
    let mut table =
        Table::new(&["registry", "check", "critical after", "allowed", "removed after", "deregister-after"]);
    let (embedded, consul) = (Node::embedded().await?, Node::consul(setting.consul()?, json!({})).await?);
    let (one, other) = tokio::try_join!(killed(&embedded), killed(&consul))?;
    for (registry, rows) in [("embedded", one), ("Consul", other)] {
        for (check, allowed, [critical, removed]) in rows {
            let cells = [critical, allowed, removed, REAP].map(time);
            table.row([registry.to_owned(), check.to_owned()].into_iter().chain(cells));
            table.must(
                critical <= allowed + SLACK,
                format!("{registry}, {check}: critical after {critical:?}"),
            );
            let late = critical + REAP + REAPS + SLACK;
            let removes = removed >= REAP && removed <= late;
            table.must(
                removes,
                format!("{registry}, {check}: removed after {removed:?}, not {REAP:?} to {late:?}"),
            );
        }
    }
    Ok(table)
}

type Row = (&'static str, Duration, [Duration; 2]);

async fn killed(node: &Node) -> anyhow::Result<Vec<Row>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--service", &node.http().to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
    let mut service = Service(command.spawn()?);
    for name in ["ttl", "http"] {
        until(node, name, Instant::now(), |status| status == Some("passing")).await?;
    }
    service.0.kill()?;
    service.0.wait()?;
    let since = Instant::now();
    let ended = async |name| {
        let critical = until(node, name, since, |status| status == Some("critical")).await?;
        let removed = until(node, name, since, |status| status.is_none()).await?;
        anyhow::Ok([critical, removed])
    };
    let (ttl, http) = tokio::try_join!(ended("ttl"), ended("http"))?;
    Ok(vec![("TTL of 5 s", TTL, ttl), ("HTTP each 2 s, timeout 1 s", INTERVAL + TIMEOUT, http)])
}

/// How long after `since` the catalogue shows the instance so; `None` is gone.
async fn until(
    node: &Node,
    name: &str,
    since: Instant,
    wanted: impl Fn(Option<&str>) -> bool,
) -> anyhow::Result<Duration> {
    loop {
        let checks: Value = serde_json::from_str(&node.get(&format!("/v1/health/checks/{name}")).await?)?;
        if wanted(checks.pointer("/0/Status").and_then(Value::as_str)) {
            return Ok(since.elapsed());
        }
        if since.elapsed() > PATIENCE {
            bail!("{name}: not so within {PATIENCE:?}: {checks}");
        }
        sleep(LOOK).await;
    }
}
