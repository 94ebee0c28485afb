//! The layer and the stream of changes for tower.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use portolan::{
    Address, Identity, Registration, Resolver,
    integrate::tower::{ToInstances, ToInstancesLayer},
};
use tokio::time::timeout;
use tower::{
    ServiceBuilder, ServiceExt as _,
    discover::{Change, Discover},
};

use crate::{
    Failure, rules,
    world::{LONG, Web, World},
};

type Pool = legacy::Client<HttpConnector, Full<Bytes>>;

fn pool() -> Pool {
    legacy::Client::builder(TokioExecutor::new()).build_http()
}

#[tokio::test]
async fn the_rules_of_requests_hold_over_a_layer_of_tower() -> Result<(), Failure> {
    let make = |world: &World| {
        let (callers, pool) = (world.callers.clone(), pool());
        rules::Client::new(move |method, url, headers: HeaderMap| {
            let (callers, pool) = (callers.clone(), pool.clone());
            async move {
                let web: Resolver = callers.service("web").await.map_err(|error| error.to_string())?;
                let service = ServiceBuilder::new().layer(ToInstancesLayer::new(&web)).service(pool);
                let request = Request::builder().method(method).uri(url).body(Full::from("x"));
                let mut request = request.map_err(|error| error.to_string())?;
                *request.headers_mut() = headers;
                let answer = service.oneshot(request).await.map_err(|error| error.to_string())?;
                let status = answer.status().as_u16();
                let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
                Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
            }
        })
    };
    rules::hold(make).await
}

#[tokio::test]
async fn a_function_makes_what_reaches_an_instance_once() -> Result<(), Failure> {
    let world = World::new()?;
    let mut web: [Web; 2] = world.web().await?;
    let resolver = world.known(2).await?;
    let (made, mut count) = tokio::sync::mpsc::channel(100);
    let pool = pool();
    let service = ToInstances::new(&resolver, move |endpoint| {
        let _counted = made.try_send(endpoint.identity.clone());
        let (pool, authority) = (pool.clone(), endpoint.authority());
        tower::service_fn(move |mut request: Request<Full<Bytes>>| {
            let there = format!("http://{authority}{}", request.uri()).parse();
            let pool = pool.clone();
            async move {
                *request.uri_mut() = there.unwrap_or_default();
                pool.request(request).await
            }
        })
    });
    for _ in 0..20 {
        let request = Request::builder().uri("/made").body(Full::default())?;
        let answer = service.clone().oneshot(request).await?;
        assert_eq!(answer.status(), 200);
    }
    let mut instances = 0;
    while count.try_recv().is_ok() {
        instances += 1;
    }
    assert!((1..=2).contains(&instances), "{instances}");
    assert_eq!(web.iter_mut().map(Web::count).sum::<usize>(), 20);
    Ok(())
}

#[tokio::test]
async fn instances_that_come_go_and_move_are_told_to_a_balancer() -> Result<(), Failure> {
    let world = World::new()?;
    let first = world.register("web-1", ([127, 0, 0, 1], 1001).into()).await?;
    // By hand, for a keeper would let nobody move what it keeps.
    let put = async |port: u16| -> Result<(), Failure> {
        let web = Registration::new("web", port).id("web-2").address(Address::Given("127.0.0.1".into()));
        let definition = world.owners.define(&web).await?;
        Ok(world.owners.registry().register(&definition).await?)
    };
    put(1002).await?;
    let resolver = world.known(2).await?;
    let mut changes = pin!(resolver.discover(|endpoint| endpoint.port));
    let mut next = async || -> Result<(Identity, Option<u16>), Failure> {
        let change = std::future::poll_fn(|context| changes.as_mut().poll_discover(context));
        Ok(match timeout(LONG, change).await?.ok_or("it has ended")?? {
            Change::Insert(identity, port) => (identity, Some(port)),
            Change::Remove(identity) => (identity, None),
        })
    };
    assert_eq!([next().await?.1, next().await?.1], [Some(1001), Some(1002)]);
    first.close().await?;
    let (identity, gone) = next().await?;
    assert_eq!((&*identity.id, gone), ("web-1", None));
    put(1003).await?;
    let (identity, there) = next().await?;
    assert_eq!((&*identity.id, there), ("web-2", Some(1003)));
    world.callers.close(Duration::from_secs(20)).await?;
    let end = std::future::poll_fn(|context| changes.as_mut().poll_discover(context));
    assert!(timeout(LONG, end).await?.is_none(), "it ends with its Discovery");
    Ok(())
}
