//! Service discovery on HashiCorp Consul that keeps working when Consul does not.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod check;
mod duration;
mod error;
mod model;
pub mod registry;
mod tasks;
mod telemetry;

pub use check::{Check, CheckKind};
pub use duration::{format_duration, parse_duration};
pub use error::{Error, Kind};
pub use model::{
    CheckId, CheckScope, CheckState, Identity, Instance, ServiceId, ServiceName, Status, Weights, aggregate,
};
pub use registry::Registry;
