//! What an operator's file says of splits: how the requests of a service are shared between its versions.
//!
//! In:  a text with a line for each service: `web = 95 ^1, 5 ^2`. Blank lines and those that start with `#` say nothing.
//! Out: a table. The file is followed by [`WatchedFile`](crate::watched::WatchedFile).
//!
//! Never: takes a wrong line for no line.
//!
//! Proof: `splits/tests.rs`.

use std::{collections::BTreeMap, str::FromStr, time::Instant};

use crate::{
    error::Error,
    model::{ServiceName, Split},
    telemetry,
    watched::Table,
};

/// The splits of services, by name. As text: a line for each, such as `web = 95 ^1, 5 ^2`.
///
/// ```
/// use portolan::{ServiceName, Splits};
///
/// let splits: Splits = "
///     ## the canary of Monday
///     web = 95 ^1, 5 ^2
/// ".parse()?;
/// assert!(splits.of(&ServiceName::new("web")?).is_some());
/// # Ok::<(), portolan::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Splits(BTreeMap<ServiceName, Split>);

impl Splits {
    /// That of this service.
    #[must_use]
    pub fn of(&self, service: &ServiceName) -> Option<&Split> {
        self.0.get(service)
    }
}

impl FromStr for Splits {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut splits = BTreeMap::new();
        for (number, line) in (1u64..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |problem: String| Error::config(format!("splits, line {number}: {problem}"));
            let (name, split) = line
                .split_once('=')
                .ok_or_else(|| wrong("has no \"=\"; write name = 95 ^1, 5 ^2".to_owned()))?;
            let name = ServiceName::new(name.trim()).map_err(|error| wrong(error.to_string()))?;
            let split = split.parse().map_err(|error: Error| wrong(error.to_string()))?;
            if splits.insert(name.clone(), split).is_some() {
                return Err(wrong(format!("service {:?} has a line already; leave one out", name.as_str())));
            }
        }
        Ok(Self(splits))
    }
}

impl Table for Splits {
    type Text = Self;

    const SETTING: &'static str = "splits";
    const EXAMPLE: &'static str = "web = 95 ^1, 5 ^2";
    const REFUSED: &'static str = telemetry::SPLITS_REFUSED;

    fn parse(text: &str) -> Result<Self, Error> {
        text.parse()
    }

    fn next(&self, text: &Self, _now: Instant) -> Self {
        text.clone()
    }

    fn report(&self) {
        let split = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        metrics::gauge!(telemetry::SPLIT).set(f64::from(split));
        tracing::info!(services = split, "the splits file was taken in");
    }
}

#[cfg(test)]
mod tests;
