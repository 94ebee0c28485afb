//! Blocking queries: who waits, who is woken, and with what index.

use std::time::Duration;

use portolan_server::{Limits, ServerConfig};
use tokio::{task::JoinSet, time::timeout};

use crate::client::{PATIENCE, Try, send, start, start_with};

#[tokio::test]
async fn a_query_waits_for_its_own_service_and_for_no_other() -> Try {
    let registry = start().await?;
    registry.write("/v1/agent/service/register", r#"{"name":"web"}"#).await?;
    let first = registry.get("/v1/health/service/web").await?;
    let addr = registry.addr;
    let path = format!("/v1/health/service/web?index={}&wait=5m", first.index());
    let mut waiting = JoinSet::new();
    waiting.spawn(async move { send(addr, "GET", &path, "").await.map_err(|error| error.to_string()) });

    for n in 0..20 {
        registry.write("/v1/agent/service/register", &format!(r#"{{"name":"db","id":"db{n}"}}"#)).await?;
    }
    assert!(timeout(Duration::from_millis(50), waiting.join_next()).await.is_err(), "it waits on");
    registry.write("/v1/agent/service/register", r#"{"name":"web","port":81}"#).await?;
    let woken = timeout(PATIENCE, waiting.join_next()).await?.ok_or("nobody waited")???;
    assert!(woken.index() > first.index());
    assert_eq!(woken.json()[0]["Service"]["Port"], 81);
    Ok(())
}

#[tokio::test]
async fn a_wait_that_is_over_answers_with_the_same_index() -> Try {
    let registry = start().await?;
    let index = registry.get("/v1/catalog/services").await?.index();
    for asked in [index, index + 1000] {
        let reply = registry.get(&format!("/v1/catalog/services?index={asked}&wait=20ms")).await?;
        assert_eq!((reply.status, reply.index()), (200, index), "asked {asked}");
    }
    Ok(())
}

#[tokio::test]
async fn one_who_waits_for_a_service_that_is_not_there_learns_when_it_comes() -> Try {
    let registry = start().await?;
    let absent = registry.get("/v1/health/service/later").await?;
    let addr = registry.addr;
    let path = format!("/v1/health/service/later?index={}&wait=5m", absent.index());
    let mut waiting = JoinSet::new();
    waiting.spawn(async move { send(addr, "GET", &path, "").await.map_err(|error| error.to_string()) });
    registry.write("/v1/agent/service/register", r#"{"name":"later"}"#).await?;
    let woken = timeout(PATIENCE, waiting.join_next()).await?.ok_or("nobody waited")???;
    assert_eq!(woken.json().as_array().map(Vec::len), Some(1));

    registry.write("/v1/agent/service/deregister/later", "").await?;
    let gone = registry.until("/v1/health/service/later", |reply| reply.body == "[]").await?;
    assert!(gone.index() > woken.index(), "the last one going moves the index up");
    Ok(())
}

#[tokio::test]
async fn the_agents_view_of_an_instance_blocks_by_hash() -> Try {
    let registry = start().await?;
    registry.write("/v1/agent/service/register", r#"{"name":"web"}"#).await?;
    let first = registry.get("/v1/agent/service/web").await?;
    let hash = first.header("x-consul-contenthash").to_owned();
    assert_eq!(first.json()["ContentHash"], hash.as_str());
    let same = registry.get(&format!("/v1/agent/service/web?hash={hash}&wait=20ms")).await?;
    assert_eq!(same.header("x-consul-contenthash"), hash);
    let other = registry.get("/v1/agent/service/web?hash=other&wait=5m").await?;
    assert_eq!(other.header("x-consul-contenthash"), hash, "another hash is answered at once");

    let (addr, path) = (registry.addr, format!("/v1/agent/service/web?hash={hash}&wait=5m"));
    let mut waiting = JoinSet::new();
    waiting.spawn(async move { send(addr, "GET", &path, "").await.map_err(|error| error.to_string()) });
    registry.write("/v1/agent/service/register", r#"{"name":"web","port":9}"#).await?;
    let woken = timeout(PATIENCE, waiting.join_next()).await?.ok_or("nobody waited")???;
    assert_ne!(woken.header("x-consul-contenthash"), hash);
    let unknown = registry.get("/v1/agent/service/nope").await?;
    assert_eq!((unknown.status, unknown.body.as_str()), (404, "unknown service ID: nope"));
    Ok(())
}

#[tokio::test]
async fn one_watcher_too_many_is_429() -> Try {
    let registry = start_with(ServerConfig::default().limits(Limits::default().max_watchers(1))).await?;
    let addr = registry.addr;
    let mut waiting = JoinSet::new();
    for _ in 0..2 {
        waiting.spawn(async move {
            let path = "/v1/health/service/x?index=1&wait=5m";
            send(addr, "GET", path, "")
                .await
                .map(|reply| (reply.status, reply.body))
                .map_err(|error| error.to_string())
        });
    }
    let refused = timeout(PATIENCE, waiting.join_next()).await?.ok_or("nobody asked")???;
    let text = "rate limit exceeded, try again later or against a different server";
    assert_eq!(refused, (429, text.to_owned()));
    waiting.shutdown().await;
    Ok(())
}
