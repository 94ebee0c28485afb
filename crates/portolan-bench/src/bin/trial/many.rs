//! Five thousand services watched at once: connections, and how soon a change is seen beside a dedicated watch.
//!
//! In:  a Consul over HTTPS, the embedded registry over HTTP/2, and both over plain HTTP. Out: a row each.
//!
//! Connections are counted by the system (`/proc/net/tcp`), at the port of the registry; the dedicated watch, a bare
//! blocking query on a connection of its own, is of the same service at the same time.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use portolan::{
    Config, ConsulConfig, Discovery, Registry as _, Resolver, Select, ServiceName, ViewConfig,
    registry::{
        ServiceQuery,
        consul::{Consul, Http2, Tls},
    },
};
use portolan_server::faults::{Faults, Proxy};
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    Setting,
    node::{Node, free_port},
    table::{Table, median, time},
    write::write,
};

const PATIENCE: Duration = Duration::from_secs(300);
/// A view has a change within this, whatever its turn.
const SIGHT: Duration = Duration::from_secs(200);
/// A bare query has begun to wait after this, and the rate of a view has room again.
const PAUSE: Duration = Duration::from_millis(300);
/// So many connections may there be; of plain HTTP/1.1, so many that wait for a change.
const CONNECTIONS: usize = 64;
/// Over plain HTTP/1.1, so many more for calls that do not wait: as many as the library keeps. Sixteen run at once, but a
/// place is free a moment before its connection is, so that now and then one more is opened, and kept.
const BESIDE: usize = 32;
/// Turns a second, as `guard.turns_per_second` has them by default.
const TURNS: u32 = 50;
/// A turn that comes late, and the read itself.
const SLACK: Duration = Duration::from_secs(5);
/// At most so many times what a dedicated watch takes.
const MOST: f64 = 1.1;

/// The trial.
pub(crate) async fn trial(setting: &Setting) -> anyhow::Result<Table> {
    let mut table = Table::new(&[
        "registry",
        "services",
        "all known after",
        "connections",
        "changes",
        "seen by a dedicated watch (median)",
        "seen by the view: median (longest)",
        "ratio",
        "age of the answer just before a change (oldest)",
    ]);
    let services = if setting.short { 1_000 } else { 5_000 };
    {
        let node = Node::embedded().await?;
        let config = ConsulConfig::default().address(format!("http://{}", node.http()))?;
        let config = config.http2(Http2::PriorKnowledge);
        watched("embedded, HTTP/2", &node, &config, node.http(), services, &mut table).await?;
        let config = ConsulConfig::default().address(format!("http://{}", node.http()))?;
        watched("embedded, HTTP/1.1", &node, &config, node.http(), services, &mut table).await?;
    }
    let (node, https, ca) = with_tls(setting.consul()?).await?;
    let config = ConsulConfig::default().address(format!("https://localhost:{}", https.port()))?.tls(ca);
    watched("Consul, HTTPS", &node, &config, https, services, &mut table).await?;
    let config = ConsulConfig::default().address(format!("http://{}", node.http()))?;
    watched("Consul, HTTP/1.1", &node, &config, node.http(), services, &mut table).await?;
    unwatched(&node, &mut table).await?;
    Ok(table)
}

/// A Consul that listens for HTTPS too, with an authority of its own.
async fn with_tls(binary: &Path) -> anyhow::Result<(Node, SocketAddr, Tls)> {
    let files = tempfile::tempdir()?;
    let path = |name: &str| files.path().join(name);
    let mut ca = rcgen::CertificateParams::new(Vec::new())?;
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate()?;
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate()?;
    let certificate =
        rcgen::CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &issuer)?;
    std::fs::write(path("ca.pem"), ca_pem)?;
    std::fs::write(path("agent.pem"), certificate.pem())?;
    std::fs::write(path("agent.key"), key.serialize_pem())?;
    let port = free_port([127, 0, 0, 1].into())?;
    let more = json!({
        "ports": { "https": port },
        "cert_file": path("agent.pem"), "key_file": path("agent.key"), "ca_file": path("ca.pem"),
    });
    let tls = Tls::ca_file(path("ca.pem"))?;
    // It has read them all by the time that it answers.
    let node = Node::consul(binary, more).await?;
    Ok((node, SocketAddr::from(([127, 0, 0, 1], port)), tls))
}

fn name(number: usize) -> String {
    format!("many-{number:04}")
}

async fn fill(node: &Node, services: usize) -> anyhow::Result<()> {
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let addr = node.http();
        writers.spawn(async move {
            for number in (writer..services).step_by(16) {
                write(addr, &name(number), 0).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    Ok(())
}

async fn watched(
    registry: &str,
    node: &Node,
    config: &ConsulConfig,
    counted: SocketAddr,
    services: usize,
    table: &mut Table,
) -> anyhow::Result<()> {
    println!("   {registry}");
    fill(node, services).await?;
    let bare = Arc::new(Consul::new(config.clone()));
    // The trial's own connection is there before those of the Discovery are counted.
    bare.service(&ServiceQuery::new(ServiceName::new(name(0))?)).await?;
    let before = connections(counted)?;
    let begun = Instant::now();
    let discovery = Discovery::new(Config::default().consul(config.clone()));
    let mut resolvers = Vec::new();
    for number in 0..services {
        resolvers.push(discovery.service_now(&name(number), Select::default())?);
    }
    for resolver in &resolvers {
        resolver.watch().wait_until(|known| known.is_known(), PATIENCE).await?;
    }
    let known = begun.elapsed();
    let is_http1 = registry.contains("1.1");
    // Over plain HTTP a change waits for the turn of its view, so many are made at the same time: not so many that the
    // trial's own connections, three for each, meet the agent's limit of 200.
    let (rounds, at_once) = if is_http1 { (2, 20) } else { (100, 1) };
    // Every view has read, and those that hold a place wait in it. From here on the trial opens connections too.
    let connections = connections(counted)?.saturating_sub(before);
    let mut seen = Seen { services, known, connections, ..Seen::default() };
    for round in 0..rounds {
        let mut changes = JoinSet::new();
        for change in 0..at_once {
            let number = (round * at_once + change) * 7919 % services;
            let resolver = resolvers.get(number).context("no such service")?.clone();
            seen.oldest = seen.oldest.max(age(&resolver));
            let version = u32::try_from(round * at_once + change + 1)?;
            changes.spawn(one_change(node.http(), Arc::clone(&bare), resolver, name(number), version));
        }
        while let Some(times_of_one) = changes.join_next().await {
            let (dedicated, view) = times_of_one??;
            seen.dedicated.push(dedicated);
            seen.view.push(view);
        }
    }
    discovery.close(PATIENCE).await?;
    tell(table, registry, is_http1, &seen);
    Ok(())
}

/// What was seen of one registry.
#[derive(Debug, Default)]
struct Seen {
    services: usize,
    known: Duration,
    connections: usize,
    /// How long after its write each change was seen.
    dedicated: Vec<Duration>,
    view: Vec<Duration>,
    /// The oldest answer just before a change.
    oldest: Duration,
}

/// One row, and what of it must hold.
fn tell(table: &mut Table, registry: &str, is_http1: bool, seen: &Seen) {
    let longest = seen.view.iter().max().copied().unwrap_or_default();
    let [dedicated, view] =
        [&seen.dedicated, &seen.view].map(|times| median(times.clone()).unwrap_or_default());
    let ratio = view.as_secs_f64() / dedicated.as_secs_f64().max(1e-9);
    table.row([
        registry.to_owned(),
        seen.services.to_string(),
        time(seen.known),
        seen.connections.to_string(),
        seen.view.len().to_string(),
        time(dedicated),
        format!("{} ({})", time(view), time(longest)),
        format!("{ratio:.2}"),
        time(seen.oldest),
    ]);
    println!(
        "   {registry}: {} connections, known after {}, ratio {ratio:.2}",
        seen.connections,
        time(seen.known)
    );
    let allowed = if is_http1 { CONNECTIONS + BESIDE } else { CONNECTIONS };
    let connections = seen.connections;
    table.must(connections <= allowed, format!("{registry}: {connections} connections, not {allowed}"));
    if is_http1 {
        let turn = Duration::from_secs(u64::try_from(seen.services).unwrap_or(u64::MAX)) / TURNS + SLACK;
        let (late, turn_text) = (time(longest), time(turn));
        table.must(
            longest <= turn,
            format!("{registry}: a change was seen after {late}, not within {turn_text}"),
        );
    } else {
        table.must(ratio <= MOST, format!("{registry}: {ratio:.2} times a dedicated watch, not {MOST}"));
    }
}

/// How often a change is written whose connection is cut.
const WRITE_TRIES: u32 = 5;

fn is_cut(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    matches!(kind, Some(std::io::ErrorKind::ConnectionReset))
}

fn age(resolver: &Resolver) -> Duration {
    resolver.snapshot().freshness().age(Instant::now().into_std()).unwrap_or_default()
}

/// Changes one service; how long, from the moment of the write, until a dedicated watch and the view had it.
async fn one_change(
    addr: SocketAddr,
    bare: Arc<Consul>,
    resolver: Resolver,
    service: String,
    version: u32,
) -> anyhow::Result<(Duration, Duration)> {
    let query = ServiceQuery::new(ServiceName::new(&service)?);
    let index = bare.service(&query).await?.meta.index;
    let is_new = |meta: Option<&Arc<str>>| meta.and_then(|text| text.parse::<u32>().ok()) == Some(version);
    let waits = async {
        let mut index = index;
        loop {
            let answer = bare.service(&query.clone().block(index, Duration::from_secs(60))).await?;
            if answer.value.iter().any(|one| is_new(one.meta.get("round"))) {
                return anyhow::Ok(Instant::now());
            }
            index = answer.meta.index;
        }
    };
    let reader = resolver.watch();
    let sees = async {
        let new =
            |known: &portolan::Snapshot| known.instances().iter().any(|one| is_new(one.meta.get("round")));
        if reader.wait_until(new, SIGHT).await.is_err() {
            let (age, known) = (age(&resolver), resolver.snapshot());
            bail!(
                "{service}: a change was not seen in {SIGHT:?}: age {age:?}, failure {:?}",
                known.failure()
            );
        }
        anyhow::Ok(Instant::now())
    };
    let writes = async {
        let mut tries = 1..=WRITE_TRIES;
        loop {
            sleep(PAUSE).await;
            let sent = Instant::now();
            // An agent near its limit of connections may cut this one: it is the trial's own, and none that is counted.
            match write(addr, &service, version).await {
                Err(cut) if is_cut(&cut) && tries.next() < Some(WRITE_TRIES) => {}
                written => return written.map(|()| sent),
            }
        }
    };
    let waits = async { timeout(SIGHT, waits).await.context("a dedicated watch did not see a change")? };
    let writes = async { timeout(SIGHT, writes).await.context("a write was not answered")? };
    let (waited, saw, sent) = tokio::join!(waits, sees, writes);
    let sent = sent.with_context(|| format!("{service}: the change"))?;
    let waited = waited.with_context(|| format!("{service}: the dedicated watch"))?;
    Ok((waited.duration_since(sent), saw?.duration_since(sent)))
}

/// Fifty services are watched; what the changes of others cost, in requests.
async fn unwatched(node: &Node, table: &mut Table) -> anyhow::Result<()> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let proxy = Proxy::start(any, node.http(), Faults::default()).await?;
    let view = ViewConfig::default().wait(Duration::from_secs(600));
    let config = ConsulConfig::default().address(format!("http://{}", proxy.addr()))?;
    let discovery = Discovery::new(Config::default().consul(config).view(view));
    for number in 0..50 {
        discovery.service(&name(number)).await?;
    }
    // Each has its answer, and asks for the next.
    sleep(Duration::from_secs(3)).await;
    let before = proxy.counts().requests;
    let quiet = Duration::from_secs(10);
    sleep(quiet).await;
    let idle = proxy.counts().requests - before;
    let before = proxy.counts().requests;
    let begun = Instant::now();
    for change in 0..100 {
        write(node.http(), &name(500 + change), 1).await?;
    }
    sleep(quiet.saturating_sub(begun.elapsed())).await;
    let cost = proxy.counts().requests - before;
    discovery.close(PATIENCE).await?;
    table.note(format!(
        "100 changes of services that are not watched, beside 50 that are: {cost} requests in {}; {idle} in as long \
         without a change.",
        time(quiet)
    ));
    table.must(cost <= idle, format!("changes of what is not watched cost {} requests", cost - idle));
    Ok(())
}

/// Established connections to this port, by the system's count.
fn connections(to: SocketAddr) -> anyhow::Result<usize> {
    let wanted = format!(":{:04X}", to.port());
    let mut found = 0;
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).context(table)?;
        let is_ours = |line: &&str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.get(2).is_some_and(|remote| remote.ends_with(&wanted)) && fields.get(3) == Some(&"01")
        };
        found += text.lines().skip(1).filter(is_ours).count();
    }
    Ok(found)
}
