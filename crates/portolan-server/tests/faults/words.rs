//! Each fault in the embedded registry, as a client sees it byte by byte.

use std::time::Duration;

use portolan_server::{
    ServerConfig,
    faults::{Fault, Faults, Plan, Rule},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::client::{PATIENCE, Registry, Reply, Try, parse, start_with};

const PATH: &str = "/v1/health/service/web";
/// In such a moment everything would have come that comes.
const MOMENT: Duration = Duration::from_millis(300);

async fn registry() -> Try<(Registry, Faults)> {
    let faults = Faults::default();
    let registry = start_with(ServerConfig::default().faults(Some(faults.clone()))).await?;
    for port in 1..=3 {
        let body = format!(r#"{{"id":"web-{port}","name":"web","port":{port}}}"#);
        registry.write("/v1/agent/service/register", &body).await?;
    }
    Ok((registry, faults))
}

fn always(fault: Fault) -> Try<Plan> {
    Ok(Plan::default().rule(Rule::parse(&format!("GET {PATH} {fault} 1"))?))
}

/// What a blocking query gets, and how its connection ended.
async fn bytes(registry: &Registry) -> Try<(Vec<u8>, std::io::Result<usize>)> {
    let mut stream = TcpStream::connect(registry.addr).await?;
    let head =
        format!("GET {PATH}?index=1000&wait=5m HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut got = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut got)).await?;
    Ok((got, ended))
}

async fn under(registry: &Registry, faults: &Faults, fault: Fault) -> Try<Reply> {
    faults.set(always(fault)?);
    let (got, ended) = bytes(registry).await?;
    ended?;
    parse(&String::from_utf8_lossy(&got))
}

#[tokio::test]
async fn a_lie_comes_at_once_even_to_a_blocking_query() -> Try {
    let (registry, faults) = registry().await?;
    let truth = registry.get(PATH).await?;
    assert!(truth.body.contains("web-3") && truth.index() > 2);
    for (fault, body, index) in [
        (Fault::LowerIndex, truth.body.as_str(), truth.index() / 2),
        (Fault::Empty, "[]", truth.index()),
        (Fault::EmptyLower, "[]", 1),
    ] {
        let reply = under(&registry, &faults, fault).await?;
        assert_eq!((reply.status, reply.body.as_str(), reply.index()), (200, body, index), "{fault}");
    }
    assert_eq!(faults.injected(), 3);
    faults.clear();
    assert_eq!(registry.get(PATH).await?.body, truth.body);
    Ok(())
}

#[tokio::test]
async fn refusals_have_consuls_status_and_words() -> Try {
    let (registry, faults) = registry().await?;
    for (fault, status, words) in [
        (Fault::Denied, 403, "Permission denied"),
        (Fault::TooMany, 429, "rate limit exceeded"),
        (Fault::NoLeader, 500, "No cluster leader"),
        (Fault::Unavailable, 503, "try again later"),
    ] {
        let reply = under(&registry, &faults, fault).await?;
        assert_eq!(reply.status, status, "{fault}");
        assert!(reply.body.contains(words), "{}", reply.body);
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_can_be_wrong_in_each_way() -> Try {
    let (registry, faults) = registry().await?;
    let truth = registry.get(PATH).await?;
    let cut = under(&registry, &faults, Fault::Truncate).await?;
    assert!(truth.body.starts_with(&cut.body) && cut.body.len() == truth.body.len() / 2);
    assert_eq!(cut.header("content-length"), cut.body.len().to_string());

    let malformed = under(&registry, &faults, Fault::Malformed).await?;
    assert!(malformed.body.len() > truth.body.len() && malformed.json().is_null());

    let page = under(&registry, &faults, Fault::WrongType).await?;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html"));

    let gzip = under(&registry, &faults, Fault::CutGzip).await?;
    assert_eq!(gzip.header("content-encoding"), "gzip");

    faults.set(always(Fault::Drip(Duration::from_millis(1)))?);
    // Not a lie, so a query that blocks would block: this one does not.
    assert_eq!(registry.get(PATH).await?.body, truth.body);
    faults.set(always(Fault::Delay(Duration::from_millis(1)))?);
    assert_eq!(registry.get(PATH).await?.body, truth.body);
    Ok(())
}

#[tokio::test]
async fn headers_can_be_doubled_or_mean_nothing() -> Try {
    let (registry, faults) = registry().await?;
    faults.set(always(Fault::DuplicateHeaders)?);
    let (got, _) = bytes(&registry).await?;
    let head = String::from_utf8_lossy(&got).to_lowercase();
    assert_eq!(head.matches("x-consul-index:").count(), 2, "{head}");

    faults.set(always(Fault::GarbageHeaders)?);
    let (got, _) = bytes(&registry).await?;
    let head = String::from_utf8_lossy(&got).to_lowercase();
    assert!(head.contains("banana") && head.contains("web-3"), "{head}");
    Ok(())
}

#[tokio::test]
async fn a_connection_can_be_reset_before_or_in_the_middle_of_an_answer() -> Try {
    let (registry, faults) = registry().await?;
    faults.set(always(Fault::Reset)?);
    let (got, ended) = bytes(&registry).await?;
    assert!(got.is_empty(), "{got:?}");
    assert_eq!(ended.err().map(|error| error.kind()), Some(std::io::ErrorKind::ConnectionReset));

    faults.set(always(Fault::ResetMidway)?);
    let (got, ended) = bytes(&registry).await?;
    let got = String::from_utf8_lossy(&got).into_owned();
    assert!(got.contains("web-1") && !got.contains("web-3"), "{got}");
    assert_eq!(ended.err().map(|error| error.kind()), Some(std::io::ErrorKind::ConnectionReset));
    Ok(())
}

#[tokio::test]
async fn an_answer_can_stop_or_never_begin_while_its_connection_stays() -> Try {
    let (registry, faults) = registry().await?;
    for (fault, begins) in [(Fault::Silence, false), (Fault::StallMidway, true)] {
        faults.set(always(fault)?);
        let mut stream = TcpStream::connect(registry.addr).await?;
        stream.write_all(format!("GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
        let mut got = Vec::new();
        let ended = timeout(MOMENT, stream.read_to_end(&mut got)).await;
        assert!(ended.is_err(), "{fault}: {ended:?}");
        assert_eq!(String::from_utf8_lossy(&got).contains("web-1"), begins, "{fault}");
    }
    // Others are served meanwhile, and the registry ends all the same.
    assert_eq!(registry.get("/v1/status/leader").await?.status, 200);
    registry.stop().await
}
