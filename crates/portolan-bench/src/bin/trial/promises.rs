//! What a keeper does after each fault: how long the catalogue is wrong, and what the checks showed meanwhile.
//!
//! In:  a registry, a service that answers its health check, and a fault. Out: a row each: the time from the fault's end
//! until the catalogue is right, whether the check was touched, and every status that anybody could read of it.
//!
//! The keeper speaks through a proxy, which can refuse; the one who looks does not. The service is healthy all the time, so
//! a critical that is seen after its first pass is one that it did not earn.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use anyhow::{Context as _, bail};
use portolan::{Address, Check, Discovery, Registration, RegistrationHandle, RegistrationState};
use portolan_server::faults::{Faults, Plan, Proxy};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    Setting,
    node::{Node, exchange},
    stage::{at, back},
    table::{Table, time},
};

mod crowd;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often the catalogue is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// What a wiped agent has from its return until everything is right: DESIGN.md, law 4.
const WIPED: Duration = Duration::from_secs(2);
/// One repair interval: a sweep, jittered, and a rest.
const REPAIR: Duration = Duration::from_secs(10);

/// A fault, and what is to hold after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Wiped,
    Kept,
    Replaced,
    Deregistered,
    CheckRemoved,
    Changed,
    Stopped,
    CutOff,
    Denied,
    Limited,
    Failing,
    Predecessor,
}

const ALL: [What; 12] = [
    What::Wiped,
    What::Kept,
    What::Replaced,
    What::Deregistered,
    What::CheckRemoved,
    What::Changed,
    What::Stopped,
    What::CutOff,
    What::Denied,
    What::Limited,
    What::Failing,
    What::Predecessor,
];

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Wiped => "kill -9, started again without its data",
            Self::Kept => "kill -9, started again with its data",
            Self::Replaced => "kill -9, replaced by a node of another name",
            Self::Deregistered => "deregistered by somebody",
            Self::CheckRemoved => "its check deregistered by somebody",
            Self::Changed => "its tags and the kind of its check changed by somebody",
            Self::Stopped => "SIGSTOP, then SIGCONT",
            Self::CutOff => "connections reset and refused",
            Self::Denied => "deregistered while each registration gets 403",
            Self::Limited => "deregistered while each registration gets 429",
            Self::Failing => "deregistered while each registration gets 500",
            Self::Predecessor => "its process killed, and started again at the same address and port",
        }
    }

    /// Whether the agent held it all the time, so that its check must not have been touched.
    fn untouched(self) -> bool {
        matches!(self, Self::Kept | Self::Stopped | Self::CutOff)
    }

    /// Whether the check was touched, where that can be told: a catalogue that lost its data has a new one.
    fn touched(self, touched: bool) -> &'static str {
        match self {
            Self::Wiped | Self::Replaced | Self::Predecessor => "new",
            _ if touched => "yes",
            _ => "no",
        }
    }

    fn limit(self) -> Duration {
        match self {
            Self::Wiped => WIPED,
            // What was refused is tried at a slower pace: 30 s at most.
            Self::Denied => Duration::from_secs(35),
            Self::Limited | Self::Failing => Duration::from_secs(40),
            _ => REPAIR,
        }
    }
}

/// The trial.
pub(crate) async fn trial(setting: &Setting) -> anyhow::Result<Table> {
    let mut table =
        Table::new(&["registry", "what happens", "lasts", "right after", "check touched", "statuses seen"]);
    for what in ALL {
        let mut node = Node::kept(setting.command()?)?;
        node.start().await?;
        let played = row("embedded", what, node, setting, &mut table).await;
        carried_out(played, &mut table);
    }
    for what in ALL {
        let node = Node::consul(setting.consul()?, json!({})).await?;
        let played = row("Consul", what, node, setting, &mut table).await;
        carried_out(played, &mut table);
    }
    crowd::wiped("embedded", Node::embedded().await?, &mut table).await?;
    crowd::wiped("Consul", Node::consul(setting.consul()?, json!({})).await?, &mut table).await?;
    Ok(table)
}

/// One that could not be carried out does not keep the others from it.
fn carried_out(played: anyhow::Result<()>, table: &mut Table) {
    if let Err(error) = played {
        table.must(false, format!("{error:#}"));
    }
}

/// What anybody could read of the service's check so far.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// By the id of the check.
    statuses: BTreeMap<String, Vec<String>>,
    indexes: BTreeSet<u64>,
}

impl Seen {
    fn of(&self, check: &str) -> &[String] {
        self.statuses.get(check).map_or(&[], Vec::as_slice)
    }
}

/// One play.
struct Play {
    node: Node,
    proxy: Proxy,
    discovery: Discovery,
    handle: Option<RegistrationHandle>,
    /// Where the service listens.
    port: u16,
    seen: watch::Receiver<Seen>,
    _tasks: JoinSet<()>,
}

async fn row(
    registry: &str,
    what: What,
    node: Node,
    setting: &Setting,
    table: &mut Table,
) -> anyhow::Result<()> {
    let name = what.name();
    println!("   {registry}: {name}");
    let mut play = Play::begin(node).await?;
    let before = play.seen.borrow().clone();
    let begun = Instant::now();
    let over = play.fault(what, setting.time(20, 8)).await.with_context(|| format!("{registry}: {name}"))?;
    let right = play.right(over).await.with_context(|| format!("{registry}: {name}"))?;
    let lasted = over.duration_since(begun);
    // What comes late is seen too.
    sleep(Duration::from_secs(6)).await;
    let seen = play.seen.borrow().clone();
    let touched = seen.indexes.len() > before.indexes.len();
    // Of the registration that is there now. A new one is critical until its check has run once.
    let check = format!("service:{}", play.id()?);
    let since: Vec<&str> =
        seen.of(&check).iter().map(String::as_str).skip_while(|status| *status != "passing").collect();
    table.row([
        registry.to_owned(),
        name.to_owned(),
        time(lasted),
        time(right),
        what.touched(touched).to_owned(),
        since.join(", "),
    ]);
    table.must(right <= what.limit(), format!("{registry}: {name}: right after {right:?}"));
    let earned = since.iter().all(|status| *status != "critical");
    table.must(earned, format!("{registry}: {name}: critical without a reason: {since:?}"));
    table.must(!(what.untouched() && touched), format!("{registry}: {name}: its check was touched"));
    play.end().await
}

impl Play {
    async fn begin(node: Node) -> anyhow::Result<Self> {
        let mut tasks = JoinSet::new();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        tasks.spawn(healthy(listener));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let proxy = Proxy::start(any, node.http(), Faults::default()).await?;
        let (tell, seen) = watch::channel(Seen::default());
        tasks.spawn(look(node.http(), tell));
        let discovery = Discovery::new(at(proxy.addr())?);
        let mut play = Self { node, proxy, discovery, handle: None, port, seen, _tasks: tasks };
        play.handle = Some(play.register().await?);
        let begun = Instant::now();
        let check = format!("service:{}", play.id()?);
        while play.seen.borrow().of(&check).last().is_none_or(|status| status != "passing") {
            if begun.elapsed() > PATIENCE {
                bail!("its check did not pass: {:?}", play.seen.borrow().clone());
            }
            sleep(LOOK).await;
        }
        // A sweep has seen it pass, and a call waits at the agent.
        sleep(Duration::from_secs(7)).await;
        Ok(play)
    }

    async fn register(&self) -> anyhow::Result<RegistrationHandle> {
        let check = Check::http("/health").every(Duration::from_secs(1));
        let registration = Registration::new("web", self.port)
            .address(Address::Given("127.0.0.1".to_owned()))
            .tag("blue")
            .check(check);
        Ok(self.discovery.register(registration).await?)
    }

    fn id(&self) -> anyhow::Result<String> {
        Ok(self.handle.as_ref().context("it is registered")?.id().to_string())
    }

    /// Does what is to happen, and gives the moment at which nothing stands in the way any more.
    async fn fault(&mut self, what: What, trouble: Duration) -> anyhow::Result<Instant> {
        let id = self.id()?;
        let put = async |path: String, body: String| exchange(self.node.http(), "PUT", &path, &body).await;
        match what {
            What::Wiped | What::Kept | What::Replaced => return self.restarted(what, trouble).await,
            What::Deregistered => {
                drop(put(format!("/v1/agent/service/deregister/{id}"), String::new()).await?)
            }
            What::CheckRemoved => {
                drop(put(format!("/v1/agent/check/deregister/service:{id}"), String::new()).await?);
            }
            What::Changed => {
                let check = json!({ "CheckID": format!("service:{id}"), "TTL": "90s", "Status": "passing" });
                let body = json!({ "ID": id, "Name": "web", "Port": self.port, "Address": "127.0.0.1",
                    "Tags": ["theirs"], "Check": check });
                drop(put("/v1/agent/service/register".to_owned(), body.to_string()).await?);
            }
            What::Stopped => {
                self.node.signal(Signal::STOP)?;
                sleep(trouble).await;
                self.node.signal(Signal::CONT)?;
                return back(&self.node, "web").await;
            }
            What::CutOff => {
                self.proxy.cut();
                sleep(trouble).await;
                self.proxy.resume();
            }
            What::Denied | What::Limited | What::Failing => {
                let status = match what {
                    What::Denied => 403,
                    What::Limited => 429,
                    _ => 500,
                };
                self.proxy.faults().set(Plan::parse(&format!("PUT /v1/agent/service/register {status} 1"))?);
                put(format!("/v1/agent/service/deregister/{id}"), String::new()).await?;
                sleep(trouble).await;
                self.proxy.faults().clear();
            }
            What::Predecessor => {
                // Its tasks end without a word, as with kill -9.
                let dead = std::mem::replace(&mut self.discovery, Discovery::new(at(self.proxy.addr())?));
                self.proxy.cut();
                drop(self.handle.take());
                drop(dead.close(Duration::ZERO).await);
                self.proxy.resume();
                self.handle = Some(self.register().await?);
            }
        }
        Ok(Instant::now())
    }

    async fn restarted(&mut self, what: What, trouble: Duration) -> anyhow::Result<Instant> {
        self.node.kill()?;
        sleep(trouble).await;
        if what != What::Kept {
            self.node.wipe()?;
        }
        if what == What::Replaced {
            self.node.rename("replacement")?;
        }
        self.node.launch()?;
        back(&self.node, "web").await
    }

    /// How long after `over` the catalogue shows what is registered, and nothing else, and the handle says so.
    async fn right(&self, over: Instant) -> anyhow::Result<Duration> {
        let handle = self.handle.as_ref().context("it is registered")?;
        loop {
            let answer = self.node.get("/v1/health/service/web").await;
            let shown = answer.ok().map(|body| serde_json::from_str::<Value>(&body)).transpose()?;
            let same = shown.as_ref().and_then(Value::as_array).is_some_and(|all| {
                let passing = |one: &Value| {
                    let checks = one.pointer("/Checks").and_then(Value::as_array);
                    checks.is_some_and(|checks| checks.iter().all(|check| check["Status"] == "passing"))
                };
                matches!(&all[..], [one] if one["Service"]["ID"] == handle.id().as_str()
                    && one["Service"]["Tags"] == json!(["blue"]) && one["Service"]["Port"] == self.port
                    && passing(one))
            });
            if same && handle.state() == RegistrationState::Registered {
                return Ok(over.elapsed());
            }
            if over.elapsed() > PATIENCE {
                bail!("not right within {PATIENCE:?}: {:?}; {shown:?}", handle.state());
            }
            sleep(LOOK).await;
        }
    }

    async fn end(self) -> anyhow::Result<()> {
        drop(self.handle);
        Ok(self.discovery.close(Duration::from_secs(10)).await?)
    }
}

/// Answers every request well.
pub(crate) async fn healthy(listener: TcpListener) {
    let mut open = JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        open.spawn(async move {
            let mut request = [0; 2048];
            if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                // One that has gone away needs no answer.
                drop(stream.write_all(answer).await);
            }
        });
        while open.try_join_next().is_some() {}
    }
}

/// Looks at the checks of the service for as long as it lives, and tells each other status and index.
async fn look(addr: SocketAddr, tell: watch::Sender<Seen>) {
    loop {
        let answer = exchange(addr, "GET", "/v1/health/checks/web", "").await;
        let checks = answer.ok().and_then(|body| serde_json::from_str::<Value>(&body).ok());
        for check in checks.iter().flat_map(|checks| checks.as_array().into_iter().flatten()) {
            let text = |field: &str| check[field].as_str().map(str::to_owned);
            let (Some(id), Some(status), Some(index)) =
                (text("CheckID"), text("Status"), check["ModifyIndex"].as_u64())
            else {
                continue;
            };
            tell.send_if_modified(|seen| {
                let statuses = seen.statuses.entry(id).or_default();
                let known = statuses.last() == Some(&status);
                if !known {
                    statuses.push(status);
                }
                seen.indexes.insert(index) || !known
            });
        }
        sleep(LOOK).await;
    }
}
