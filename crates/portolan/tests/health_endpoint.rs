//! The health endpoint over real sockets, by each of its adapters, and as the check of a real Consul.
//!
//! A missing Consul fails the last of these tests.

#[path = "support/consul.rs"]
#[expect(dead_code, reason = "shared; each test binary uses its part")]
mod support;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use portolan::{
    Address, CheckScope, Config, Discovery, Finding, HealthConfig, HealthEndpoint, Kind, Probe, Registration,
    Registry, Status,
    registry::{CheckOutput, ServiceQuery, consul::Consul},
};
use support::{Agent, Failure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
    time::timeout,
};
use tower_service::Service as _;

/// Longer than anything here takes by far: a deadline, not a measure.
const LONG: Duration = Duration::from_secs(30);
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A component whose health a test sets.
#[derive(Clone, Default)]
struct Component(Arc<AtomicU8>);

impl Component {
    fn set(&self, status: Status) {
        self.0.store(status as u8, Ordering::SeqCst);
    }

    fn probe(&self, name: &str) -> Probe {
        let component = self.clone();
        let find = move || {
            let now = component.0.load(Ordering::SeqCst);
            async move {
                match now {
                    0 => Finding::passing(),
                    1 => Finding::warning("replica lags").observed(12.5, "s"),
                    _ => Finding::critical("connection refused"),
                }
            }
        };
        Probe::new(name, find).cache(None)
    }
}

/// An endpoint with a required and an informational component.
fn endpoint() -> Result<(HealthEndpoint, Component, Component), Failure> {
    let (required, informational) = (Component::default(), Component::default());
    let config = HealthConfig::default()
        .service_id("web-1")
        .probe(required.probe("database"))
        .probe(informational.probe("mail").informational());
    Ok((HealthEndpoint::open(config)?, required, informational))
}

/// What was answered.
struct Answer {
    code: u16,
    /// In lower case.
    head: String,
    body: String,
}

/// One request on a connection of its own.
async fn ask(at: SocketAddr, method: &str, target: &str, more: &str) -> Result<Answer, Failure> {
    let mut stream = TcpStream::connect(at).await?;
    let request = format!("{method} {target} HTTP/1.1\r\nHost: x\r\n{more}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    timeout(LONG, stream.read_to_string(&mut answer)).await??;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer has no head")?;
    let code = head.split(' ').nth(1).ok_or("the answer has no code")?.parse()?;
    Ok(Answer { code, head: head.to_lowercase(), body: body.to_owned() })
}

async fn codes(at: SocketAddr) -> Result<[u16; 3], Failure> {
    let mut codes = [0; 3];
    for (code, path) in codes.iter_mut().zip(["/livez", "/readyz", "/health"]) {
        *code = ask(at, "GET", path, "").await?.code;
    }
    Ok(codes)
}

/// Every server of the endpoint has to answer like this.
async fn answers(
    at: SocketAddr,
    health: &HealthEndpoint,
    required: &Component,
    informational: &Component,
) -> Result<(), Failure> {
    use Status::{Critical, Passing, Warning};
    for (ready, one, other, expected) in [
        (true, Passing, Passing, [200, 200, 200]),
        (true, Warning, Passing, [200, 200, 429]),
        (true, Passing, Critical, [200, 200, 429]),
        (true, Critical, Passing, [200, 503, 503]),
        (false, Passing, Passing, [200, 503, 503]),
        (true, Passing, Passing, [200, 200, 200]),
    ] {
        health.set_ready(ready);
        required.set(one);
        informational.set(other);
        assert_eq!(codes(at).await?, expected, "ready {ready}, required {one}, informational {other}");
    }
    required.set(Warning);
    let text = ask(at, "GET", "/health", "Accept: text/plain, text/*, */*\r\n").await?;
    assert_eq!(text.body, "warn\ndatabase: warn, replica lags\n");
    assert!(text.head.contains("\r\ncontent-type: text/plain"), "{}", text.head);
    for (target, more) in
        [("/health", "Accept: application/health+json\r\n"), ("/health?format=json", "Accept: */*\r\n")]
    {
        let json = ask(at, "GET", target, more).await?;
        assert!(json.head.contains("\r\ncontent-type: application/health+json"), "{}", json.head);
        let json: serde_json::Value = serde_json::from_str(&json.body)?;
        let database = &json["checks"]["database"][0];
        assert_eq!((&json["status"], &json["serviceId"]), (&"warn".into(), &"web-1".into()));
        assert_eq!((&database["status"], &database["observedValue"]), (&"warn".into(), &12.5.into()));
        assert_eq!(json["checks"]["mail"][0]["status"], "pass");
    }
    let head = ask(at, "HEAD", "/health", "").await?;
    assert_eq!((head.code, &*head.body), (429, ""));
    assert_eq!(ask(at, "POST", "/health", "Content-Length: 0\r\n").await?.code, 405);
    assert_eq!(ask(at, "GET", "/health/x", "").await?.code, 404);
    Ok(())
}

#[tokio::test]
async fn a_port_of_its_own_answers_as_consul_reads_it() -> Result<(), Failure> {
    let (health, required, informational) = endpoint()?;
    let server = health.serve(LOOPBACK).await?;
    answers(server.addr(), &health, &required, &informational).await?;
    let at = server.addr();
    server.close(LONG).await?;
    assert!(TcpStream::connect(at).await.is_err(), "nobody listens any more");
    Ok(())
}

#[tokio::test]
async fn an_axum_router_answers_alike_beside_the_programs_own_routes() -> Result<(), Failure> {
    let (health, required, informational) = endpoint()?;
    let app = axum::Router::new()
        .route("/own", axum::routing::get(|| async { "own" }))
        .merge(health.router())
        .nest("/inner", health.router());
    let listener = TcpListener::bind(LOOPBACK).await?;
    let at = listener.local_addr()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, app).await });
    answers(at, &health, &required, &informational).await?;
    assert_eq!(ask(at, "GET", "/own", "").await?.body, "own");
    assert_eq!(ask(at, "GET", "/inner/livez", "").await?.code, 200);
    Ok(())
}

#[tokio::test]
async fn a_plain_hyper_server_answers_alike() -> Result<(), Failure> {
    let (health, required, informational) = endpoint()?;
    let listener = TcpListener::bind(LOOPBACK).await?;
    let at = listener.local_addr()?;
    let service = health.service();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service.clone());
            if connection.await.is_err() {
                return; // the test's own request says what is missing
            }
        }
    });
    answers(at, &health, &required, &informational).await
}

#[tokio::test]
async fn a_tower_service_answers_any_body() -> Result<(), Failure> {
    let (health, required, _) = endpoint()?;
    let mut service = health.service();
    required.set(Status::Critical);
    let request = http::Request::get("/health").body(())?;
    let answer = service.call(request).await?;
    assert_eq!(answer.status(), 503);
    let body = answer.into_body().collect().await?.to_bytes();
    assert_eq!(&*body, b"fail\ndatabase: fail, connection refused\n");
    Ok(())
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_at_the_start_that_names_it() -> Result<(), Failure> {
    let (health, ..) = endpoint()?;
    let first = health.serve(LOOPBACK).await?;
    let error = health.serve(first.addr()).await.err().ok_or("the port is taken")?;
    assert_eq!(error.kind(), Kind::Config);
    let expected = format!("health.addr: {} is in use", first.addr());
    assert!(error.to_string().starts_with(&expected), "{error}");
    let elsewhere: SocketAddr = "192.0.2.1:0".parse()?; // TEST-NET-1: no address of any machine
    let error = health.serve(elsewhere).await.err().ok_or("it is not ours")?;
    assert!(error.to_string().contains("cannot listen on 192.0.2.1:0"), "{error}");
    Ok(())
}

/// A probe that waits until it is let go, and says when it has begun.
fn gated() -> (Probe, Arc<Notify>, Arc<Notify>) {
    let (began, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let gates = (Arc::clone(&began), Arc::clone(&go));
    let probe = Probe::new("slow", move || {
        let (began, go) = gates.clone();
        async move {
            began.notify_one();
            go.notified().await;
        }
    });
    (probe.deadline(LONG).cache(Some(LONG)), began, go)
}

#[tokio::test]
async fn the_65th_connection_waits_until_another_ends() -> Result<(), Failure> {
    let (probe, began, go) = gated();
    let health = HealthEndpoint::open(HealthConfig::default().probe(probe))?;
    let server = health.serve(LOOPBACK).await?;
    let at = server.addr();
    let mut held = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(at).await?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
        held.push(stream);
    }
    timeout(LONG, began.notified()).await?;
    let last = ask(at, "GET", "/livez", "");
    tokio::pin!(last);
    // It asks nothing of any probe, and would be answered at once.
    assert!(timeout(Duration::from_millis(300), last.as_mut()).await.is_err());
    go.notify_one();
    assert_eq!(last.await?.code, 200);
    for mut stream in held {
        let mut answer = String::new();
        timeout(LONG, stream.read_to_string(&mut answer)).await??;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn closing_answers_what_is_under_way_and_dropping_ends_it() -> Result<(), Failure> {
    let (probe, began, go) = gated();
    let health = HealthEndpoint::open(HealthConfig::default().probe(probe))?;
    let server = health.serve(LOOPBACK).await?;
    let at = server.addr();
    let mut requests = JoinSet::new();
    requests.spawn(async move { ask(at, "GET", "/health", "").await });
    timeout(LONG, began.notified()).await?;
    let close = server.close(LONG);
    tokio::pin!(close);
    // Polled once, it has stopped taking requests; the one that is under way still waits for its probe.
    assert!(timeout(Duration::ZERO, close.as_mut()).await.is_err());
    go.notify_one();
    close.await?;
    assert_eq!(requests.join_next().await.ok_or("no request")???.code, 200);

    let server = health.serve(LOOPBACK).await?;
    let at = server.addr();
    drop(server);
    let gone = async { while TcpStream::connect(at).await.is_ok() {} };
    timeout(LONG, gone).await?;
    Ok(())
}

/// Waits until the catalogue shows the instance so, and gives what its check says.
async fn shown(consul: &Consul, wanted: Status) -> Result<String, Failure> {
    let mut query = ServiceQuery::new("web".parse()?).output(CheckOutput::Keep);
    let shown = async {
        loop {
            let answer = consul.service(&query).await?;
            if let Some(found) = answer.value.iter().find(|one| one.status == wanted) {
                let check = found.checks.iter().find(|check| check.scope == CheckScope::Service);
                return Ok::<_, portolan::Error>(check.map(|check| check.output.to_string()));
            }
            query = query.block(answer.meta.index, LONG);
        }
    };
    let late = |late| format!("{late}: the catalogue does not show it as {wanted}");
    Ok(timeout(LONG, shown).await.map_err(late)??.unwrap_or_default())
}

#[tokio::test]
async fn on_a_real_consul_the_check_follows_the_endpoint_from_passing_to_warning_to_critical_and_back()
-> Result<(), Failure> {
    let agent = Agent::start().await?;
    let consul = Arc::new(Consul::new(agent.plain()?));
    let registry: Arc<dyn Registry> = Arc::<Consul>::clone(&consul);
    let discovery = Discovery::with_registry(registry, Config::default());
    let (health, required, informational) = endpoint()?;
    let server = health.serve(LOOPBACK).await?;
    let check = health.check().timeout(Duration::from_secs(5)).every(Duration::from_secs(1));
    let web = Registration::new("web", server.addr().port())
        .address(Address::Given("127.0.0.1".into()))
        .check(check);
    let handle = discovery.register(web).await?;
    handle.wait_healthy(LONG).await?;

    required.set(Status::Warning);
    let said = shown(&consul, Status::Warning).await?;
    assert!(said.contains("429") && said.contains("database: warn, replica lags"), "{said}");
    required.set(Status::Critical);
    let said = shown(&consul, Status::Critical).await?;
    assert!(said.contains("503") && said.contains("database: fail, connection refused"), "{said}");
    required.set(Status::Passing);
    let said = shown(&consul, Status::Passing).await?;
    assert!(said.contains("200"), "{said}");
    // What is informational warns, and never more; what is not ready fails.
    informational.set(Status::Critical);
    shown(&consul, Status::Warning).await?;
    health.set_ready(false);
    let said = shown(&consul, Status::Critical).await?;
    assert!(said.contains("not ready"), "{said}");

    handle.close().await?;
    discovery.close(LONG).await?;
    server.close(LONG).await?;
    Ok(())
}
