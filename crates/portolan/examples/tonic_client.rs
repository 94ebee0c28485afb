//! Calls of gRPC to the instances of a service, each to one that was picked for it.
//!
//! ```text
//! cargo run -p portolan --all-features --example tonic_client                          # all in this process
//! cargo run -p portolan --all-features --example tonic_client http://127.0.0.1:8500    # on this registry
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{error::Error, sync::Arc, time::Duration};

use portolan::{
    Config, ConsulConfig, Discovery, HealthConfig, HealthEndpoint, Registration, integrate::tonic::Channel,
    registry::memory::Memory,
};
use tokio::{net::TcpListener, task::JoinSet};
use tonic::transport::{Server, server::TcpIncoming};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

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
    let mut handles = Vec::new();
    for _ in 0..2 {
        // gRPC's own health service stands for a service of your own.
        let health = HealthEndpoint::open(HealthConfig::default())?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let registration = Registration::new("tonic-example", 0).listens_on(listener.local_addr()?);
        let router = Server::builder().add_service(health.grpc());
        running.spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
        let handle = discovery.register(registration).await?;
        handle.wait_healthy(PATIENCE).await?;
        handles.push(handle);
    }
    let resolver = discovery.service("tonic-example").await?;
    // What may be called twice without harm is tried elsewhere, also when it was sent.
    let channel = Channel::new(&resolver).idempotent(["/grpc.health.v1.Health/Check"]);
    let mut client = HealthClient::new(channel);
    for _ in 0..5 {
        let answer = client.check(HealthCheckRequest::default()).await?.into_inner();
        println!("{:?}", answer.status());
    }
    Ok(())
}
