//! What an answer over DNS costs: the addresses of ten instances, and SRV of ten and of a hundred, beside a Consul.
//!
//! In:  a registry and a Consul with the same services. Out: rows.
//!
//! Clients say by EDNS that they can take all of it, so each answer has every record.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::{
    net::UdpSocket,
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    Bench,
    load::{self, Load},
    process::Process,
    row::{Row, median},
};

/// How many clients ask, each one question at a time.
const CLIENTS: usize = 16;
/// How long an answer may take before it counts as lost.
const LOST: Duration = Duration::from_secs(2);
const A: u16 = 1;
const SRV: u16 = 33;
/// What is asked for, of so many instances, and what it may cost in microseconds.
const QUESTIONS: [(&str, u16, usize, f64); 3] =
    [("A", A, 10, 10.0), ("SRV", SRV, 10, 20.0), ("SRV", SRV, 100, 80.0)];

fn question(instances: usize, kind: u16) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in [format!("of-{instances}").as_str(), "service", "consul"] {
        bytes.push(u8::try_from(label.len()).unwrap_or_default());
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    // EDNS for the largest datagram.
    bytes.extend([0, 1, 0, 0, 41, 0xff, 0xff, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// Registers so many instances of a service, each with an address of its own.
async fn fill(server: &Process, instances: usize) -> anyhow::Result<()> {
    let put = |number: usize| {
        let definition = json!({
            "Name": format!("of-{instances}"), "ID": format!("{instances}-{number}"), "Port": 8080,
            "Address": format!("10.0.{}.{}", instances % 250, number % 250),
            "Check": { "TTL": "1h", "Status": "passing" },
        });
        server.request("PUT", "/v1/agent/service/register", &definition.to_string())
    };
    let requests: Vec<_> = (0..instances).map(put).collect();
    let within = Duration::from_secs(60);
    let load = Load { connections: 4, requests: Arc::new(requests), most: instances, within, rate: None };
    load::run(server.addr(), &load).await.map(|_| ())
}

/// The number of answer records that came, and how many answers, until the time is over.
async fn client(to: SocketAddr, question: Arc<Vec<u8>>, until: Instant) -> anyhow::Result<(u16, u32)> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    socket.connect(to).await?;
    let (mut buffer, mut records, mut answers) = (vec![0; 65_535], 0, 0_u32);
    while Instant::now() < until {
        socket.send(&question).await?;
        let length = timeout(LOST, socket.recv(&mut buffer)).await.context("an answer was lost")??;
        let count = buffer.get(6..8.min(length)).and_then(|bytes| bytes.try_into().ok());
        records = u16::from_be_bytes(count.context("an answer without a header")?);
        answers = answers.saturating_add(1);
    }
    Ok((records, answers))
}

/// Microseconds of the server's processor time for each answer.
async fn cost(server: &Process, kind: u16, instances: usize, within: Duration) -> anyhow::Result<f64> {
    let question = Arc::new(question(instances, kind));
    let (before, to) = (server.cpu()?, server.dns()?);
    let until = Instant::now().checked_add(within).context("the time is too long")?;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(client(to, Arc::clone(&question), until));
    }
    let mut answers = 0;
    while let Some(ended) = clients.join_next().await {
        let (records, count) = ended??;
        ensure!(usize::from(records) == instances, "{records} records of {instances}");
        answers += count;
    }
    Ok(server.cpu()?.saturating_sub(before).as_secs_f64() * 1e6 / f64::from(answers))
}

/// The rows.
///
/// # Errors
/// When a server or a question fails.
pub(crate) async fn rows(bench: &Bench, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let (ours, consul) = bench.with_dns().await?;
    let servers: Vec<&Process> = [Some(&ours), consul.as_ref()].into_iter().flatten().collect();
    for server in &servers {
        for instances in [10, 100] {
            fill(server, instances).await?;
        }
    }
    for (word, kind, instances, target) in QUESTIONS {
        let mut rounds = vec![Vec::new(); servers.len()];
        for _ in 0..bench.rounds() {
            for (server, round) in servers.iter().zip(&mut rounds) {
                round.push(cost(server, kind, instances, bench.slice()).await?);
            }
        }
        let mut figures = rounds.into_iter().map(median);
        let Some(mine) = figures.next() else { continue };
        let what = format!("DNS, {word} of {instances}: processor time of each");
        rows.push(Row::new(what, mine, "µs").beside(bench.peer(), figures.next()).at_most(target));
    }
    Ok(())
}
