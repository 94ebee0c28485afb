//! What an operator's file forces: services whose instances are those of the file, whatever the registry says.
//!
//! In:  a text in the form of a [`StaticList`]. Out: a table, in which a list that did not change keeps its allocation.
//! The file is followed by [`WatchedFile`](crate::watched::WatchedFile).
//!
//! Never: forces an empty list.
//!
//! Proof: `overrides/tests.rs`.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use crate::{
    error::Error,
    model::{Instance, ServiceName},
    registry::static_list::StaticList,
    telemetry,
    watched::Table,
};

/// The instances that are forced for one service.
#[derive(Clone, Debug)]
pub(crate) struct Forced {
    pub(crate) instances: Arc<[Arc<Instance>]>,
    /// When the file was read that says so first.
    pub(crate) since: Instant,
}

/// All that is forced.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    services: BTreeMap<ServiceName, Forced>,
}

impl Overrides {
    /// What is forced for this service.
    pub(crate) fn of(&self, service: &ServiceName) -> Option<&Forced> {
        self.services.get(service)
    }
}

impl Table for Overrides {
    type Text = StaticList;

    const SETTING: &'static str = "overrides";
    const EXAMPLE: &'static str = "web=10.0.0.1:80,10.0.0.2:80";
    const REFUSED: &'static str = telemetry::OVERRIDES_REFUSED;

    fn parse(text: &str) -> Result<StaticList, Error> {
        let list: StaticList = text.parse()?;
        if let Some((service, _)) = list.all().find(|(_, instances)| instances.is_empty()) {
            return Err(Error::config(format!(
                "service {service:?} has no address; give it one, or remove its line to end the override"
            )));
        }
        Ok(list)
    }

    /// What is as it was here stays as it is.
    fn next(&self, list: &StaticList, now: Instant) -> Self {
        let entry = |(service, instances): (&ServiceName, &Vec<Arc<Instance>>)| {
            let same = self.of(service).filter(|forced| *forced.instances == **instances);
            let fresh = || Forced { instances: instances.iter().map(Arc::clone).collect(), since: now };
            (service.clone(), same.cloned().unwrap_or_else(fresh))
        };
        Self { services: list.all().map(entry).collect() }
    }

    fn report(&self) {
        let forced = u32::try_from(self.services.len()).unwrap_or(u32::MAX);
        metrics::gauge!(telemetry::OVERRIDDEN).set(f64::from(forced));
        tracing::info!(services = forced, "the overrides file was taken in");
    }
}

#[cfg(test)]
mod tests;
