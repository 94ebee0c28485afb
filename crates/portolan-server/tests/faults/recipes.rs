//! Each recipe of `docs/faults.md`, as it stands there, does what it says.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    time::{Duration, Instant},
};

use portolan_server::{
    ServerConfig,
    faults::{Faults, Plan},
};
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpStream, time::timeout};

use crate::client::{PATIENCE, Registry, Reply, Try, start_with};

const PAGE: &str = include_str!("../../../../docs/faults.md");
const WEB: &str = "/v1/health/service/web";
const API: &str = "/v1/health/service/api";
/// In such a moment everything would have come that comes.
const MOMENT: Duration = Duration::from_millis(300);

/// The rules under each heading.
fn recipes() -> BTreeMap<&'static str, &'static str> {
    let sections = PAGE.split("\n### ").skip(1);
    let recipe = |section: &'static str| {
        let (title, text) = section.split_once('\n')?;
        Some((title, text.split_once("```rules\n")?.1.split_once("```")?.0))
    };
    sections.filter_map(recipe).collect()
}

async fn under(title: &str) -> Try<(Registry, Faults)> {
    let faults = Faults::default();
    let registry = start_with(ServerConfig::default().faults(Some(faults.clone()))).await?;
    for name in ["web", "api"] {
        registry.write("/v1/agent/service/register", &format!(r#"{{"name":"{name}"}}"#)).await?;
    }
    faults.set(Plan::parse(recipes().get(title).ok_or(title)?)?);
    Ok((registry, faults))
}

/// The bytes of an answer, and how its connection ended; `None`: it does not end.
async fn bytes(registry: &Registry, path: &str) -> Try<(String, Option<std::io::Result<usize>>)> {
    let mut stream = TcpStream::connect(registry.addr).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
    let mut got = Vec::new();
    let ended = timeout(MOMENT, stream.read_to_end(&mut got)).await.ok();
    Ok((String::from_utf8_lossy(&got).into_owned(), ended))
}

async fn truth(registry: &Registry, faults: &Faults, path: &str) -> Try<Reply> {
    let plan = faults.plan();
    faults.clear();
    let truth = registry.get(path).await?;
    faults.set(Plan::clone(&plan));
    Ok(truth)
}

#[tokio::test]
async fn lies_and_refusals_are_as_the_page_says() -> Try {
    let (registry, faults) = under("The index goes back").await?;
    let (truth, lie) = (truth(&registry, &faults, WEB).await?, registry.get(WEB).await?);
    assert_eq!((lie.index(), lie.body), (truth.index() / 2, truth.body));

    let (registry, faults) = under("Empty, with status 200").await?;
    for (path, index) in [(WEB, self::truth(&registry, &faults, WEB).await?.index()), (API, 1)] {
        let lie = registry.get(path).await?;
        assert_eq!((lie.status, lie.body.as_str(), lie.index()), (200, "[]", index), "{path}");
    }

    let (registry, _) = under("Too many requests").await?;
    assert_eq!(registry.get(WEB).await?.status, 429);

    let (registry, _) = under("No leader").await?;
    for (path, status) in [(WEB, 500), ("/v1/catalog/services", 500), ("/v1/agent/services", 200)] {
        let reply = registry.get(path).await?;
        assert_eq!((reply.status, reply.body == "No cluster leader"), (status, status == 500), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn slow_answers_are_true_ones() -> Try {
    for (title, least) in [("Slow", Duration::from_millis(50)), ("In drips", Duration::from_millis(200))] {
        let (registry, faults) = under(title).await?;
        let truth = truth(&registry, &faults, WEB).await?;
        #[expect(clippy::disallowed_methods, reason = "that it takes its time is what is tested")]
        let begun = Instant::now();
        let slow = registry.get(WEB).await?;
        assert!(begun.elapsed() >= least, "{title}: {:?}", begun.elapsed());
        assert_eq!(slow.body, truth.body, "{title}");
    }
    Ok(())
}

#[tokio::test]
async fn connections_are_reset_or_stay_half_open() -> Try {
    let (registry, _) = under("Reset").await?;
    for (path, begins) in [(WEB, false), (API, true)] {
        let (got, ended) = bytes(&registry, path).await?;
        assert_eq!(got.contains("HTTP/1.1 200"), begins, "{path}");
        let error = ended.and_then(Result::err).map(|error| error.kind());
        assert_eq!(error, Some(ErrorKind::ConnectionReset), "{path}");
    }
    let (registry, _) = under("Half open").await?;
    for (path, begins) in [(WEB, false), (API, true)] {
        let (got, ended) = bytes(&registry, path).await?;
        assert_eq!((got.contains("HTTP/1.1 200"), ended.is_none()), (begins, true), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn every_recipe_is_one_of_those_above_and_a_bad_night_hits_the_same_requests_again() -> Try {
    let titles: Vec<&str> = recipes().into_keys().collect();
    let tested = [
        "A bad night",
        "Empty, with status 200",
        "Half open",
        "In drips",
        "No leader",
        "Reset",
        "Slow",
        "The index goes back",
        "Too many requests",
    ];
    assert_eq!(titles, tested);
    let mut nights = Vec::new();
    for _ in 0..2 {
        let (registry, faults) = under("A bad night").await?;
        let mut told = Vec::new();
        for _ in 0..60 {
            let (got, _) = timeout(PATIENCE, bytes_until_whole(&registry)).await??;
            told.push(got);
        }
        nights.push((told, faults.injected()));
    }
    assert_eq!(nights.first(), nights.last());
    assert!(nights.iter().all(|(_, injected)| *injected > 3), "{nights:?}");
    Ok(())
}

/// The status of an answer, 0 where there was none, and whether it was whole.
async fn bytes_until_whole(registry: &Registry) -> Try<(u16, bool)> {
    match registry.get(WEB).await {
        Ok(reply) => Ok((reply.status, reply.json().is_array())),
        Err(_reset) => Ok((0, false)),
    }
}
