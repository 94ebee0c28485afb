//! Service discovery on HashiCorp Consul that keeps working when Consul does not.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backoff;
pub mod check;
mod discovery;
mod duration;
mod error;
mod guard;
mod model;
mod register;
pub mod registry;
mod resolve;
mod roll;
mod snapshot;
mod sync;
mod tasks;
mod telemetry;
#[cfg(test)]
mod testing;

pub use check::{Check, CheckKind};
pub use discovery::{Config, Discovery, ViewConfig};
pub use duration::{format_duration, parse_duration};
pub use error::{Error, Kind};
pub use model::{
    CheckId, CheckScope, CheckState, Identity, Instance, ServiceId, ServiceName, Status, Weights, aggregate,
};
pub use register::{Address, Registration, RegistrationHandle, RegistrationState};
pub use registry::{Registry, consul::ConsulConfig};
pub use resolve::{
    Endpoint, Exclusion, Explanation, LeftOut, Mark, NoInstance, Pick, Policy, Resolver, Select, Warning,
};
pub use snapshot::{Changes, Failure, Freshness, Hidden, Reader, Snapshot, Source};
