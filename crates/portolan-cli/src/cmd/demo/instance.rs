//! `portolan demo-instance`: one instance of the demo's service, a process of its own.
//!
//! In:  its name, id, zone and version, and the registry. Out: an HTTP service with `/` and `/health`, registered
//! through the library as any service would be.
//!
//! It leaves on SIGTERM as a good service does: deregistered first, serving on until callers have heard, then gone.
//! Never: outlives the demo. Its stdin is a pipe from there; when it closes, the demo has ended, however that came.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use anyhow::Context;
use axum::{Router, routing::get};
use clap::Args as ClapArgs;
use portolan::{Check, Config, Registration, ServiceId, ServiceName};
use tokio::{io::AsyncReadExt, net::TcpListener, sync::oneshot, task::JoinSet, time::timeout};

use crate::{cmd::signal::Ending, config::RegistryArgs, exit::Exit};

/// How long it serves on after it has deregistered: callers hear of it by a blocking query, within milliseconds on one
/// machine; this is many times that.
pub(crate) const DRAIN: Duration = Duration::from_millis(500);
/// How often the agent asks `/health`: as often as Consul allows. A TTL of the same length would be noticed later, for
/// it must leave room for a late report.
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long the end may take when the demo is gone.
const LAST: Duration = Duration::from_secs(2);

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The service's name.
    #[arg(long)]
    service: ServiceName,
    /// Its id.
    #[arg(long)]
    id: ServiceId,
    /// Its zone.
    #[arg(long)]
    zone: String,
    /// Its version.
    #[arg(long = "version")]
    version: String,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let mut ending = Ending::listen()?;
    let consul = args.registry.consul()?;
    let all = if consul.is_local() { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    let listener = TcpListener::bind((IpAddr::from(all), 0)).await.context("cannot listen")?;
    let port = listener.local_addr().context("no port")?.port();

    let (stop, stopped) = oneshot::channel::<()>();
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(listener, args.id.to_string(), stopped));

    let discovery = args.registry.discovery(Config::default())?;
    let check = Check::http("/health")
        .every(CHECK_INTERVAL)
        .timeout(CHECK_INTERVAL)
        .deregister_after(Some(Duration::from_secs(60)));
    let registration = Registration::new(args.service.as_str(), port)
        .id(args.id.as_str())
        .zone(&args.zone)
        .version(&args.version)
        .check(check);
    let handle = discovery.register(registration).await?;

    tokio::select! {
        asked = ending.asked() => {
            asked?;
            handle.close().await?;
            tokio::time::sleep(DRAIN).await;
        }
        () = parent_gone() => {
            // Nobody is left to read an error.
            let _unread = timeout(LAST, handle.close()).await;
        }
    }
    let _gone = stop.send(());
    let _late = timeout(LAST, tasks.join_next()).await;
    let _late = discovery.close(LAST).await;
    Ok(Exit::Fine)
}

async fn serve(listener: TcpListener, id: String, stopped: oneshot::Receiver<()>) -> std::io::Result<()> {
    let router =
        Router::new().route("/", get(move || async move { id })).route("/health", get(|| async { "ok" }));
    let stop = async {
        let _either_way = stopped.await;
    };
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

/// Returns when stdin is closed.
async fn parent_gone() {
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0_u8; 64];
    while matches!(stdin.read(&mut ignored).await, Ok(1..)) {}
}
