//! The table of a policy by key: what it costs to build a selection that has one.
//!
//! In:  a view that is warm. Out: rows. Each round asks the view for a resolver that nobody has asked for yet, and waits
//! for it: with the filter, the weights, the endpoints and the table, as a resolver's task builds one at each change.
//! Beside it the same by random with equal weights, which needs no table.
//!
//! Never: asks for what is built already.
#![expect(clippy::disallowed_methods, reason = "to measure time is what this file is for")]

use std::time::{Duration, Instant};

use portolan::{OnStale, Policy, Select};

use crate::{fixture::Fixture, report::Row};

/// How many instances the service has.
pub(crate) const INSTANCES: u16 = 1_000;

/// The least of so many rounds.
pub(crate) fn rows(fixture: &Fixture, rounds: u32) -> anyhow::Result<Vec<Row>> {
    fixture.resolver(INSTANCES, Policy::PowerOfTwo)?;
    let (mut by_key, mut random) = (Duration::MAX, Duration::MAX);
    for round in 0..rounds {
        for (policy, least) in [(Policy::Maglev, &mut by_key), (Policy::Random, &mut random)] {
            // A bound of its own makes it another resolver. It is long, so that it changes nothing else.
            let bound = Duration::from_secs(1_000_000 + u64::from(round));
            let select = Select::default().policy(policy).max_age(bound, OnStale::Fail);
            let from = Instant::now();
            let resolver = fixture.resolver_by(INSTANCES, select)?;
            *least = from.elapsed().min(*least);
            drop(resolver);
        }
    }
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let name = format!("a table by key over {INSTANCES} instances, built with its selection");
    Ok(vec![Row::beside_one(name, ms(by_key), "ms", "limit: random, no table", ms(random), Some(10.0))])
}
