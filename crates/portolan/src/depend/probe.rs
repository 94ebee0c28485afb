//! A probe of the health endpoint that says whether all is there that the program needs.
//!
//! In:  a readiness. Out: what a look at it finds. Never: asks anybody.

use super::Readiness;
use crate::register::{Finding, Probe};

impl Probe {
    /// A required probe of what the program needs, as `readiness` says: critical until all of it has been there, and, where
    /// [`OnLoss::FailClosed`](crate::depend::OnLoss::FailClosed) was asked for, while something is lost; else passing, with
    /// the number of required needs that are missing as its value. It asks nobody, and keeps the readiness.
    pub fn needs(name: impl Into<String>, readiness: &Readiness) -> Self {
        let readiness = readiness.clone();
        let look = move || {
            let state = readiness.state();
            let missing = u32::try_from(state.missing().count()).unwrap_or(u32::MAX);
            let found = if state.is_ready() {
                // A warning would keep callers away, and that is what failing open is to avoid.
                Finding::passing()
            } else {
                Finding::critical(state.missing_text())
            };
            std::future::ready(found.observed(f64::from(missing), "needs missing"))
        };
        Self::new(name, look).cache(None)
    }
}
