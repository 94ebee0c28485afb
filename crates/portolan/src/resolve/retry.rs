//! Whether a request that failed is tried again: at most so often, only where that does no harm, and never more than
//! the service's budget. PURE but for the
//! account, which callers share.
//!
//! In:  requests, failures, and `now`. Out: a retry, or why there is none.
//!
//! The budget is that of Finagle (finagle-core, `RetryBudget`: a fifth of the requests, and ten a second besides) and
//! tower (`retry::budget::TpsBudget`): an outage meets the offered load and a fifth, not a multiple of it.
//!
//! Never: a retry that was not paid for; a second try of a request that may have been carried out, unless its caller says
//! that this does no harm.

use std::{
    fmt,
    time::{Duration, Instant},
};

use super::endpoint::FailureKind;
use crate::{backoff::Backoff, duration::format_duration, error::Error};

mod account;

pub(super) use account::Account;

/// How long a retry waits: it goes to another instance, so that it need not wait long, but all do not come at once.
const REST: Backoff = Backoff::new(Duration::from_millis(25), Duration::from_secs(1));

/// How many retries a service's requests may cause together, in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryBudget {
    /// Retries for a hundred requests. 0 to 1,000; default 20.
    pub percent: u32,
    /// Retries a second besides. 1 to 100,000; default 10.
    pub per_second: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { percent: 20, per_second: 10 }
    }
}

impl RetryBudget {
    /// Retries for a hundred requests.
    #[must_use]
    pub fn percent(mut self, percent: u32) -> Self {
        self.percent = percent;
        self
    }

    /// Retries a second besides.
    #[must_use]
    pub fn per_second(mut self, retries: u32) -> Self {
        self.per_second = retries;
        self
    }

    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config), naming the setting, what was found and what is allowed.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (name, found, allowed) in
            [("percent", self.percent, 0..=1_000), ("per_second", self.per_second, 1..=100_000)]
        {
            if !allowed.contains(&found) {
                let (least, most) = (allowed.start(), allowed.end());
                let what = format!("retry_budget.{name}: {found} is not from {least} to {most}");
                return Err(Error::config(what));
            }
        }
        Ok(())
    }
}

/// How a request is tried again. The default: at most three tries, each time elsewhere, and only while nothing has been
/// sent: see [`idempotent`](Self::idempotent).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// How often it is tried in all. 1 to 100; default 3.
    pub tries: u32,
    /// Whether the same request may be carried out twice without harm: a read, or a write that only sets. Else it is
    /// tried again only when no connection came about.
    pub idempotent: bool,
    /// How long all tries may take together. The attempt is told when that ends, to pass it on. `None`, the default: as
    /// long as they take.
    pub within: Option<Duration>,
    /// How long one try may take, before it counts as failed. `None`, the default: as long as all of them.
    pub each_within: Option<Duration>,
}

impl Default for Retry {
    fn default() -> Self {
        Self { tries: 3, idempotent: false, within: None, each_within: None }
    }
}

/// Why a request is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GaveUp {
    /// It was tried as often as it may be.
    Tries,
    /// It may have been carried out, and is not said to be idempotent.
    NotIdempotent,
    /// The service's budget of retries is used up: too many requests fail.
    Budget,
    /// Its time is over, or would be before the next try.
    Deadline,
    /// There was no instance any more to try it on.
    NoInstance,
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tries => "it was tried as often as Retry::tries allows",
            Self::NotIdempotent => {
                "it may have been carried out; set Retry::idempotent if it may be sent twice without harm"
            }
            Self::Budget => {
                "the service's budget of retries is used up, for too many requests fail; see Config::retry_budget"
            }
            Self::Deadline => "no time is left of Retry::within",
            Self::NoInstance => "no instance is left to try it on; Resolver::explain says why",
        })
    }
}

impl GaveUp {
    /// The word for it, as a label.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Tries => "tries",
            Self::NotIdempotent => "not_idempotent",
            Self::Budget => "budget",
            Self::Deadline => "deadline",
            Self::NoInstance => "no_instance",
        }
    }
}

impl Retry {
    /// Says that the same request may be carried out twice without harm.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// How often it is tried in all.
    #[must_use]
    pub fn tries(mut self, tries: u32) -> Self {
        self.tries = tries;
        self
    }

    /// How long all tries may take together.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.within = Some(time);
        self
    }

    /// How long one try may take.
    #[must_use]
    pub fn each_within(mut self, time: Duration) -> Self {
        self.each_within = Some(time);
        self
    }

    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config), naming the setting, what was found and what is allowed.
    pub(super) fn check(&self) -> Result<(), Error> {
        if !(1..=100).contains(&self.tries) {
            let what = format!("retry.tries: {} is not from 1 to 100; 3 is the default", self.tries);
            return Err(Error::config(what));
        }
        for (name, time) in [("within", self.within), ("each_within", self.each_within)] {
            if let Some(found) = time.filter(|time| time.is_zero()) {
                let found = format_duration(found);
                return Err(Error::config(format!("retry.{name}: {found} is no time; set more, or None")));
            }
        }
        Ok(())
    }

    /// How long to rest before the next try, or why there is none. It pays for the try.
    pub(super) fn again(
        &self,
        tried: u32,
        kind: FailureKind,
        account: &Account,
        deadline: Option<Instant>,
        (now, roll): (Instant, u64),
    ) -> Result<Duration, GaveUp> {
        if tried >= self.tries {
            return Err(GaveUp::Tries);
        }
        if kind.was_sent() && !self.idempotent {
            return Err(GaveUp::NotIdempotent);
        }
        let rest = REST.rest(tried, roll);
        if deadline.is_some_and(|deadline| now.checked_add(rest).is_none_or(|then| then >= deadline)) {
            return Err(GaveUp::Deadline);
        }
        if account.pay(now) { Ok(rest) } else { Err(GaveUp::Budget) }
    }
}

#[cfg(test)]
mod tests;
