//! Adapters to other libraries, each behind a feature of the same name.
//!
//! In:  what the library offers under its own types. Out: the same under the types of axum, hyper, tonic and tower.
//!
//! Never: decides anything; is needed by what stands below it. Only here does the public interface name foreign types.

#[cfg(feature = "axum")]
mod axum;
#[cfg(any(feature = "hyper", feature = "tower"))]
mod health;
#[cfg(feature = "health-server")]
mod health_server;
#[cfg(feature = "hyper")]
mod hyper;
#[cfg(feature = "tonic")]
mod tonic;
#[cfg(feature = "tower")]
mod tower;

#[cfg(feature = "tonic")]
pub use self::tonic::GrpcHealth;
#[cfg(any(feature = "hyper", feature = "tower"))]
pub use health::{Answering, HealthService};
#[cfg(feature = "health-server")]
pub use health_server::HealthServer;
