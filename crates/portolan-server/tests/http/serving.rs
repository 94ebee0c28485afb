//! Binding, both versions of HTTP on one port, limits, and an end within a deadline.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portolan::{Registry as _, ServiceName, registry::ServiceQuery};
use portolan_server::{Limits, Server, ServerConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use crate::client::{PATIENCE, Try, parse, send, start, start_with};

#[tokio::test]
async fn a_port_in_use_is_named_with_the_flag_that_changes_it() -> Try {
    let registry = start().await?;
    let config = ServerConfig::default().http_addr(registry.addr);
    let error = Server::bind(config).await.err().ok_or("two registries on one port")?;
    let addr = registry.addr;
    let says =
        format!("http_addr: {addr} is in use; stop what listens there, or choose another with --http-addr");
    assert_eq!((error.to_string(), error.kind()), (says, portolan::Kind::Config));
    Ok(())
}

#[tokio::test]
async fn stopping_answers_those_who_wait_and_frees_the_port() -> Try {
    // Longer than a test waits: what is only cut at its end does not pass.
    let mut registry = start_with(ServerConfig::default().grace(PATIENCE * 3)).await?;
    let addr = registry.addr;
    // A connection that says nothing must not hold the end up, nor one that has said all.
    let _silent = TcpStream::connect(addr).await?;
    let mut idle = TcpStream::connect(addr).await?;
    idle.write_all(b"GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    idle.read_u8().await?;
    let mut waiting = JoinSet::new();
    waiting.spawn(async move {
        let path = "/v1/health/service/x?index=1&wait=10m";
        send(addr, "GET", path, "")
            .await
            .map(|reply| (reply.status, reply.body))
            .map_err(|error| error.to_string())
    });
    // It is under way once it is seen to wait.
    assert!(timeout(Duration::from_millis(100), waiting.join_next()).await.is_err());
    registry.tell_to_stop();
    let answer = timeout(PATIENCE, waiting.join_next()).await?.ok_or("nobody waited")???;
    assert_eq!(answer, (200, "[]".to_owned()));
    registry.stop().await?;
    let again = Server::bind(ServerConfig::default().http_addr(addr)).await?;
    assert_eq!(again.http_addr(), addr);
    Ok(())
}

#[tokio::test]
async fn the_program_that_carries_it_sees_the_same_registry() -> Try {
    let registry = start().await?;
    registry.write("/v1/agent/service/register", r#"{"name":"web","port":80}"#).await?;
    let query = ServiceQuery::new(ServiceName::new("web")?);
    let answer = registry.embedded.service(&query).await?;
    assert_eq!(
        (answer.value.len(), answer.meta.index),
        (1, registry.get("/v1/health/service/web").await?.index())
    );
    Ok(())
}

#[tokio::test]
async fn one_http1_connection_carries_several_requests() -> Try {
    let registry = start().await?;
    let mut stream = TcpStream::connect(registry.addr).await?;
    let ask = b"GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for _ in 0..3 {
        stream.write_all(ask).await?;
        let mut answer = vec![0; 4096];
        let read = timeout(PATIENCE, stream.read(&mut answer)).await??;
        answer.truncate(read);
        let reply = parse(&String::from_utf8(answer)?)?;
        assert_eq!((reply.status, reply.body.as_str()), (200, "\"127.0.0.1:8300\""));
    }
    Ok(())
}

#[tokio::test]
async fn http2_by_prior_knowledge_carries_many_waits_on_one_connection() -> Try {
    let registry = start().await?;
    let stream = TcpStream::connect(registry.addr).await?;
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // It ends with the test.
        drop(connection.await);
    });
    let mut waits = JoinSet::new();
    for n in 0..300 {
        let mut sender = sender.clone();
        let uri = format!("http://{}/v1/health/service/s?index=1&wait=10m&n={n}", registry.addr);
        waits.spawn(async move {
            let request =
                http::Request::get(uri).body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            let body = response.into_body().collect().await.map_err(|error| error.to_string())?;
            Ok::<_, String>(body.to_bytes().len())
        });
    }
    assert!(timeout(Duration::from_millis(200), waits.join_next()).await.is_err(), "all wait");
    registry.write("/v1/agent/service/register", r#"{"name":"s"}"#).await?;
    let mut answered = 0;
    while let Some(done) = timeout(PATIENCE, waits.join_next()).await? {
        assert!(done?? > 2);
        answered += 1;
    }
    assert_eq!(answered, 300);
    Ok(())
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() -> Try {
    let registry = start_with(ServerConfig::default().limits(Limits::default().max_connections(1))).await?;
    let mut first = TcpStream::connect(registry.addr).await?;
    first.write_all(b"GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    let mut byte = [0];
    timeout(PATIENCE, first.read_exact(&mut byte)).await??;
    let mut second = TcpStream::connect(registry.addr).await?;
    let mut told = String::new();
    timeout(PATIENCE, second.read_to_string(&mut told)).await??;
    let reply = parse(&told)?;
    assert_eq!(reply.status, 429);
    assert!(reply.body.starts_with("Your IP is issuing too many concurrent connections"), "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() -> Try {
    let second = Duration::from_secs(1);
    let limits = Limits::default().header_timeout(second).idle_timeout(second);
    let registry = start_with(ServerConfig::default().limits(limits)).await?;
    for start in ["GET /v1/status/leader HTTP/1.1\r\nX: ", "PR", ""] {
        let mut stream = TcpStream::connect(registry.addr).await?;
        stream.write_all(start.as_bytes()).await?;
        let mut rest = Vec::new();
        // It ends, by a close or by a reset; how is not promised.
        drop(timeout(PATIENCE, stream.read_to_end(&mut rest)).await?);
    }
    Ok(())
}
