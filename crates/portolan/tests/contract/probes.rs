//! What every registry that runs checks must do: it asks a service that the test makes, and shows what it found.
//!
//! In:  a registry that nobody else writes to. Out: the first thing that was not as it must be.
//!
//! Use beside `suite.rs`. Not part of it: a registry in the same process runs no checks.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use portolan::{
    Check, CheckId, Registry, ServiceId, ServiceName, Status,
    registry::{CheckDefinition, Definition, Report, ServiceQuery},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::suite::{Failure, Outcome};

/// More than an interval and a timeout, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// Each kind that a Consul 1.8.7 runs too, one after the other.
pub(crate) async fn checks_are_run(registry: Arc<dyn Registry>) -> Outcome {
    let registry = registry.as_ref();
    a_tcp_check_passes_while_somebody_listens(registry).await?;
    a_grpc_check_follows_the_health_service(registry).await?;
    an_alias_follows_its_service(registry).await?;
    an_alias_of_nobody_is_critical(registry).await?;
    the_first_run_decides_and_then_the_thresholds(registry).await
}

async fn listener() -> Result<(TcpListener, SocketAddr), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

fn defined(name: &str, check: Check) -> Result<Definition, Failure> {
    let (id, check_id) = (ServiceId::new(name)?, CheckId::new(format!("check:{name}"))?);
    let mut definition = Definition::new(id, ServiceName::new(name)?, "127.0.0.1", 8080);
    let check = check.every(Duration::from_secs(1)).deregister_after(None);
    definition.checks.push(CheckDefinition::new(check_id, format!("check of {name}"), check));
    Ok(definition)
}

/// Waits until the one instance of `name` has this status.
async fn shows(registry: &dyn Registry, name: &str, status: Status) -> Outcome {
    let query = ServiceQuery::new(ServiceName::new(name)?);
    let turns = async {
        let mut answer = registry.service(&query).await?;
        while !matches!(&*answer.value, [one] if one.status == status) {
            let wait = Duration::from_secs(5);
            answer = registry.service(&query.clone().block(answer.meta.index, wait)).await?;
        }
        Ok::<_, Failure>(())
    };
    match tokio::time::timeout(DEADLINE, turns).await {
        Ok(done) => done,
        Err(_late) => Err(format!("{name} is not {status} in time").into()),
    }
}

async fn a_tcp_check_passes_while_somebody_listens(registry: &dyn Registry) -> Outcome {
    let (listener, addr) = listener().await?;
    let definition = defined("listens", Check::tcp_at(addr.to_string()))?;
    registry.register(&definition).await?;
    shows(registry, "listens", Status::Passing).await?;
    drop(listener);
    shows(registry, "listens", Status::Critical).await?;
    Ok(registry.deregister(&definition.id).await?)
}

async fn a_grpc_check_follows_the_health_service(registry: &dyn Registry) -> Outcome {
    let (listener, addr) = listener().await?;
    let serving = Arc::new(AtomicUsize::new(1));
    let mut server = JoinSet::new();
    let said = Arc::clone(&serving);
    server.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let said = Arc::clone(&said);
            // The check hangs up as soon as it knows enough.
            open.spawn(async move { drop(grpc_connection(stream, &said).await) });
        }
    });
    let definition = defined("grpc", Check::grpc("pkg.S").at(addr.to_string()))?;
    registry.register(&definition).await?;
    shows(registry, "grpc", Status::Passing).await?;
    serving.store(2, Ordering::Relaxed);
    shows(registry, "grpc", Status::Critical).await?;
    Ok(registry.deregister(&definition.id).await?)
}

async fn grpc_connection(stream: TcpStream, serving: &AtomicUsize) -> Outcome {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(call) = connection.accept().await {
        let (call, mut respond) = call?;
        assert_eq!(call.uri().path(), "/grpc.health.v1.Health/Check");
        let head = http::Response::builder().header("content-type", "application/grpc").body(())?;
        let mut send = respond.send_response(head, false)?;
        let status = u8::try_from(serving.load(Ordering::Relaxed))?;
        send.send_data(Bytes::from(vec![0, 0, 0, 0, 2, 8, status]), false)?;
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        send.send_trailers(trailers)?;
    }
    Ok(())
}

async fn an_alias_follows_its_service(registry: &dyn Registry) -> Outcome {
    let followed = defined("followed", Check::ttl(Duration::from_secs(1800)))?;
    let follower = defined("follower", Check::alias_of(followed.id.clone()))?;
    registry.register(&followed).await?;
    registry.register(&follower).await?;
    shows(registry, "follower", Status::Critical).await?;
    for status in [Status::Passing, Status::Warning, Status::Critical, Status::Passing] {
        registry.report(&Report::new(CheckId::new("check:followed")?, status, "so")).await?;
        shows(registry, "follower", status).await?;
    }
    registry.deregister(&follower.id).await?;
    Ok(registry.deregister(&followed.id).await?)
}

async fn an_alias_of_nobody_is_critical(registry: &dyn Registry) -> Outcome {
    let check = Check::alias_of(ServiceId::new("nobody")?).starting(Status::Passing);
    let definition = defined("lonely", check)?;
    registry.register(&definition).await?;
    shows(registry, "lonely", Status::Critical).await?;
    Ok(registry.deregister(&definition.id).await?)
}

/// With two successes and two failures asked for, a service that answers well, ill, ill, well, well, …
async fn the_first_run_decides_and_then_the_thresholds(registry: &dyn Registry) -> Outcome {
    let (listener, addr) = listener().await?;
    let asked = Arc::new(AtomicUsize::new(0));
    let mut server = JoinSet::new();
    let count = Arc::clone(&asked);
    server.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 2048];
            let run = count.fetch_add(1, Ordering::Relaxed) + 1;
            let status = if matches!(run, 2 | 3) { "500 Ill" } else { "200 OK" };
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            if stream.read(&mut request).await.is_ok() {
                drop(stream.write_all(answer.as_bytes()).await);
            }
        }
    });
    let check = Check::http(format!("http://{addr}/health")).thresholds(2, 0, 2);
    let definition = defined("counted", check)?;
    registry.register(&definition).await?;
    let mut seen = Vec::new();
    for status in [Status::Passing, Status::Critical, Status::Passing] {
        shows(registry, "counted", status).await?;
        seen.push(asked.load(Ordering::Relaxed));
    }
    registry.deregister(&definition.id).await?;
    let right = matches!(*seen, [first, second, third] if first < 3 && second >= 3 && third >= 5);
    if right { Ok(()) } else { Err(format!("passing, critical, passing after {seen:?} runs").into()) }
}
