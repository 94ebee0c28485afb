//! A layer of tower that sends requests to instances, and the instances as changes for a balancer of tower.
//!
//! ```text
//! cargo run -p portolan --all-features --example tower_client                          # all in this process
//! cargo run -p portolan --all-features --example tower_client http://127.0.0.1:8500    # on this registry
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{error::Error, future::poll_fn, pin::pin, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy, rt::TokioExecutor};
use portolan::{
    Config, ConsulConfig, Discovery, Registration, RegistrationHandle, integrate::tower::ToInstancesLayer,
    registry::memory::Memory,
};
use tokio::{net::TcpListener, task::JoinSet};
use tower::discover::Discover as _;
use tower_layer::Layer as _;
use tower_service::Service as _;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let config = Config::default();
    let discovery = match std::env::args().nth(1) {
        Some(url) => Discovery::new(config.consul(ConsulConfig::default().address(url)?)),
        None => Discovery::with_registry(Arc::new(Memory::new()), config),
    };
    show(&discovery).await?;
    Ok(discovery.close(PATIENCE).await?)
}

pub(crate) async fn show(discovery: &Discovery) -> Outcome {
    let mut running = JoinSet::new();
    let _handles = two(discovery, "tower-example", &mut running).await?;
    let resolver = discovery.service("tower-example").await?;

    // Any client that is a service of HTTP requests, and takes whole URLs.
    let client = legacy::Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let mut service = ToInstancesLayer::new(&resolver).layer(client);
    for _ in 0..5 {
        let request = Request::builder().uri("/").body(Full::default())?;
        poll_fn(|context| service.poll_ready(context)).await?;
        let body = service.call(request).await?.into_body().collect().await?.to_bytes();
        println!("{}", String::from_utf8_lossy(&body));
    }

    // What `tower::balance` takes; the second function of a balancer would make a client for each.
    let mut changes = pin!(resolver.discover(|endpoint| endpoint.authority()));
    for _ in 0..2 {
        println!("{:?}", poll_fn(|context| changes.as_mut().poll_discover(context)).await.transpose()?);
    }
    Ok(())
}

/// Two instances of a service, which end when this is dropped.
async fn two(
    discovery: &Discovery,
    name: &str,
    running: &mut JoinSet<Outcome>,
) -> Outcome<Vec<RegistrationHandle>> {
    let mut handles = Vec::new();
    for number in 1..=2 {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let registration = Registration::new(name, 0).listens_on(listener.local_addr()?);
        let answer = format!("instance {number}");
        let app = Router::new().route("/", get(move || async move { answer }));
        running.spawn(async move { Ok(axum::serve(listener, app).await?) });
        let handle = discovery.register(registration).await?;
        handle.wait_healthy(PATIENCE).await?;
        handles.push(handle);
    }
    Ok(handles)
}
