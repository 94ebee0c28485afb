//! Ten thousand HTTP checks each ten seconds: what they cost the registry, and how late they are.
//!
//! In:  the embedded registry and a Consul, in processes of their own, and one more that is checked, at an address of the
//! loopback for each. Out: processor time of the registry, beside Consul's.
//!
//! How late a check is, is seen by what is checked: by how much longer than the interval it waited to be asked again.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    Setting,
    checked::{INTERVAL, Stats},
    cpu,
    node::{Node, exchange, free_port},
    table::{Table, time},
};

const CHECKS: usize = 10_000;
/// Instances of one service.
const EACH: usize = 100;
/// Addresses of one network of the loopback that are used.
const HOSTS: usize = 200;
const WRITERS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(600);
/// What it may cost the embedded registry, in cores.
const MOST: f64 = 0.15;
/// By how much a check may be late.
const LATE: Duration = Duration::from_secs(1);

/// The trial.
pub(crate) async fn trial(setting: &Setting) -> anyhow::Result<Table> {
    let mut table = Table::new(&[
        "registry",
        "HTTP checks each 10 s",
        "watched for",
        "checks a second",
        "connections a second",
        "processor (cores)",
        "processor a check",
        "the latest was late by",
    ]);
    let node = Node::embedded().await?;
    let (cost, late) = one("embedded", &node, CHECKS, setting, &mut table).await?;
    drop(node);
    table.must(cost <= MOST, format!("embedded: {cost:.2} cores, not {MOST}"));
    table.must(late <= LATE, format!("embedded: a check was late by {}", time(late)));
    let node = Node::consul(setting.consul()?, json!({})).await?;
    let checks = if setting.short { CHECKS / 5 } else { CHECKS };
    one("Consul", &node, checks, setting, &mut table).await?;
    Ok(table)
}

/// What is checked, in a process of its own that ends with this.
struct Checked {
    child: Child,
    addr: SocketAddr,
}

impl Drop for Checked {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            tracing::error!(%error, "what is checked could not be ended");
        }
    }
}

impl Checked {
    async fn start() -> anyhow::Result<Self> {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(Ipv4Addr::UNSPECIFIED)?));
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--checked", &addr.port().to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let checked = Self { child, addr };
        let begun = Instant::now();
        while let Err(error) = checked.ask("/reset").await {
            anyhow::ensure!(
                begun.elapsed() < Duration::from_secs(20),
                "what is checked does not start: {error}"
            );
            sleep(Duration::from_millis(20)).await;
        }
        Ok(checked)
    }

    async fn ask(&self, path: &str) -> anyhow::Result<String> {
        exchange(self.addr, "GET", path, "").await
    }
}

/// What the checks cost, in cores, and by how much the latest was late.
async fn one(
    registry: &str,
    node: &Node,
    checks: usize,
    setting: &Setting,
    table: &mut Table,
) -> anyhow::Result<(f64, Duration)> {
    println!("   {registry}");
    let checked = Checked::start().await?;
    register(node.http(), checked.addr.port(), checks).await?;
    all_pass(node).await?;
    // Each has run, at its own moment, and Consul's catalogue has heard of it.
    sleep(3 * INTERVAL).await;
    checked.ask("/reset").await?;
    let (since, before) = (Instant::now(), node.cpu()?);
    sleep(setting.time(60, 20)).await;
    let (passed, used) = (since.elapsed(), node.cpu()?.saturating_sub(before));
    let stats: Stats = serde_json::from_str(&checked.ask("/stats").await?)?;
    let cost = cpu::share(used, passed);
    let late = Duration::from_millis(stats.late_ms);
    let a_second = |count: u64| count as f64 / passed.as_secs_f64();
    table.row([
        registry.to_owned(),
        checks.to_string(),
        time(passed),
        format!("{:.0}", a_second(stats.requests)),
        format!("{:.0}", a_second(stats.connections)),
        format!("{cost:.3}"),
        format!("{:.0} µs", cost / a_second(stats.requests).max(1e-9) * 1e6),
        time(late),
    ]);
    // One round more or less is under way when it begins and ends.
    let least = checks as f64 * (passed.as_secs_f64() / INTERVAL.as_secs_f64() - 1.0);
    table
        .must(stats.requests as f64 >= least, format!("{registry}: only {} checks were run", stats.requests));
    Ok((cost, late))
}

async fn register(addr: SocketAddr, port: u16, checks: usize) -> anyhow::Result<()> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(async move {
            for number in (writer..checks).step_by(WRITERS) {
                let host = format!("127.1.{}.{}", number / HOSTS, number % HOSTS + 1);
                let body = json!({
                    "ID": format!("checks-{number:05}"), "Name": format!("checks-{:03}", number / EACH),
                    "Address": host, "Port": port,
                    "Check": {
                        "HTTP": format!("http://{host}:{port}/{number}"), "Interval": "10s", "Timeout": "5s",
                    },
                });
                exchange(addr, "PUT", "/v1/agent/service/register", &body.to_string()).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    Ok(())
}

async fn all_pass(node: &Node) -> anyhow::Result<()> {
    let begun = Instant::now();
    while node.get("/v1/health/state/critical").await?.trim() != "[]" {
        let late = begun.elapsed() > PATIENCE;
        anyhow::ensure!(!late, "some checks are critical after {}", time(PATIENCE));
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}
