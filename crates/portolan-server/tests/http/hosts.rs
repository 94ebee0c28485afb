//! Foreign names and pages over sockets; the table of names is `config/hosts/tests.rs`.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portolan_server::ServerConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use crate::client::{PATIENCE, Registry, Reply, Try, parse, start_with};

async fn ask(registry: &Registry, head: &str) -> Try<Reply> {
    let mut stream = TcpStream::connect(registry.addr).await?;
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await??;
    parse(&answer)
}

fn allowing(name: &str) -> ServerConfig {
    ServerConfig::default().allowed_hosts(vec![name.to_owned()])
}

#[tokio::test]
async fn a_rebound_name_and_a_foreign_page_are_refused_and_told_what_allows_them() -> Try {
    let registry = start_with(allowing("registry.example")).await?;
    let body = r#"{"name":"evil"}"#;
    let length = body.len();
    let post = format!("PUT /v1/agent/service/register HTTP/1.1\r\nContent-Length: {length}\r\n");
    for (head, expected) in [
        ("GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\n", 200),
        ("GET /v1/status/leader HTTP/1.1\r\nHost: registry.example\r\n", 200),
        ("GET /v1/status/leader HTTP/1.1\r\nHost: evil.example\r\n", 403),
        ("GET http://evil.example/v1/status/leader HTTP/1.1\r\nHost: localhost\r\n", 403),
        ("GET /v1/nothing HTTP/1.1\r\nHost: evil.example\r\n", 403),
        ("GET /v1/status/leader HTTP/1.1\r\n", 400),
        (
            "OPTIONS /v1/agent/service/register HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n",
            403,
        ),
        (
            "OPTIONS /v1/agent/service/register HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n",
            200,
        ),
    ] {
        let reply = ask(&registry, head).await?;
        assert_eq!(reply.status, expected, "{head}: {}", reply.body);
        if expected == 403 {
            assert!(
                reply.body.contains("evil.example") && reply.body.contains("--allow-host"),
                "{}",
                reply.body
            );
        }
    }
    let mut stream = TcpStream::connect(registry.addr).await?;
    let request = format!("{post}Host: {}\r\nOrigin: null\r\nConnection: close\r\n\r\n{body}", registry.addr);
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await??;
    assert_eq!(parse(&answer)?.status, 403);
    assert_eq!(registry.get("/v1/agent/services").await?.body, "{}", "nothing was done");
    Ok(())
}

#[tokio::test]
async fn over_http2_the_authority_is_judged_too() -> Try {
    let registry = start_with(ServerConfig::default()).await?;
    let stream = TcpStream::connect(registry.addr).await?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // It ends with the test.
        drop(connection.await);
    });
    for (authority, expected) in [("localhost:8500", 200), ("evil.example", 403), ("n1", 200)] {
        let uri = format!("http://{authority}/v1/status/leader");
        let response = sender.send_request(http::Request::get(uri).body(Empty::<Bytes>::new())?).await?;
        assert_eq!(response.status(), expected, "{authority}");
        let body = response.into_body().collect().await?.to_bytes();
        assert_eq!(expected == 403, String::from_utf8_lossy(&body).contains("allowed_hosts"), "{body:?}");
    }
    Ok(())
}
