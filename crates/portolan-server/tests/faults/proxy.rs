//! The proxy: unchanged but for its faults; cut, stalled, resumed.

use std::{net::SocketAddr, time::Duration};

use portolan_server::faults::{Faults, Plan, Proxy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use crate::client::{PATIENCE, Registry, Try, send, start};

const MOMENT: Duration = Duration::from_millis(200);

async fn rig() -> Try<(Registry, Proxy)> {
    let registry = start().await?;
    registry.write("/v1/agent/service/register", r#"{"id":"a","name":"web","port":1}"#).await?;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let proxy = Proxy::start(any, registry.addr, Faults::default()).await?;
    Ok((registry, proxy))
}

/// The answer as it came, without the line that tells the time.
async fn raw(addr: SocketAddr, request: &str) -> Try<String> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut got = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut got)).await??;
    Ok(got.split_inclusive('\n').filter(|line| !line.starts_with("Date:")).collect())
}

#[tokio::test]
async fn without_faults_every_byte_is_as_it_was() -> Try {
    let (registry, proxy) = rig().await?;
    for request in [
        "GET /v1/health/service/web?pretty HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "GET /v1/health/service/web?index=1&wait=1s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "PUT /v1/agent/service/register HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 3\r\n\r\n{x}",
    ] {
        assert_eq!(raw(proxy.addr(), request).await?, raw(registry.addr, request).await?, "{request}");
    }
    assert_eq!((proxy.counts().requests, proxy.counts().connections), (4, 4));
    Ok(())
}

#[tokio::test]
async fn a_blocking_query_waits_through_it_and_sees_the_change() -> Try {
    let (registry, proxy) = rig().await?;
    let index = send(proxy.addr(), "GET", "/v1/health/service/web", "").await?.index();
    let mut waiting = JoinSet::new();
    let (addr, path) = (proxy.addr(), format!("/v1/health/service/web?index={index}&wait=10m"));
    waiting.spawn(async move {
        send(addr, "GET", &path, "").await.map(|reply| reply.body).map_err(|error| error.to_string())
    });
    proxy.counted(|counts| counts.requests == 2, PATIENCE).await?;
    assert!(timeout(MOMENT, waiting.join_next()).await.is_err());
    registry.write("/v1/agent/service/register", r#"{"id":"b","name":"web","port":2}"#).await?;
    let body = timeout(PATIENCE, waiting.join_next()).await?.ok_or("nobody waited")???;
    assert!(body.contains("\"b\""), "{body}");
    Ok(())
}

#[tokio::test]
async fn a_fault_hits_through_it_and_never_reaches_the_registry() -> Try {
    let (registry, proxy) = rig().await?;
    proxy.faults().set(Plan::parse("PUT /v1/agent/service/* 500 1")?);
    let body = r#"{"id":"c","name":"web","port":3}"#;
    let refused = send(proxy.addr(), "PUT", "/v1/agent/service/register", body).await?;
    assert_eq!((refused.status, refused.body.as_str()), (500, "No cluster leader"));
    assert!(!registry.get("/v1/agent/services").await?.body.contains("\"c\""));
    proxy.faults().clear();
    let taken = send(proxy.addr(), "PUT", "/v1/agent/service/register", body).await?;
    assert_eq!(taken.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_cut_resets_what_is_there_and_what_comes_until_it_is_resumed() -> Try {
    let (_registry, proxy) = rig().await?;
    let mut idle = TcpStream::connect(proxy.addr()).await?;
    proxy.counted(|counts| counts.connections == 1, PATIENCE).await?;
    proxy.cut();
    let ended = timeout(PATIENCE, idle.read(&mut [0; 8])).await?;
    assert_eq!(ended.err().map(|error| error.kind()), Some(std::io::ErrorKind::ConnectionReset));
    for _ in 0..3 {
        assert!(send(proxy.addr(), "GET", "/v1/status/leader", "").await.is_err());
    }
    proxy.counted(|counts| counts.refused == 3, PATIENCE).await?;
    proxy.resume();
    assert_eq!(send(proxy.addr(), "GET", "/v1/status/leader", "").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_pause_lets_nothing_pass_and_a_resume_loses_nothing() -> Try {
    let (_registry, proxy) = rig().await?;
    proxy.pause();
    let mut asking = JoinSet::new();
    let addr = proxy.addr();
    asking.spawn(async move {
        send(addr, "GET", "/v1/status/leader", "").await.map(|reply| reply.status).map_err(|e| e.to_string())
    });
    assert!(timeout(MOMENT, asking.join_next()).await.is_err());
    proxy.resume();
    assert_eq!(timeout(PATIENCE, asking.join_next()).await?.ok_or("nobody asked")???, 200);
    Ok(())
}

#[tokio::test]
async fn when_the_registry_goes_its_clients_connections_go_too() -> Try {
    let (registry, proxy) = rig().await?;
    let mut idle = TcpStream::connect(proxy.addr()).await?;
    idle.write_all(b"GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    let mut got = [0; 4096];
    assert!(timeout(PATIENCE, idle.read(&mut got)).await?? > 0);
    registry.stop().await?;
    // The end of the stream, or a reset: either way not silence.
    while let Ok(1..) = timeout(PATIENCE, idle.read(&mut got)).await? {}
    assert!(send(proxy.addr(), "GET", "/v1/status/leader", "").await.is_err());
    Ok(())
}

#[tokio::test]
async fn http2_passes_as_bytes() -> Try {
    use http_body_util::{BodyExt, Empty};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let (_registry, proxy) = rig().await?;
    let stream = TcpStream::connect(proxy.addr()).await?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = http::Request::get(format!("http://{}/v1/health/service/web", proxy.addr()))
        .body(Empty::<bytes::Bytes>::new())?;
    let answer = timeout(PATIENCE, sender.send_request(request)).await??;
    let body = answer.into_body().collect().await?.to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("\"web\""));
    Ok(())
}
