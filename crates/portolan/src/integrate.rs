//! Adapters to other libraries, each behind a feature of the same name.
//!
//! In:  what the library offers under its own types. Out: the same under the types of axum, hyper, reqwest, tonic and
//! tower: clients whose requests go to instances of services, and servers that are registered while they serve.
//!
//! All clients go through [`Resolver::call`](crate::Resolver::call): they pick, report what came of a request, and try
//! elsewhere within the service's budget.
//!
//! Never: decides anything; is needed by what stands below it. Only here does the public interface name foreign types.

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(any(feature = "hyper", feature = "tower"))]
mod health;
#[cfg(feature = "health-server")]
mod health_server;
#[cfg(feature = "hyper")]
pub mod hyper;
#[cfg(any(feature = "tonic", feature = "tower"))]
mod instances;
#[cfg(any(feature = "hyper", feature = "reqwest", feature = "tonic", feature = "tower"))]
mod outcome;
#[cfg(feature = "reqwest")]
pub mod reqwest;
#[cfg(feature = "tonic")]
pub mod tonic;
#[cfg(feature = "tower")]
pub mod tower;
mod trace;

#[cfg(feature = "tonic")]
pub use self::tonic::GrpcHealth;
#[cfg(any(feature = "hyper", feature = "tower"))]
pub use health::{Answering, HealthService};
#[cfg(feature = "health-server")]
pub use health_server::HealthServer;
#[cfg(any(feature = "hyper", feature = "reqwest", feature = "tonic", feature = "tower"))]
pub use outcome::RequestError;
pub use trace::propagate;
