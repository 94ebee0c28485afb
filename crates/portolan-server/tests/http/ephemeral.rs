//! A registry in a test: a line, many side by side, time moved by hand.

use std::time::Duration;

use portolan_server::{Server, ServerConfig};
use tokio::{net::TcpStream, time::advance};

use crate::client::{Try, send};

#[tokio::test]
async fn many_side_by_side_know_nothing_of_each_other_and_end_with_their_handles() -> Try {
    let mut registries = Vec::new();
    for number in 0..8 {
        let config = ServerConfig::default().node(format!("n{number}"));
        registries.push(Server::ephemeral().config(config).start().await?);
    }
    for (number, registry) in registries.iter().enumerate() {
        let body = format!(r#"{{"Name":"web","ID":"of-{number}"}}"#);
        assert_eq!(send(registry.http_addr(), "PUT", "/v1/agent/service/register", &body).await?.status, 200);
    }
    for (number, registry) in registries.iter().enumerate() {
        let found = send(registry.http_addr(), "GET", "/v1/catalog/service/web", "").await?.json();
        assert_eq!((&found[0]["ServiceID"], &found[1]), (&format!("of-{number}").into(), &().into()));
    }
    let addrs: Vec<_> = registries.iter().map(|registry| registry.http_addr()).collect();
    for registry in registries {
        registry.stop(Duration::from_secs(5)).await;
    }
    for addr in addrs {
        assert!(TcpStream::connect(addr).await.is_err(), "{addr} is still open");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn time_is_moved_by_hand() -> Try {
    let registry = Server::ephemeral().time_by_hand().start().await?;
    let addr = registry.http_addr();
    let body = r#"{"Name":"web","Check":{"TTL":"30s","Status":"passing"}}"#;
    assert_eq!(send(addr, "PUT", "/v1/agent/service/register", body).await?.status, 200);
    let status = async || -> Try<String> {
        let found = send(addr, "GET", "/v1/health/service/web", "").await?.json();
        Ok(found[0]["Checks"][1]["Status"].as_str().unwrap_or_default().to_owned())
    };
    advance(Duration::from_secs(29)).await;
    assert_eq!(status().await?, "passing", "answers take no time, and nothing else moves it");
    advance(Duration::from_secs(2)).await;
    assert_eq!(status().await?, "critical");
    registry.stop(Duration::from_secs(5)).await;
    Ok(())
}
