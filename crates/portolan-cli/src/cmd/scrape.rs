//! `--metrics-addr`: the library's metrics of this process, as Prometheus scrapes them.
//!
//! In:  an address. Out: `/metrics` there, for as long as this lives.
//!
//! Never: keeps the command from running once it has begun; holds times for ever that nobody scrapes.

use std::{io, net::SocketAddr, time::Duration};

use anyhow::{Context as _, anyhow};
use axum::{Router, http::header, routing::get};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::{net::TcpListener, task::JoinSet, time::sleep};

use crate::config::Shell;

/// The upper bounds of times, in seconds: from a read of an agent on this machine to a heartbeat that is given up.
const BOUNDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
/// How often times that were recorded are put in their place, whether they are scraped or not.
const UPKEEP: Duration = Duration::from_secs(5);
/// As Prometheus' text format says.
const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is scraped. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Scrape {
    _tasks: JoinSet<()>,
}

impl Scrape {
    /// Listens, says where, and begins to record: once in a process.
    ///
    /// # Errors
    /// The address cannot be listened on.
    ///
    /// # Cancel safety
    /// Dropping the future gives the port back.
    pub(crate) async fn open(wanted: SocketAddr, shell: &Shell) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(wanted).await.map_err(|failed| match failed.kind() {
            io::ErrorKind::AddrInUse => {
                anyhow!("--metrics-addr: {wanted} is in use; stop what listens there, or give another port")
            }
            _ => anyhow::Error::new(failed).context(format!("--metrics-addr: cannot listen on {wanted}")),
        })?;
        let addr = listener.local_addr().context("--metrics-addr")?;
        let builder = PrometheusBuilder::new().set_buckets(&BOUNDS).context("the bounds of times")?;
        let recorded = builder.install_recorder().context("metrics are recorded already")?;
        portolan::telemetry::describe();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, recorded.clone()));
        tasks.spawn(async move {
            loop {
                sleep(UPKEEP).await;
                recorded.run_upkeep();
            }
        });
        shell.hint(&format!("metrics are told at http://{addr}/metrics"));
        Ok(Self { _tasks: tasks })
    }
}

async fn serve(listener: TcpListener, recorded: PrometheusHandle) {
    let told = move || std::future::ready(([(header::CONTENT_TYPE, KIND)], recorded.render()));
    let router = Router::new().route("/metrics", get(told));
    if let Err(failed) = axum::serve(listener, router).await {
        tracing::warn!(%failed, "metrics are not served any more");
    }
}
