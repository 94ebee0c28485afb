//! The library's examples of adapters and of a worker, as they stand in its `examples/`, run on the embedded registry: in this process,
//! and over HTTP.

use std::{sync::Arc, time::Duration};

use portolan::{Config, ConsulConfig, Discovery};
use portolan_server::{Embedded, Server, ServerConfig};
use tokio::{task::JoinSet, time::timeout};

use crate::{Failure, world::LONG};

#[path = "../../../portolan/examples/axum_server.rs"]
#[expect(dead_code, reason = "its `main` is for `cargo run`")]
mod axum_server;
#[path = "../../../portolan/examples/hyper_client.rs"]
#[expect(dead_code, reason = "its `main` is for `cargo run`")]
mod hyper_client;
#[path = "../../../portolan/examples/reqwest_client.rs"]
#[expect(dead_code, reason = "its `main` is for `cargo run`")]
mod reqwest_client;
#[path = "../../../portolan/examples/tonic_client.rs"]
#[expect(dead_code, reason = "its `main` is for `cargo run`")]
mod tonic_client;
#[path = "../../../portolan/examples/tower_client.rs"]
#[expect(dead_code, reason = "its `main` is for `cargo run`")]
mod tower_client;
#[path = "../../../portolan/examples/ttl_worker.rs"]
#[expect(dead_code, reason = "its `main` is for `cargo run`")]
mod ttl_worker;

async fn all(discovery: &Discovery) -> Result<(), Failure> {
    timeout(LONG, axum_server::show(discovery)).await??;
    timeout(LONG, hyper_client::show(discovery)).await??;
    timeout(LONG, reqwest_client::show(discovery)).await??;
    timeout(LONG, tonic_client::show(discovery)).await??;
    timeout(LONG, tower_client::show(discovery)).await??;
    timeout(LONG, ttl_worker::show(discovery)).await??;
    Ok(())
}

#[tokio::test]
async fn they_run_in_one_process() -> Result<(), Failure> {
    let registry = Embedded::start(ServerConfig::default())?;
    let discovery = Discovery::with_registry(Arc::new(registry), Config::default());
    all(&discovery).await?;
    Ok(discovery.close(Duration::from_secs(20)).await?)
}

#[tokio::test]
async fn they_run_over_http() -> Result<(), Failure> {
    let server = Server::bind(ServerConfig::default().http_addr(([127, 0, 0, 1], 0).into())).await?;
    let consul = ConsulConfig::default().address(format!("http://{}", server.http_addr()))?;
    let mut task = JoinSet::new();
    task.spawn(server.run(std::future::pending()));
    let discovery = Discovery::new(Config::default().consul(consul));
    all(&discovery).await?;
    Ok(discovery.close(Duration::from_secs(20)).await?)
}
