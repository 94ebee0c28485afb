//! Each limit, with the answer that Consul gives, and what others get meanwhile.
//!
//! What takes time is judged in paused time by `server/wire/tests.rs`.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portolan_server::{Limits, ServerConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::timeout,
};

use crate::client::{PATIENCE, Registry, Reply, Try, parse, send, start, start_with};

const REGISTER: &str = "/v1/agent/service/register";

async fn limited(limits: Limits) -> Try<Registry> {
    start_with(ServerConfig::default().limits(limits)).await
}

/// Writes all of `bytes`, or as much as is taken, and reads what comes back.
async fn talk(registry: &Registry, bytes: &[u8]) -> Try<Reply> {
    let mut stream = TcpStream::connect(registry.addr).await?;
    let all = async {
        // One that is refused early may not take the rest.
        drop(stream.write_all(bytes).await);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = timeout(PATIENCE, all).await??;
    parse(&String::from_utf8(answer)?)
}

fn head(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n")
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_whether_its_length_is_told_or_not() -> Try {
    let registry = limited(Limits::default().max_body(1024)).await?;
    let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(2000));
    let reply = registry.put(REGISTER, &body).await?;
    let says = format!("Request body({} bytes) too large, max size: 1024 bytes. See max_body.", body.len());
    assert_eq!((reply.status, reply.body), (413, says));
    let chunked =
        format!("{}7d0\r\n{}", head("PUT", REGISTER, "Transfer-Encoding: chunked\r\n"), "x".repeat(2000));
    let reply = talk(&registry, chunked.as_bytes()).await?;
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (413, "Request body too large, max size: 1024 bytes. See max_body.")
    );
    let fits = format!(r#"{{"name":"a"}}{}"#, " ".repeat(1024 - 12));
    assert_eq!(registry.put(REGISTER, &fits).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn who_sends_a_gigabyte_reads_413_while_it_still_sends() -> Try {
    let registry = start().await?;
    let mut stream = TcpStream::connect(registry.addr).await?;
    stream.write_all(head("PUT", REGISTER, "Content-Length: 1073741824\r\n").as_bytes()).await?;
    let (mut reading, mut writing) = stream.split();
    let piece = vec![b' '; 64 << 10];
    let mut answer = Vec::new();
    let told = async {
        tokio::select! {
            read = reading.read_to_end(&mut answer) => read.map(|_| ()),
            failed = async { loop { if let Err(failed) = writing.write_all(&piece).await { break failed } } } => {
                // What was answered before the close is still there.
                let read = reading.read_to_end(&mut answer).await;
                if answer.is_empty() { Err(failed) } else { drop(read); Ok(()) }
            }
        }
    };
    timeout(PATIENCE, told).await??;
    assert_eq!(parse(&String::from_utf8(answer)?)?.status, 413);
    Ok(())
}

#[tokio::test]
async fn a_head_with_too_many_or_too_large_headers_is_431() -> Try {
    let registry = limited(Limits::default().max_headers(10).max_head(8 << 10)).await?;
    let many: String = (0..11).map(|n| format!("X-{n}: y\r\n")).collect();
    let crowd: String = (0..100_000).map(|n| format!("X-{n}: y\r\n")).collect();
    let large = format!("X: {}\r\n", "y".repeat(9 << 10));
    for (what, more) in [("11", many), ("100,000", crowd), ("9 KiB", large)] {
        let reply = talk(&registry, head("GET", "/v1/status/leader", &more).as_bytes()).await?;
        assert_eq!(reply.status, 431, "{what}");
    }
    let few: String = (0..8).map(|n| format!("X-{n}: y\r\n")).collect();
    assert_eq!(talk(&registry, head("GET", "/v1/status/leader", &few).as_bytes()).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn over_http2_a_head_has_the_same_count_and_a_size_of_its_own() -> Try {
    let registry = start().await?;
    let stream = TcpStream::connect(registry.addr).await?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // It ends with the test.
        drop(connection.await);
    });
    for (count, length, expected) in [(50, 10, 200), (101, 1, 431), (16, 1100, 431), (50, 10, 200)] {
        let mut request = http::Request::get("http://localhost/v1/status/leader");
        for number in 0..count {
            request = request.header(format!("x-{number}"), "y".repeat(length));
        }
        let response = timeout(PATIENCE, sender.send_request(request.body(Empty::<Bytes>::new())?)).await??;
        assert_eq!(response.status(), expected, "{count} headers of {length} bytes");
    }
    Ok(())
}

#[tokio::test]
async fn over_http2_who_answers_pings_and_takes_no_answer_is_cut() -> Try {
    let limits =
        Limits::default().write_timeout(Duration::from_secs(1)).header_timeout(Duration::from_secs(1));
    let registry = limited(limits).await?;
    registry.write("/v1/kv/large", &"x".repeat(400 << 10)).await?;
    for reads in [true, false] {
        let stream = TcpStream::connect(registry.addr).await?;
        let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(65_535);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        // The room that the client gives is less than the answer, unless it reads.
        let request = http::Request::get("http://localhost/v1/kv/large?raw").body(Empty::<Bytes>::new())?;
        let response = timeout(PATIENCE, sender.send_request(request)).await??;
        assert_eq!(response.status(), 200);
        if reads {
            let body = timeout(PATIENCE, response.into_body().collect()).await??.to_bytes();
            assert_eq!(body.len(), 400 << 10);
        } else {
            let ended = timeout(PATIENCE, tasks.join_next()).await?;
            assert!(ended.is_some(), "the registry ends the connection");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_name_that_is_too_long_is_400_wherever_it_stands() -> Try {
    let registry = limited(Limits::default().max_name(64)).await?;
    let (fits, long) = ("n".repeat(64), "n".repeat(65));
    registry.write(REGISTER, &format!(r#"{{"name":"{fits}"}}"#)).await?;
    assert_eq!(registry.get(&format!("/v1/health/service/{fits}")).await?.status, 200);
    for (path, body) in [
        (REGISTER, format!(r#"{{"name":"{long}"}}"#)),
        (REGISTER, format!(r#"{{"name":"a","id":"{long}"}}"#)),
        (REGISTER, format!(r#"{{"name":"a","check":{{"checkid":"{long}","ttl":"9s"}}}}"#)),
        ("/v1/agent/check/register", format!(r#"{{"name":"{long}","ttl":"9s"}}"#)),
        ("/v1/catalog/register", format!(r#"{{"node":"{long}","address":"192.0.2.1"}}"#)),
        (&*format!("/v1/agent/service/deregister/{long}"), String::new()),
    ] {
        let reply = registry.put(path, &body).await?;
        assert_eq!(reply.status, 400, "{path} {body}: {}", reply.body);
        assert!(reply.body.contains("65 bytes, more than max_name allows (64)"), "{}", reply.body);
    }
    assert_eq!(registry.get(&format!("/v1/catalog/service/{long}")).await?.status, 400);
    Ok(())
}

#[tokio::test]
async fn bodies_that_are_held_up_leave_no_room_for_more_than_is_allowed() -> Try {
    let registry = limited(Limits::default().max_body(2048).max_bodies(2048)).await?;
    let mut held = TcpStream::connect(registry.addr).await?;
    let started = format!("{}{}", head("PUT", REGISTER, "Content-Length: 2048\r\n"), " ".repeat(1500));
    held.write_all(started.as_bytes()).await?;
    let body = r#"{"name":"a"}"#;
    // Until its bytes have been read, there is room.
    let refused = async {
        loop {
            let reply = registry.put(REGISTER, body).await?;
            if reply.status != 200 {
                return Ok::<_, Box<dyn std::error::Error>>(reply);
            }
        }
    };
    let reply = timeout(PATIENCE, refused).await??;
    assert_eq!(reply.status, 429);
    assert!(reply.body.contains("max_bodies"), "{}", reply.body);
    drop(held);
    let room = async {
        while registry.put(REGISTER, body).await?.status != 200 {}
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    timeout(PATIENCE, room).await?
}

#[tokio::test]
async fn a_body_that_never_ends_is_told_so_and_cut() -> Try {
    let registry = limited(Limits::default().body_timeout(Duration::from_secs(1))).await?;
    let reply = talk(&registry, head("PUT", REGISTER, "Content-Length: 100\r\n").as_bytes()).await?;
    assert_eq!((reply.status, reply.body.as_str()), (408, "Request body did not arrive within 1s"));
    Ok(())
}

/// A connection to the registry from an address of this machine.
#[cfg(target_os = "linux")]
async fn from(last: u8, registry: &Registry) -> Try<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, last], 0)))?;
    Ok(socket.connect(registry.addr).await?)
}

/// What one that is open gets for a request.
#[cfg(target_os = "linux")]
async fn over(stream: &mut TcpStream) -> Try<Reply> {
    stream.write_all(b"GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    let mut answer = vec![0; 4096];
    let read = timeout(PATIENCE, stream.read(&mut answer)).await??;
    answer.truncate(read);
    parse(&String::from_utf8(answer)?)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn one_address_has_so_many_connections_and_others_have_theirs() -> Try {
    let registry = limited(Limits::default().max_connections_per_address(Some(2))).await?;
    let mut held = [from(2, &registry).await?, from(2, &registry).await?];
    for stream in &mut held {
        assert_eq!(over(stream).await?.status, 200);
    }
    // It sends first, as clients do, and is told all the same.
    let reply = over(&mut from(2, &registry).await?).await?;
    assert_eq!((reply.status, reply.header("content-type")), (429, "text/plain"));
    assert_eq!(
        reply.body,
        "Your IP is issuing too many concurrent connections, please rate limit your calls\n"
    );
    assert_eq!(over(&mut from(3, &registry).await?).await?.status, 200);
    drop(held);
    let again = async {
        while over(&mut from(2, &registry).await?).await?.status != 200 {}
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    timeout(PATIENCE, again).await?
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_leaves_in_the_midst_of_a_preface_gives_the_place_back() -> Try {
    let hour = Duration::from_secs(3600);
    let limits = Limits::default().max_connections_per_address(Some(1)).header_timeout(hour);
    let registry = limited(limits.idle_timeout(hour)).await?;
    for begun in ["P", "PR"] {
        let mut stream = TcpStream::connect(registry.addr).await?;
        stream.write_all(begun.as_bytes()).await?;
        stream.shutdown().await?;
        let mut answer = Vec::new();
        // It is closed or reset, for what came was never read.
        drop(timeout(PATIENCE, stream.read_to_end(&mut answer)).await?);
        assert_eq!(answer, b"");
    }
    assert_eq!(over(&mut from(1, &registry).await?).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_thousand_idle_and_two_hundred_dripping_connections_keep_nobody_out() -> Try {
    // Each connection has two ends in this process.
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let most = rustix::process::Rlimit { current: files.maximum, maximum: files.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, most)?;
    let registry = start().await?;
    let mut idle = Vec::new();
    for number in 0..1000_u32 {
        idle.push(from(u8::try_from(10 + number / 200)?, &registry).await?);
    }
    let mut dripping = Vec::new();
    for _ in 0..200 {
        let mut stream = from(20, &registry).await?;
        stream.write_all(b"GET /v1/status/leader HTTP/1.1\r\nX: ").await?;
        dripping.push(stream);
    }
    let mut kept = TcpStream::connect(registry.addr).await?;
    for _ in 0..100 {
        for stream in &mut dripping {
            // One that was cut by now cannot drip.
            drop(stream.write_all(b"x").await);
        }
        assert_eq!(over(&mut kept).await?.status, 200);
        assert_eq!(send(registry.addr, "GET", "/v1/status/leader", "").await?.status, 200);
        registry.write(REGISTER, r#"{"name":"a"}"#).await?;
    }
    drop(idle);
    Ok(())
}
