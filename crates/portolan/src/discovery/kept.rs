//! The caches of a [`Discovery`](super::Discovery), and what tells its views from those of every other.
//!
//! In:  the settings, and what the registry says it is. Out: a key and a plan for each view.

use std::sync::Arc;

use tokio::{sync::mpsc, time::Instant};

use super::CacheConfig;
use crate::{
    cache::{CacheKey, Caches, Plan, scope_of},
    error::Error,
    model::ServiceName,
    registry::consul::ConsulConfig,
    roll::Rolls,
    snapshot::{Reader, Snapshot},
};

/// Caches, and the part of the key that all views share.
pub(super) struct Kept {
    caches: Arc<Caches>,
    registry: Arc<str>,
    namespace: Arc<str>,
    partition: Arc<str>,
    scope: Arc<str>,
}

impl Kept {
    /// `None` when views are kept nowhere. `registry` is what it says it is; `consul`, if that is what it is, says what
    /// of it is seen.
    pub(super) fn new(config: &CacheConfig, registry: String, consul: Option<&ConsulConfig>) -> Option<Self> {
        if config.caches.is_empty() {
            return None;
        }
        let registry = config.cluster.clone().unwrap_or_else(|| registry.into());
        let sees = consul.map(ConsulConfig::sees).unwrap_or_default();
        let hashed = || sees.token.map(|token| scope_of(&registry, token).into());
        let scope = config.scope.clone().or_else(hashed).unwrap_or_default();
        let caches =
            Caches::new(&config.caches, config.signer.clone(), config.age_limit, config.time_of_day.clone());
        Some(Self {
            caches: Arc::new(caches),
            namespace: sees.namespace.unwrap_or_default(),
            partition: sees.partition.unwrap_or_default(),
            registry,
            scope,
        })
    }

    /// Whether the caches can be used at all.
    pub(super) async fn check(&self) -> Result<(), Error> {
        self.caches.check().await
    }

    /// What is not saved yet may be until then.
    pub(super) fn close(&self, until: Instant) {
        self.caches.close(until);
    }

    /// What a view has to do with the caches.
    pub(super) fn plan(
        &self,
        service: ServiceName,
        datacenter: Option<Arc<str>>,
        reader: Reader,
        into: mpsc::Sender<Snapshot>,
        rolls: Rolls,
    ) -> Plan {
        let key = CacheKey {
            registry: Arc::clone(&self.registry),
            datacenter,
            namespace: Arc::clone(&self.namespace),
            partition: Arc::clone(&self.partition),
            scope: Arc::clone(&self.scope),
            service,
        };
        Plan { caches: Arc::clone(&self.caches), key, reader, into, rolls }
    }
}
