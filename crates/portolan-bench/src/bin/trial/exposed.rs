//! `portolan serve` beside clients that mean no good: what others wait meanwhile, and what it takes of memory.
//!
//! In:  the command. Out: the 99th percentile of others' requests without and with a thousand idle and two hundred
//! dripping connections, and its peak of memory under bodies of a gigabyte, a hundred thousand headers, a million names.
//!
//! Others ask at times that are set beforehand, and a request's time counts from then, so that one that is late makes the next
//! ones late too. Those who mean no good have addresses of their own, each as many connections as one may have.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{Instant, interval_at, sleep, sleep_until, timeout},
};

use crate::{
    Setting,
    node::{Node, exchange},
    table::{Table, median, time},
};

const IDLE: usize = 1000;
const DRIPPING: usize = 200;
/// How many connections one address may have.
const OF_ONE: usize = 200;
/// Between two bytes of one that drips.
const DRIP: Duration = Duration::from_millis(500);
/// Others, each on a connection of its own, and how often each asks.
const OTHERS: usize = 8;
const PACE: Duration = Duration::from_millis(20);
/// How many send a body or headers at once.
const AT_ONCE: usize = 8;
const GIGABYTE: usize = 1 << 30;
const HEADERS: usize = 100_000;
/// No answer may take this long.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the memory may grow by, in bytes.
const BOUND: u64 = 64 << 20;

/// The trial.
pub(crate) async fn trial(setting: &Setting) -> anyhow::Result<Table> {
    let mut node = Node::kept(setting.command()?)?;
    node.start().await?;
    for number in 0..10 {
        let body = format!(r#"{{"Name":"web","ID":"web-{number}","Address":"192.0.2.{number}","Port":80}}"#);
        exchange(node.http(), "PUT", "/v1/agent/service/register", &body).await?;
    }
    let mut table = Table::new(&["what", "before", "meanwhile", "ratio"]);
    waits(&node, setting, &mut table).await?;
    let names = if setting.short { 50_000 } else { 1_000_000 };
    let idle = async {
        let open = connected(&node, IDLE, 2).await?;
        // Whoever comes after them is accepted after them.
        exchange(node.http(), "GET", "/v1/status/leader", "").await?;
        drop(open);
        Ok(())
    };
    memory(&node, &mut table, format!("memory: {IDLE} idle connections"), idle).await?;
    let what = format!("memory: {AT_ONCE} bodies of 1 GB at once");
    memory(&node, &mut table, what, all_at_once(node.http(), large_body)).await?;
    let what = format!("memory: {AT_ONCE} heads of {HEADERS} headers at once");
    memory(&node, &mut table, what, all_at_once(node.http(), many_headers)).await?;
    memory(&node, &mut table, format!("memory: {names} names asked for"), many_names(node.http(), names))
        .await?;
    table.note(format!(
        "{OTHERS} others ask for ten instances each {} on kept connections; memory is resident, its peak meanwhile.",
        time(PACE)
    ));
    Ok(table)
}

/// What others wait, by turns without and with the crowd.
async fn waits(node: &Node, setting: &Setting, table: &mut Table) -> anyhow::Result<()> {
    let (turns, length) =
        if setting.short { (1, Duration::from_secs(3)) } else { (5, Duration::from_secs(8)) };
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        without.push(others(node.http(), length).await?);
        let idle = connected(node, IDLE, 2).await?;
        let mut crowd = JoinSet::new();
        for number in 0..DRIPPING {
            let from = Ipv4Addr::new(127, 0, 1, u8::try_from(number / OF_ONE + 1)?);
            let offset = DRIP * u32::try_from(number)? / u32::try_from(DRIPPING)?;
            crowd.spawn(drip(from, node.http(), Instant::now() + offset));
        }
        // Until they are all there.
        sleep(DRIP * 2).await;
        with.push(others(node.http(), length).await?);
        crowd.shutdown().await;
        drop(idle);
    }
    let what = format!("p99 of others, {IDLE} idle and {DRIPPING} dripping");
    let (before, meanwhile) = median(without).zip(median(with)).context("nobody asked")?;
    let ratio = meanwhile.as_secs_f64() / before.as_secs_f64();
    table.row([what, time(before), time(meanwhile), format!("{ratio:.2}")]);
    table.must(ratio <= 2.0, "others wait more than twice as long");
    Ok(())
}

/// The 99th percentile of what others wait.
async fn others(addr: SocketAddr, length: Duration) -> anyhow::Result<Duration> {
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for number in 0..OTHERS {
        tasks.spawn(async move {
            let mut client = Client::connect(addr).await?;
            let mut took = Vec::new();
            let offset = PACE * u32::try_from(number)? / u32::try_from(OTHERS)?;
            let mut due = begun + offset;
            while due < begun + length {
                sleep_until(due).await;
                client.get("/v1/health/service/web?passing").await?;
                took.push(due.elapsed());
                due += PACE;
            }
            anyhow::Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        took.extend(ended??);
    }
    took.sort_unstable();
    took.get(took.len() * 99 / 100).copied().context("nobody asked")
}

/// One connection, with requests one after the other.
struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    async fn connect(addr: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::new() })
    }

    async fn get(&mut self, path: &str) -> anyhow::Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        self.read.clear();
        loop {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                bail!("the connection was closed");
            }
            let text = String::from_utf8_lossy(&self.read);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            if !head.starts_with("HTTP/1.1 200") {
                bail!("{head}: {body}");
            }
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            if body.len() >= length.context("no length")?.parse()? {
                return Ok(());
            }
        }
    }
}

/// A connection from an address of this machine.
async fn from(address: Ipv4Addr, to: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((address, 0)))?;
    Ok(socket.connect(to).await?)
}

/// So many connections that say nothing, from as many addresses as it takes.
async fn connected(node: &Node, count: usize, first: u8) -> anyhow::Result<Vec<TcpStream>> {
    let mut open = Vec::new();
    for number in 0..count {
        let address = Ipv4Addr::new(127, 0, 0, first + u8::try_from(number / OF_ONE)?);
        open.push(from(address, node.http()).await?);
    }
    Ok(open)
}

/// A head that never ends, again and again.
async fn drip(address: Ipv4Addr, to: SocketAddr, first: Instant) {
    let mut pace = interval_at(first, DRIP);
    loop {
        let Ok(mut stream) = from(address, to).await else { return };
        let mut sent = stream.write_all(b"GET /v1/status/leader HTTP/1.1\r\nX: ").await;
        while sent.is_ok() {
            pace.tick().await;
            sent = stream.write_all(b"x").await;
        }
    }
}

/// The memory before something, and its peak meanwhile.
async fn memory(
    node: &Node,
    table: &mut Table,
    what: String,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let process = PathBuf::from(format!("/proc/{}", node.pid()?));
    // Forgets the peak before (proc_pid_clear_refs(5)).
    std::fs::write(process.join("clear_refs"), "5")?;
    let before = resident(&process, "VmRSS:")?;
    work.await.with_context(|| what.clone())?;
    let peak = resident(&process, "VmHWM:")?;
    let shown = [before, peak].map(|bytes| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)));
    table.must(peak < before + BOUND, format!("{what}: more than {} MiB", BOUND >> 20));
    let ratio = format!("{:.2}", peak as f64 / before as f64);
    table.row([what].into_iter().chain(shown).chain([ratio]));
    Ok(())
}

fn resident(process: &std::path::Path, field: &str) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(process.join("status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib << 10)
}

async fn all_at_once<F>(addr: SocketAddr, one: fn(SocketAddr) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE {
        tasks.spawn(timeout(PATIENCE, one(addr)));
    }
    while let Some(ended) = tasks.join_next().await {
        ended???;
    }
    Ok(())
}

/// In pieces, of which each says its own length, so that nobody can know at once.
async fn large_body(addr: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(addr).await?;
    let head =
        "PUT /v1/agent/service/register HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut piece = b"10000\r\n".to_vec();
    piece.resize(piece.len() + (1 << 16), b' ');
    piece.extend_from_slice(b"\r\n");
    for _ in 0..GIGABYTE >> 16 {
        if stream.write_all(&piece).await.is_err() {
            break;
        }
    }
    refused(stream, 413).await
}

async fn many_headers(addr: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(b"GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\n").await?;
    for number in 0..HEADERS {
        if stream.write_all(format!("X-{number}: {number}\r\n").as_bytes()).await.is_err() {
            break;
        }
    }
    refused(stream, 431).await
}

async fn refused(mut stream: TcpStream, status: u16) -> anyhow::Result<()> {
    let mut answer = Vec::new();
    // A reset after the answer changes nothing about it.
    let ended = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    if !answer.starts_with(&format!("HTTP/1.1 {status}")) {
        bail!("{status} was expected: {answer:?} {ended:?}");
    }
    Ok(())
}

async fn many_names(addr: SocketAddr, names: usize) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    for number in 0..AT_ONCE {
        tasks.spawn(async move {
            let mut client = Client::connect(addr).await?;
            for name in (number..names).step_by(AT_ONCE) {
                client.get(&format!("/v1/health/service/name-{name}")).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}
