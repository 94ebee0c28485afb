//! What a health endpoint probes, where it is asked, and what it says of the program.
//!
//! In:  probes and settings, as a person writes them. Out: the same, found to be right.
//!
//! Never: fails in a setter. All is looked at together when the endpoint is opened.

use std::{collections::BTreeSet, sync::Arc};

use super::{document::About, probe::Probe, route::Paths};
use crate::error::{Error, Kind};

/// How many probes are accepted.
const PROBES: usize = 64;

/// The settings of a [`HealthEndpoint`](super::HealthEndpoint).
///
/// ```
/// use portolan::{HealthConfig, HealthEndpoint, Probe};
///
/// let config = HealthConfig::default().check_path("/status").probe(Probe::new("queue", || async {}));
/// assert!(HealthEndpoint::open(config).is_ok());
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until they are given to `HealthEndpoint::open`"]
pub struct HealthConfig {
    pub(super) paths: Paths,
    pub(super) about: About,
    pub(super) probes: Vec<Probe>,
    pub(super) ready: bool,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self { paths: Paths::default(), about: About::default(), probes: Vec::new(), ready: true }
    }
}

impl HealthConfig {
    /// One more probe. At most 64, each with a name of its own.
    pub fn probe(mut self, probe: Probe) -> Self {
        self.probes.push(probe);
        self
    }

    /// Where liveness is asked for: `/` and up to 254 of `A-Z a-z 0-9 - . _ ~ /`. Default `/livez`.
    pub fn live_path(mut self, path: impl Into<String>) -> Self {
        self.paths.live = path.into();
        self
    }

    /// Where readiness is asked for, in the same letters. Default `/readyz`.
    pub fn ready_path(mut self, path: impl Into<String>) -> Self {
        self.paths.ready = path.into();
        self
    }

    /// Where the registry's check asks, in the same letters. Default `/health`.
    pub fn check_path(mut self, path: impl Into<String>) -> Self {
        self.paths.check = path.into();
        self
    }

    /// It is not ready until [`set_ready`](super::HealthEndpoint::set_ready) says so. Default: it is ready at once.
    pub fn starts_not_ready(mut self) -> Self {
        self.ready = false;
        self
    }

    /// The id of the instance, shown in the document as `serviceId`. Default: none.
    pub fn service_id(mut self, id: impl Into<String>) -> Self {
        self.about.service_id = Some(id.into());
        self
    }

    /// The version of the service, shown in the document. Default: none.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.about.version = Some(version.into());
        self
    }

    /// What the service is, for people, shown in the document. Default: none.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.about.description = Some(description.into());
        self
    }

    /// Looks at all of it.
    pub(super) fn validate(&self) -> Result<(), Error> {
        self.paths.validate()?;
        let wrong = |what: String| Err(Error::new(Kind::Config, what));
        if self.probes.len() > PROBES {
            let found = self.probes.len();
            return wrong(format!("health.probe: {found} are given; {PROBES} are allowed"));
        }
        let mut names = BTreeSet::new();
        for (place, probe) in self.probes.iter().enumerate() {
            let field = format!("health.probe[{place}]");
            probe.validate(&field)?;
            if !names.insert(Arc::clone(&probe.name)) {
                let name = &probe.name;
                return wrong(format!(
                    "{field}.name: {name:?} is the name of another probe; give it its own"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(name: &str) -> Probe {
        Probe::new(name, || async {})
    }

    #[test]
    fn what_is_wrong_is_named_and_the_defaults_are_right() {
        let many = (0..65).fold(HealthConfig::default(), |config, n| config.probe(probe(&format!("p{n}"))));
        for (config, named) in [
            (HealthConfig::default().probe(probe("a")).probe(probe("a")), "health.probe[1].name: \"a\""),
            (HealthConfig::default().probe(probe("")), "health.probe[0].name"),
            (HealthConfig::default().live_path("livez"), "health.live_path: \"livez\""),
            (HealthConfig::default().ready_path("/health"), "paths of their own"),
            (many, "health.probe: 65 are given; 64 are allowed"),
        ] {
            let error = config.validate().unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.to_string().contains(named), "{error}: {named}");
        }
        HealthConfig::default().validate().unwrap();
    }
}
