//! Five thousand services watched over HTTPS on a real Consul: how many connections that takes, and when a change is seen.

#[path = "support/consul.rs"]
#[expect(dead_code, reason = "shared; each test binary uses its part")]
mod support;

use std::{fs, time::Duration};

use portolan::{
    Config, Discovery, Registry as _, Select, ServiceName, Snapshot,
    registry::{ServiceQuery, consul::Consul},
};
use support::{Agent, Failure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout},
};

const SERVICES: usize = 5_000;
/// What the issue allows.
const CONNECTIONS: usize = 64;
/// How many changes the median is taken of.
const CHANGES: u16 = 41;
/// Long enough for a machine that does other things too; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(300);

type Outcome = Result<(), Failure>;

/// Connections of this process to a port, as the kernel lists them. They are all ours: nobody else knows the port.
fn connections(port: u16) -> Result<usize, Failure> {
    let remote = format!(":{port:04X}");
    let mut open = 0;
    for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        let listed = fs::read_to_string(table)?;
        open += listed
            .lines()
            .filter_map(|line| {
                let mut fields = line.split_whitespace().skip(2);
                Some((fields.next()?, fields.next()?))
            })
            .filter(|(peer, state)| peer.ends_with(&remote) && *state == "01")
            .count();
    }
    Ok(open)
}

#[expect(clippy::print_stdout, reason = "for BENCHMARKS.md, with --nocapture")]
fn figures(line: &str) {
    println!("{line}");
}

fn name(number: usize) -> String {
    format!("service-{number}")
}

/// Puts all services on a node that no agent runs, 60 with each request. A service that does not exist would be woken by
/// each that begins to.
async fn register_all(agent: &Agent) -> Outcome {
    let node = serde_json::json!({ "Node": "far", "Address": "10.0.0.1" });
    let set_node = serde_json::json!({ "Node": { "Verb": "set", "Node": node } });
    let numbers: Vec<usize> = (0..SERVICES).collect();
    for some in numbers.chunks(60) {
        let services = some.iter().map(|number| {
            let service = serde_json::json!({ "ID": name(*number), "Service": name(*number), "Port": 80 });
            serde_json::json!({ "Service": { "Verb": "set", "Node": "far", "Service": service } })
        });
        let body: Vec<_> = std::iter::once(set_node.clone()).chain(services).collect();
        put(agent, "/v1/txn", &serde_json::to_string(&body)?).await?;
    }
    Ok(())
}

async fn put(agent: &Agent, path: &str, body: &str) -> Outcome {
    let address = agent.plain()?.shown_address().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await?;
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(answer.into()) }
}

/// Gives a service another port.
async fn change(agent: &Agent, service: &str, port: u16) -> Outcome {
    let service = serde_json::json!({ "ID": service, "Service": service, "Port": port });
    let body = serde_json::json!({ "Node": "far", "Address": "10.0.0.1", "Service": service });
    put(agent, "/v1/catalog/register", &body.to_string()).await
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// How long a watch of its own, on connections of its own, takes to see a change, from before it is written.
async fn dedicated(agent: &Agent) -> Result<Duration, Failure> {
    let consul = Consul::new(agent.tls()?);
    let query = ServiceQuery::new(ServiceName::new(name(0))?);
    let mut times = Vec::new();
    for number in 0..CHANGES {
        let index = consul.service(&query).await?.meta.index;
        let (waits, own) = (query.clone().block(index, PATIENCE), consul.clone());
        let mut watch = JoinSet::new();
        watch.spawn(async move {
            let answer = own.service(&waits).await;
            (answer.map(drop), Instant::now())
        });
        // Until the read is open.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let began = Instant::now();
        change(agent, &name(0), 1_000 + number).await?;
        let (answer, seen) = watch.join_next().await.ok_or("no watch")??;
        answer?;
        times.push(seen.saturating_duration_since(began));
    }
    Ok(median(times))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_services_over_https_have_a_read_open_each_on_at_most_64_connections() -> Outcome {
    let agent = Agent::start().await?;
    register_all(&agent).await?;
    let alone = dedicated(&agent).await?;
    let discovery = Discovery::new(Config::default().consul(agent.tls()?));
    let all: Vec<_> = (0..SERVICES)
        .map(|number| discovery.service_now(&name(number), Select::default()))
        .collect::<Result<_, _>>()?;
    for resolver in &all {
        resolver.watch().wait_until(|now| now.is_known(), PATIENCE).await?;
    }
    let address = agent.tls()?.shown_address().to_owned();
    let port = address.rsplit(':').next().ok_or("no port")?.parse()?;
    // A connection carries 128 reads: when there are so many, all reads are open.
    let all_open = async {
        while connections(port)? < SERVICES.div_ceil(128) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok::<_, Failure>(())
    };
    timeout(PATIENCE, all_open).await??;
    assert_eq!(discovery.registry_state().taking_turns, 0, "each has a read of its own");
    assert!(discovery.registry_state().is_up());
    let mut times = Vec::new();
    for round in 0..CHANGES {
        let number = usize::from(round) * 237 % SERVICES;
        let (reader, port) = (all.get(number).ok_or("no such view")?.watch(), 2_000 + round);
        let mut watch = JoinSet::new();
        watch.spawn(async move {
            let seen = |now: &Snapshot| now.instances().iter().any(|one| one.port == port);
            let done = reader.wait_until(seen, PATIENCE).await;
            (done.map(drop), Instant::now())
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        let began = Instant::now();
        change(&agent, &name(number), port).await?;
        let (done, seen) = watch.join_next().await.ok_or("no watch")??;
        done?;
        times.push(seen.saturating_duration_since(began));
    }
    let open = connections(port)?;
    assert!(open <= CONNECTIONS, "{open} connections");
    let shared = median(times);
    figures(&format!(
        "{SERVICES} services: {open} connections; a change is seen after {shared:?}, alone after {alone:?}"
    ));
    discovery.close(PATIENCE).await?;
    Ok(())
}
