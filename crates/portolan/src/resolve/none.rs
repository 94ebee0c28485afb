//! "No instance" as an answer: which of six, with its reasons. PURE.
//!
//! Never: one word for an unknown service, a sick one, a hidden one and a registry that is gone.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    select::{Exclusion, Select},
    wants::Wants,
};
use crate::{
    duration::format_duration,
    error::{Error, Kind},
    model::{Instance, ServiceName},
    snapshot::Snapshot,
};

/// An instance that is known but not usable, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// The instance.
    pub instance: Arc<Instance>,
    /// The first reason found.
    pub why: Exclusion,
}

/// Why there is no instance to pick.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoInstance {
    /// The registry answers, and has never named an instance of this service.
    NeverSeen {
        /// The service.
        service: ServiceName,
        /// Whether access rules may hide it without a word: the registry is too old to say.
        maybe_acl: bool,
    },
    /// There were instances, and all have been deregistered.
    Gone {
        /// The service.
        service: ServiceName,
        /// When one was last there.
        last_seen: Instant,
    },
    /// The registry says that the token hides instances.
    HiddenByAcl {
        /// The service.
        service: ServiceName,
    },
    /// Instances are known, and each is left out for a reason.
    NoneUsable {
        /// The service.
        service: ServiceName,
        /// Every known instance with its reason.
        left_out: Arc<[LeftOut]>,
        /// What was asked of versions, and how many instances it met; `None`: nothing was asked, or so many matched that
        /// they are merely busy.
        wanted: Option<Arc<WantedVersion>>,
    },
    /// The registry has not answered yet, and nothing is known from anywhere else.
    Unreachable {
        /// The service.
        service: ServiceName,
        /// The last error; empty while the first read is under way.
        error: Arc<str>,
    },
    /// What is known is older than the caller's bound, and the caller chose
    /// [`OnStale::Fail`](crate::OnStale::Fail).
    TooOld {
        /// The service.
        service: ServiceName,
        /// The bound, since when it is passed, and why.
        why: Arc<PastBound>,
    },
}

/// What was asked of versions, and what was there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WantedVersion {
    /// What was asked, such as `^3`; with a split, `^1 or ^2`; with a fallback, `^3, else ^2`.
    pub text: Arc<str>,
    /// How many instances are known.
    pub known: usize,
    /// How many of these are healthy, whatever their version.
    pub healthy: usize,
    /// How many of the known have a version that was asked for, whatever their health.
    pub matching: usize,
    /// How many have something for a version that cannot be read.
    pub unreadable: usize,
}

impl WantedVersion {
    pub(super) fn count(snapshot: &Snapshot, select: &Select, wants: &Wants) -> Self {
        let fallback = select.version_fallback.as_ref().map(|version| format!(", else {version}"));
        let also = Wants::new(select.version_fallback.as_ref(), None, select, snapshot);
        let all = || snapshot.instances.iter().chain(&*snapshot.held);
        let count = |fits: &dyn Fn(&Instance) -> bool| all().filter(|one| fits(one)).count();
        Self {
            text: format!("{wants}{}", fallback.unwrap_or_default()).into(),
            known: all().count(),
            healthy: count(&|one| select.sick(one).is_none()),
            matching: count(&|one| wants.accept(one) || (!also.are_none() && also.accept(one))),
            unreadable: count(&|one| one.unreadable_version.is_some()),
        }
    }
}

impl fmt::Display for WantedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, known, healthy, matching, unreadable } = self;
        let matches = if *matching == 1 { "matches" } else { "match" };
        write!(f, "{known} known, {healthy} healthy, {matching} {matches} {text}")?;
        match unreadable {
            0 => Ok(()),
            unreadable => write!(f, ", {unreadable} of unreadable version"),
        }
    }
}

/// How the caller's bound was passed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PastBound {
    /// How old the newest proof may be; see [`Select::max_age`](crate::Select::max_age). `None`: what is known was
    /// declared void by [`invalidate`](crate::Resolver::invalidate), whatever its age.
    pub max_age: Option<Duration>,
    /// When it became older than that, by this machine's clock.
    pub since: Instant,
    /// The failure that reads meet; empty when none has failed: then the bound is shorter than the view can keep.
    pub error: Arc<str>,
}

impl NoInstance {
    /// The service that was asked for.
    #[must_use]
    pub fn service(&self) -> &ServiceName {
        match self {
            Self::NeverSeen { service, .. }
            | Self::Gone { service, .. }
            | Self::HiddenByAcl { service }
            | Self::NoneUsable { service, .. }
            | Self::TooOld { service, .. }
            | Self::Unreachable { service, .. } => service,
        }
    }
}

impl fmt::Display for NoInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = self.service();
        match self {
            Self::NeverSeen { maybe_acl: false, .. } => {
                write!(
                    f,
                    "{service}: the registry knows no instance; is the name right, and is one registered?"
                )
            }
            Self::NeverSeen { maybe_acl: true, .. } => write!(
                f,
                "{service}: the registry shows no instance; check the name, and whether the token may read the service"
            ),
            Self::Gone { .. } => {
                write!(f, "{service}: all instances were deregistered; start one, or look for why they left")
            }
            Self::HiddenByAcl { .. } => {
                write!(
                    f,
                    "{service}: the token may not see the instances; give it service:read and node:read"
                )
            }
            Self::NoneUsable { left_out, wanted, .. } => {
                match wanted {
                    Some(wanted) => write!(f, "{service}: {wanted}:")?,
                    None => write!(f, "{service}: {} known, 0 usable:", left_out.len())?,
                }
                for (at, one) in left_out.iter().take(SHOWN).enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    write!(f, "{comma} {} {}", one.instance.identity.id, one.why)?;
                }
                match left_out.len().saturating_sub(SHOWN) {
                    0 => Ok(()),
                    more => write!(f, ", and {more} more"),
                }
            }
            Self::Unreachable { error, .. } if error.is_empty() => {
                write!(f, "{service}: the registry has not answered yet; try again, or wait for the view")
            }
            Self::Unreachable { error, .. } => {
                write!(
                    f,
                    "{service}: the registry has not answered, and nothing is known from before: {error}"
                )
            }
            Self::TooOld { why, .. } => write!(f, "{service}: {why}"),
        }
    }
}

impl fmt::Display for PastBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max_age {
            Some(max_age) => {
                write!(f, "what is known is older than max_age ({}), ", format_duration(max_age))?;
            }
            None => f.write_str("what was known was declared void, ")?,
        }
        if self.error.is_empty() {
            f.write_str(
                "and no newer proof has come yet; try again, allow more age, or choose another on_stale",
            )
        } else {
            let error = &self.error;
            write!(f, "and reads fail: {error}; mend that, allow more age, or choose another on_stale")
        }
    }
}

/// How many instances a message names: enough to see the pattern, short enough for a log line.
const SHOWN: usize = 5;

impl std::error::Error for NoInstance {}

impl From<NoInstance> for Error {
    fn from(none: NoInstance) -> Self {
        Self::new(Kind::NoInstance, none.to_string())
    }
}
