//! A router of axum that is registered while it is served: announced when it is ready, drained when it ends.
//!
//! ```text
//! cargo run -p portolan --all-features --example axum_server                          # all in this process
//! cargo run -p portolan --all-features --example axum_server http://127.0.0.1:8500    # on this registry
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{error::Error, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use portolan::{
    Config, ConsulConfig, Discovery, HealthConfig, HealthEndpoint, Registration, integrate::axum::Serve,
    registry::memory::Memory,
};
use tokio::sync::oneshot;

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
    let app = Router::new().route("/", get(|| async { "hello" }));
    let serve = Serve::new(Registration::new("axum-example", 0), app)
        .health(HealthEndpoint::open(HealthConfig::default())?)
        .ready(async { println!("caches are warm") });
    // In a program: `portolan::integrate::axum::asked_to_stop()`, which waits for SIGTERM or Ctrl-C.
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async {
        stopped.await.ok();
    };
    let served = serve.run(discovery, ([127, 0, 0, 1], 0).into(), stopped);
    let watched = async {
        let web = discovery.service("axum-example").await?;
        let in_service = |_: &portolan::Snapshot| web.pick().is_ok();
        web.watch().wait_until(in_service, PATIENCE).await?;
        println!("in service at {}", web.pick()?.authority());
        stop.send(()).ok();
        let gone = |known: &portolan::Snapshot| known.instances().is_empty();
        web.watch().wait_until(gone, PATIENCE).await?;
        println!("drained, and gone");
        Ok(())
    };
    tokio::try_join!(served, watched)?;
    Ok(())
}
