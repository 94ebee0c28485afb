//! Service discovery on HashiCorp Consul that keeps working when Consul does not.
//!
//! Services register with health checks; callers find healthy instances in nanoseconds, and keep finding them while
//! Consul is slow, restarting or gone.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use portolan::{Config, Discovery, Registration, registry::memory::Memory};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In a program: Discovery::new(Config::from_env()?). Here everything stays in this process.
//! let discovery = Discovery::with_registry(Arc::new(Memory::new()), Config::default());
//! let registration = discovery.register(Registration::http("web", 8080)).await?;
//! registration.wait_healthy(Duration::from_secs(5)).await?;
//!
//! let web = discovery.service("web").await?; // warm when it returns
//! let instance = web.pick()?; // no I/O; a typed error says why not
//! assert_eq!(instance.port, 8080);
//! # Ok(())
//! # }
//! ```
//!
//! # What is here
//!
//! To find and to be found:
//!
//! - [`Discovery`] is the one handle a program holds: it owns every view, every registration and every task. Make one, and
//!   [`close`](Discovery::close) it at the end.
//! - [`Resolver`] picks instances of one service. A pick reads one pointer; it never fails because the registry did,
//!   and when there is nothing to pick, [`NoInstance`] says why. [`Resolver::call`] tries a failed request elsewhere.
//! - [`Select`] says which instances, by which [`Policy`], how old what is known may be, and what is preferred.
//! - [`Reader`] tells every change of a service exactly once, however slow it is; [`Services`] which services there are, and
//!   which come and go.
//! - [`RegistrationHandle`] keeps an instance registered while it lives, and says why not when it cannot be. What is
//!   registered is a [`Registration`], with its [`Check`]s.
//!
//! For more:
//!
//! - [`depend::Graph`] is who needs whom, as services declare it; [`depend::Readiness`] tells when all is there that one needs.
//! - [`ExternalNode`] is a thing without an agent, written into the catalogue with the health that you say it has.
//! - [`HealthEndpoint`] answers how the program is, from named [`Probe`]s, for the registry and for an orchestrator.
//! - [`telemetry`] lists what is measured and traced; a program's own recorder and subscriber take it.
//! - [`systemd`] is told that the program is ready, that it stops, and that it lives.
//! - [`Registry`] is the only door to a catalogue: Consul, the embedded registry, one in this process, or your own.
//! - [`Config`] has the settings: each with its default, and checked at the first call.
//!
//! # When the registry is away
//!
//! Nothing fails that can go on. Picks come from what is known, and [`Freshness`] says how old that is; past a bound of yours
//! ([`Select::max_age`]) they are marked, or refused. Registrations come back by themselves. A program that *starts* then needs
//! a [`CacheConfig`], or gets an error that can be tried again ([`Error::is_retryable`]).
//!
//! # Features
//!
//! None is on by default. Each adds something, and changes nothing else:
//!
//! | feature | adds |
//! | --- | --- |
//! | `axum` | a router that is registered while it is served, and the health endpoint as a router |
//! | `reqwest`, `hyper` | clients whose hosts are services |
//! | `tonic` | a channel to a service's instances, and gRPC's health service |
//! | `tower` | a layer that sends requests to instances, and the instances as changes for a balancer |
//! | `health-server` | the health endpoint on a listener of its own |
//! | `redis` | a cache that processes share |
//!
//! Each has a program in `examples/`. A registry for tests is in the crate `portolan-server`; the command `portolan`, which runs any
//! program as an instance, in `portolan-cli`. The book, with a tutorial, is in `docs/` of the repository.

mod backoff;
pub mod cache;
pub mod check;
pub mod depend;
mod discovery;
#[cfg(doctest)]
mod documents;
mod duration;
mod error;
pub mod expr {
    //! Filter expressions over anything, in Consul's language: what [`Filter`](crate::Filter) is made of.

    pub use crate::resolve::expr::{Expression, Matcher, Shape, Subject, Value, any_of_pairs};
}
mod guard;
#[cfg(any(feature = "axum", feature = "hyper", feature = "reqwest", feature = "tonic", feature = "tower"))]
pub mod integrate;
mod model;
mod overrides;
mod register;
pub mod registry;
mod resolve;
mod roll;
mod snapshot;
mod splits;
mod sync;
#[cfg(unix)]
pub mod systemd;
mod tasks;
pub mod telemetry;
#[cfg(test)]
mod testing;
mod watched;

pub use check::{Check, CheckKind, CheckTls};
pub use discovery::{
    CacheConfig, Config, Dependencies, Discovery, Dump, GuardConfig, ResolverDump, Services, ViewConfig,
    ViewDump,
};
pub use duration::{format_duration, parse_duration};
pub use error::{Error, Kind};
pub use guard::{BreakerState, RegistryState};
pub use model::{
    CheckId, CheckScope, CheckState, Identity, Instance, Meta, NodeName, Reading, Requirement,
    RequirementError, ServiceId, ServiceName, Split, SplitPart, Status, Unreadable, VersionSource,
    VersionSources, Weights, aggregate,
};
pub use register::{
    Address, Drain, DrainStep, ExternalCheck, ExternalNode, ExternalService, Finding, HealthConfig,
    HealthEndpoint, HealthFn, HealthReport, HealthResponse, HealthView, Probe, Registration,
    RegistrationHandle, RegistrationState,
};
pub use registry::{Registry, consul::ConsulConfig};
pub use resolve::expr::{Filter, FilterError};
pub use resolve::{
    Attempt, CallError, Ejection, Endpoint, Exclusion, Explanation, Failed, FailureKind, GaveUp, LeftOut,
    Locality, Mark, NoInstance, OnStale, Panic, PastBound, Pick, Policy, Prefer, Resolver, Retry,
    RetryBudget, Select, Share, SplitShare, Tier, WantedVersion, Warning,
};
pub use snapshot::{
    Catalog, CatalogChanges, Changes, Failure, Freshness, Hidden, Reader, Retagged, Snapshot, Source,
};
pub use splits::Splits;
pub use sync::{Confirm, Mode, Suspicion};
