//! The check runners, over the whole way: definition, probe, status, wake-up.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};

use crate::client::{Reply, Try, start};

fn status_is(status: &str) -> impl Fn(&Reply) -> bool {
    move |reply| reply.json()[0]["Checks"][1]["Status"] == status
}

#[tokio::test]
async fn an_http_check_follows_its_service() -> Try {
    let registry = start().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let mut service = JoinSet::new();
    service.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
            if stream.read(&mut request).await.is_ok() && stream.write_all(answer).await.is_err() {
                return;
            }
        }
    });
    let body = format!(
        r#"{{"name":"web","port":{},"check":{{"http":"http://{addr}/health","interval":"1s","timeout":"10s"}}}}"#,
        addr.port()
    );
    registry.write("/v1/agent/service/register", &body).await?;
    let well = registry.until("/v1/health/service/web", status_is("passing")).await?;
    let output = format!("HTTP GET http://{addr}/health: 200 OK Output: fine");
    assert_eq!(well.json()[0]["Checks"][1]["Output"], output);

    service.shutdown().await;
    let sick = registry.until("/v1/health/service/web", status_is("critical")).await?;
    assert!(sick.index() > well.index());
    assert_eq!(registry.get("/v1/health/service/web?passing").await?.body, "[]");
    Ok(())
}

#[tokio::test]
async fn a_tcp_check_passes_while_somebody_listens() -> Try {
    let registry = start().await?;
    let target = registry.addr;
    let body = format!(r#"{{"name":"web","check":{{"tcp":"{target}","interval":"1s"}}}}"#);
    registry.write("/v1/agent/service/register", &body).await?;
    let well = registry.until("/v1/health/service/web", status_is("passing")).await?;
    assert_eq!(well.json()[0]["Checks"][1]["Output"], format!("TCP connect {target}: Success"));
    Ok(())
}

#[tokio::test]
async fn a_ttl_that_runs_out_wakes_who_watches() -> Try {
    let registry = start().await?;
    let body = r#"{"name":"web","check":{"ttl":"50ms","status":"passing"}}"#;
    registry.write("/v1/agent/service/register", body).await?;
    let sick = registry.until("/v1/health/service/web", status_is("critical")).await?;
    assert_eq!(sick.json()[0]["Checks"][1]["Output"], "TTL expired");
    Ok(())
}
