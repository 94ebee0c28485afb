//! Requests of hyper to the instances of a service, by its name.
//!
//! ```text
//! cargo run -p portolan --all-features --example hyper_client                          # all in this process
//! cargo run -p portolan --all-features --example hyper_client http://127.0.0.1:8500    # on this registry
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{error::Error, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use portolan::{
    Config, ConsulConfig, Discovery, Registration, RegistrationHandle,
    integrate::{hyper::Client, propagate},
    registry::memory::Memory,
};
use tokio::{net::TcpListener, task::JoinSet};

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
    let _handles = two(discovery, "hyper-example", &mut running).await?;
    let client: Client<Full<Bytes>> = Client::new(discovery);
    // A request that came in, whose trace is to go on.
    let incoming = Request::builder()
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .body(())?;
    for _ in 0..5 {
        let mut request = Request::builder().uri("http://hyper-example/").body(Full::default())?;
        propagate(incoming.headers(), request.headers_mut());
        let answer = client.request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        println!("{status}: {}", String::from_utf8_lossy(&body));
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
