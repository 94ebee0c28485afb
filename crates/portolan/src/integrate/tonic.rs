//! tonic: a channel to the instances of a service (`channel`), and a health endpoint as gRPC's own health service.
//!
//! In:  the name of a gRPC service. Out: serving or not, once (`Check`) or at each change (`Watch`).
//!
//! gRPC knows no warning: what warns serves. A watch is a stream that asks again at a pace, and at once when the program
//! says that it is ready or not; it has no task of its own, and ends with its stream.
//!
//! Never: holds more watches than `WATCHES`; runs a probe more often than its cache time lets it.
//!
//! Rules from gRPC: doc/health-checking.md, grpc/health/v1/health.proto. From Consul: agent/checks/grpc.go, where serving
//! alone is passing. From Kubernetes: a gRPC probe's `service` is by custom `liveness` or `readiness`.
//! Proof: `tonic/tests.rs`, and `tests/health_grpc.rs` over a socket and on a real Consul.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::sleep,
};
use tonic::{Request, Response, Status as Refusal, codegen::tokio_stream::Stream};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health, HealthServer},
};

mod body;
mod channel;
mod timeout;

pub use channel::Channel;

use crate::{HealthEndpoint, HealthView, Status};

/// How many watches are held at once, over all connections; one more is refused.
const WATCHES: usize = 1024;
/// How often a watch asks.
const PACE: Duration = Duration::from_secs(2);
/// The names of Kubernetes' custom.
const LIVENESS: &str = "liveness";
const READINESS: &str = "readiness";
/// How much of an unknown name an answer repeats, in characters.
const SHOWN: usize = 100;

impl HealthEndpoint {
    /// This endpoint as the gRPC service `grpc.health.v1.Health`, to be added to a server of tonic. Feature `tonic`.
    ///
    /// `""` is asked for the whole, as the registry's check sees it; `liveness` and `readiness` for what `/livez` and
    /// `/readyz` tell; the name of a probe for that one alone. What warns is serving. To answer for services of your own by
    /// their names too, use [`grpc_for`](Self::grpc_for). The registry asks with [`Check::grpc`](crate::Check::grpc)
    /// (`""`).
    ///
    /// A watch asks each 2 s, and at once when [`set_ready`](Self::set_ready) changes something; at most 1024 are held. It
    /// does not end by itself: give the graceful stop of the server a deadline.
    ///
    /// ```
    /// use portolan::{Check, HealthConfig, HealthEndpoint, Registration};
    /// use tonic::transport::Server;
    ///
    /// # fn main() -> Result<(), portolan::Error> {
    /// let health = HealthEndpoint::open(HealthConfig::default())?;
    /// let server = Server::builder().add_service(health.grpc());
    /// let cart = Registration::new("cart", 50051).check(Check::grpc(""));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn grpc(&self) -> HealthServer<GrpcHealth> {
        self.grpc_for(&[])
    }

    /// The same, which also answers for these services as for the whole: full names, such as `shop.v1.Cart`. They go
    /// before the names of probes.
    #[must_use]
    pub fn grpc_for(&self, services: &[&str]) -> HealthServer<GrpcHealth> {
        let services = services.iter().map(|name| (*name).into()).collect();
        let watches = Arc::new(Semaphore::new(WATCHES));
        HealthServer::new(GrpcHealth { endpoint: self.clone(), services, watches })
    }
}

/// What answers gRPC's health requests; see [`HealthEndpoint::grpc`].
#[derive(Clone, Debug)]
pub struct GrpcHealth {
    endpoint: HealthEndpoint,
    /// The names that stand for the whole, beside `""`.
    services: Arc<[Box<str>]>,
    watches: Arc<Semaphore>,
}

/// What a request asks about.
#[derive(Clone, Debug)]
enum About {
    View(HealthView),
    Probe(Box<str>),
}

impl GrpcHealth {
    /// `None`: there is nothing of this name.
    fn about(&self, name: &str) -> Option<About> {
        Some(match name {
            "" => About::View(HealthView::Check),
            _ if self.services.iter().any(|known| **known == *name) => About::View(HealthView::Check),
            LIVENESS => About::View(HealthView::Live),
            READINESS => About::View(HealthView::Ready),
            _ if self.endpoint.has_probe(name) => About::Probe(name.into()),
            _ => return None,
        })
    }
}

async fn serving(endpoint: &HealthEndpoint, about: &About) -> ServingStatus {
    let status = match about {
        About::View(view) => endpoint.report(*view).await.status(),
        About::Probe(name) => match endpoint.find(name).await {
            Some(finding) => finding.status(),
            None => return ServingStatus::ServiceUnknown,
        },
    };
    match status {
        Status::Passing | Status::Warning => ServingStatus::Serving,
        Status::Critical | Status::Maintenance => ServingStatus::NotServing,
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for GrpcHealth {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Refusal>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Refusal> {
        let name = &request.get_ref().service;
        let about = self.about(name).ok_or_else(|| {
            let shown: String = name.chars().take(SHOWN).collect();
            Refusal::not_found(format!(
                "{shown:?} is not known here; ask for \"\", {LIVENESS}, {READINESS}, or a probe by its name"
            ))
        })?;
        Ok(Response::new(answer(serving(&self.endpoint, &about).await)))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Refusal> {
        let place = Arc::clone(&self.watches).try_acquire_owned().map_err(|full| {
            Refusal::resource_exhausted(format!("{WATCHES} watches are held here already: {full}"))
        })?;
        let watched = Watched {
            about: self.about(&request.get_ref().service),
            ready: self.endpoint.readiness(),
            endpoint: self.endpoint.clone(),
            told: None,
            _place: place,
        };
        Ok(Response::new(Box::pin(Told(Box::pin(watched.next())))))
    }
}

/// One watch, and what it has told last.
#[derive(Debug)]
struct Watched {
    endpoint: HealthEndpoint,
    about: Option<About>,
    ready: watch::Receiver<bool>,
    told: Option<ServingStatus>,
    _place: OwnedSemaphorePermit,
}

impl Watched {
    /// Waits for a status that has not been told: the first at once, each other when it has changed.
    async fn next(mut self) -> (Self, ServingStatus) {
        loop {
            if self.told.is_some() {
                self.pause().await;
            }
            let status = match &self.about {
                Some(about) => serving(&self.endpoint, about).await,
                // As gRPC has it: the stream stays, for the service might come.
                None => ServingStatus::ServiceUnknown,
            };
            if self.told.replace(status) != Some(status) {
                return (self, status);
            }
        }
    }

    async fn pause(&mut self) {
        if self.about.is_none() {
            return std::future::pending().await; // names are settled when the endpoint is opened
        }
        tokio::select! {
            // The endpoint, which has the other end, is held here; if it were gone, the pace would be left.
            Ok(()) = self.ready.changed() => {}
            () = sleep(PACE) => {}
        }
    }
}

/// The statuses of one watch, as a stream: the next one, on its way.
struct Told(Pin<Box<dyn Future<Output = (Watched, ServingStatus)> + Send>>);

impl Stream for Told {
    type Item = Result<HealthCheckResponse, Refusal>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (watched, status) = ready!(self.0.as_mut().poll(context));
        self.0 = Box::pin(watched.next());
        Poll::Ready(Some(Ok(answer(status))))
    }
}

#[cfg(test)]
mod tests;
