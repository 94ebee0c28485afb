//! Requests of reqwest to the instances of a service, by its name.
//!
//! ```text
//! cargo run -p portolan --all-features --example reqwest_client                          # all in this process
//! cargo run -p portolan --all-features --example reqwest_client http://127.0.0.1:8500    # on this registry
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{error::Error, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use portolan::{
    Config, ConsulConfig, Discovery, Registration, RegistrationHandle, Retry, integrate::reqwest::Client,
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
    let handles = two(discovery, "reqwest-example", &mut running).await?;
    let client = Client::new(discovery)?.retry(Retry::default().within(PATIENCE));
    for _ in 0..5 {
        // No DNS: the name is looked up in what the library knows, and each request goes to an instance of its own.
        let answer = client.get("http://reqwest-example/").send().await?;
        println!("{}: {}", answer.status(), answer.text().await?);
    }
    for handle in handles {
        handle.close().await?;
    }
    // All are gone: the error says so, and why.
    let none = loop {
        if let Err(none) = client.get("http://reqwest-example/").send().await {
            break none;
        }
    };
    println!("{none}");
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
