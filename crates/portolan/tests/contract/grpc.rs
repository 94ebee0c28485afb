//! The gRPC health service of a health endpoint, as every registry that runs gRPC checks has to see it.
//!
//! In:  a registry that nobody else writes to. Out: the first thing that was not as it must be.
//!
//! Use beside nothing else; the server is tonic's own.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use portolan::{
    Address, Check, CheckScope, Config, Discovery, HealthConfig, HealthEndpoint, Probe, Registration,
    Registry, Status,
    registry::{CheckOutput, ServiceQuery},
};
use tokio::{net::TcpListener, task::JoinSet, time::timeout};
use tonic::transport::{Server, server::TcpIncoming};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// More than an interval and a timeout, on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// A gRPC service of the program's own.
pub(crate) const CART: &str = "shop.v1.Cart";

/// A program with a database that can break, and its gRPC server.
pub(crate) struct Program {
    pub(crate) at: SocketAddr,
    pub(crate) health: HealthEndpoint,
    pub(crate) broken: Arc<AtomicBool>,
    _server: JoinSet<()>,
}

impl Program {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let broken = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&broken);
        let database = Probe::new("database", move || {
            let broken = seen.load(Ordering::SeqCst);
            async move { if broken { Err("connection refused") } else { Ok(()) } }
        });
        let health = HealthEndpoint::open(HealthConfig::default().probe(database.cache(None)))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let at = listener.local_addr()?;
        let router = Server::builder().add_service(health.grpc_for(&[CART]));
        let mut server = JoinSet::new();
        server.spawn(async move {
            let served = router.serve_with_incoming(TcpIncoming::from(listener)).await;
            assert!(served.is_ok(), "{served:?}");
        });
        Ok(Self { at, health, broken, _server: server })
    }
}

/// Waits until the registry shows the one instance so, and gives what its check says.
async fn shown(registry: &dyn Registry, name: &str, wanted: Status) -> Result<String, Failure> {
    let mut query = ServiceQuery::new(name.parse()?).output(CheckOutput::Keep);
    let shown = async {
        loop {
            let answer = registry.service(&query).await?;
            if let Some(found) = answer.value.iter().find(|one| one.status == wanted) {
                let check = found.checks.iter().find(|check| check.scope == CheckScope::Service);
                return Ok::<_, portolan::Error>(check.map(|check| check.output.to_string()));
            }
            query = query.block(answer.meta.index, LONG);
        }
    };
    let late = |late| format!("{late}: the registry does not show {name} as {wanted}");
    Ok(timeout(LONG, shown).await.map_err(late)??.unwrap_or_default())
}

pub(crate) async fn a_grpc_check_follows_the_endpoint(registry: Arc<dyn Registry>) -> Result<(), Failure> {
    let program = Program::start().await?;
    let discovery = Discovery::with_registry(Arc::clone(&registry), Config::default());
    let mut handles = Vec::new();
    for (name, asked) in [("whole", ""), ("cart", CART), ("alive", "liveness"), ("nobody", "shop.v1.Nobody")]
    {
        let check = Check::grpc(asked).timeout(Duration::from_secs(5)).every(Duration::from_secs(1));
        // The output of a check that stays as it was is not told at once.
        let check = if name == "nobody" { check.starting(Status::Passing) } else { check };
        let instance = Registration::new(name, program.at.port())
            .address(Address::Given("127.0.0.1".into()))
            .check(check);
        handles.push(discovery.register(instance).await?);
    }
    let registry = registry.as_ref();
    for name in ["whole", "cart", "alive"] {
        let said = shown(registry, name, Status::Passing).await?;
        assert!(said.contains("success"), "{name}: {said}");
    }
    program.broken.store(true, Ordering::SeqCst);
    for name in ["whole", "cart"] {
        let said = shown(registry, name, Status::Critical).await?;
        // Consul 1.8 has one text for all that is not serving; later ones tell which.
        assert!(
            said.contains("NOT_SERVING") || said.contains("didn't report service healthy"),
            "{name}: {said}"
        );
    }
    program.broken.store(false, Ordering::SeqCst);
    shown(registry, "whole", Status::Passing).await?;
    program.health.set_ready(false);
    shown(registry, "cart", Status::Critical).await?;
    // A restart would not mend it, and nobody serves what is not known.
    shown(registry, "alive", Status::Passing).await?;
    let said = shown(registry, "nobody", Status::Critical).await?;
    assert!(said.contains("NotFound") || said.contains("unknown service"), "{said}");
    for handle in handles {
        handle.close().await?;
    }
    Ok(discovery.close(LONG).await?)
}
