//! What clients may do to the sockets.

use std::net::SocketAddr;

use portolan_server::{Dns, Server, ServerConfig};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    time::timeout,
};

use crate::{
    ask::{Packet, Told, Way, ask},
    site::{PATIENCE, Site, Try},
};

#[tokio::test]
async fn one_connection_takes_many_questions_and_several_at_once() -> Try {
    let site = Site::registry(Dns::default()).await?;
    let mut stream = TcpStream::connect(site.dns).await?;
    for id in 0..300 {
        let answer = Packet::new("n1.node.consul", 1, None).id(id).on(&mut stream).await?;
        assert_eq!(answer.get(..2), Some(&id.to_be_bytes()[..]));
    }
    let mut both = Vec::new();
    for id in [1, 2] {
        let packet = Packet::new("n1.node.consul", 1, None).id(id).0;
        both.extend(u16::try_from(packet.len())?.to_be_bytes());
        both.extend(packet);
    }
    stream.write_all(&both).await?;
    for id in [1_u16, 2] {
        let mut answer = vec![0; usize::from(timeout(PATIENCE, stream.read_u16()).await??)];
        stream.read_exact(&mut answer).await?;
        assert_eq!(answer.get(..2), Some(&id.to_be_bytes()[..]), "in their order");
    }
    Ok(())
}

/// Whether the other side closes the connection.
async fn closes(mut stream: TcpStream) -> Try<bool> {
    let mut rest = Vec::new();
    Ok(timeout(PATIENCE, stream.read_to_end(&mut rest)).await?.is_ok_and(|length| length == 0)
        || rest.is_empty())
}

#[tokio::test]
async fn a_question_that_is_too_long_none_or_slow_ends_the_connection() -> Try {
    let site = Site::registry(Dns::default()).await?;
    for begin in [&[0xff, 0xff][..], &[0, 3, 1, 2, 3], &[0, 50, 1, 2, 3], &[]] {
        let mut stream = TcpStream::connect(site.dns).await?;
        stream.write_all(begin).await?;
        assert!(closes(stream).await?, "{begin:?}");
    }
    Ok(())
}

#[tokio::test]
async fn there_are_no_more_connections_than_may_be() -> Try {
    let site = Site::registry(Dns::default().max_connections(3)).await?;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(site.dns).await?;
        Packet::new("n1.node.consul", 1, None).on(&mut stream).await?;
        held.push(stream);
    }
    assert!(closes(TcpStream::connect(site.dns).await?).await?);
    assert_eq!(
        ask(site.dns, "n1.node.consul", 1, Way::Udp).await?.code(),
        "NoError",
        "UDP has no connections"
    );
    drop(held.pop());
    let free = async {
        loop {
            let mut stream = TcpStream::connect(site.dns).await?;
            if Packet::new("n1.node.consul", 1, None).on(&mut stream).await.is_ok() {
                return Ok::<_, Box<dyn std::error::Error + Send + Sync>>(());
            }
        }
    };
    timeout(PATIENCE, free).await?
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_the_flag() -> Try {
    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let addr = taken.local_addr()?;
    let config = ServerConfig::default()
        .http_addr(SocketAddr::from(([127, 0, 0, 1], 0)))
        .dns(Some(Dns::default().addr(addr)));
    let error = Server::bind(config).await.err().ok_or("it was free")?;
    assert!(error.to_string().starts_with(&format!("dns_addr: {addr} is in use")), "{error}");
    assert!(error.to_string().contains("--dns-addr"), "{error}");
    Ok(())
}

#[tokio::test]
async fn questions_that_come_all_at_once_are_all_answered() -> Try {
    let site = Site::registry(Dns::default()).await?;
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    socket.connect(site.dns).await?;
    // More than are taken in one turn, and fewer than a socket holds. The registry shares this thread: all lie there when it runs.
    let ids = 0..150_u16;
    socket.writable().await?;
    for id in ids.clone() {
        socket.try_send(&Packet::new("n1.node.consul", 1, None).id(id).0)?;
    }
    let mut buffer = [0; 512];
    for id in ids {
        let length = timeout(PATIENCE, socket.recv(&mut buffer)).await??;
        let answer = buffer.get(..length).unwrap_or_default();
        assert_eq!(answer.get(..2), Some(&id.to_be_bytes()[..]), "in their order");
    }
    Ok(())
}

#[tokio::test]
async fn what_changes_over_http_is_answered_at_once() -> Try {
    let site = Site::registry(Dns::default()).await?;
    assert_eq!(ask(site.dns, "web.service.consul", 1, Way::Udp).await?.code(), "NXDomain");
    let check = json!({ "CheckID": "c", "Name": "c", "TTL": "60s", "Status": "passing" });
    let web = json!({ "Name": "web", "Address": "10.0.0.7", "Port": 80, "Check": check });
    site.put("/v1/agent/service/register", &web).await?;
    let told: Told = ask(site.dns, "web.service.consul", 1, Way::Udp).await?;
    assert_eq!(told.answers, ["web.service.consul. 0 A 10.0.0.7"]);
    site.put("/v1/agent/check/fail/c", &json!(null)).await?;
    assert_eq!(ask(site.dns, "web.service.consul", 1, Way::Tcp).await?.code(), "NXDomain");
    Ok(())
}
