//! What a demo is to be: decided once, before it begins.

use std::time::Duration;

use portolan::ServiceName;

use super::script::Owner;
use crate::config::RegistryArgs;

/// What a demo is to be.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) service: ServiceName,
    /// How the ids of its instances begin.
    pub(crate) ids: String,
    pub(crate) length: Duration,
    pub(crate) seed: u64,
    pub(crate) owner: Owner,
    pub(crate) registry: RegistryArgs,
    pub(crate) url: String,
}
