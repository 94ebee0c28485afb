//! Where views are kept beyond the life of a process: on this machine's disk, and in a cache that many processes share.
//!
//! In:  what a view knows, and what a cache gives back. Out: bytes under a key to the caches; to the view at its start,
//! and while its registry does not answer, what the best of them remembers, marked and with its true age.
//!
//! Never: stands in the way of a lookup; makes a program fail because a cache does; passes off as fresh what it gives.
//!
//! Proof: `cache/saved/tests.rs` for the bytes, `cache/disk/tests.rs`, `discovery/tests/caches.rs` for what a program
//! sees, and `tests/cache_redis.rs` with a real server.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::{error::Error, model::ServiceName, snapshot::Source};

mod caches;
mod disk;
#[doc(hidden)]
pub mod inside;
#[cfg(feature = "redis")]
mod redis;
mod remember;
mod saved;

pub(crate) use caches::{Caches, TimeOfDay};
pub use disk::Disk;
#[cfg(feature = "redis")]
pub use redis::Redis;
pub(crate) use remember::{Plan, remember};
pub(crate) use saved::{Signer, scope_of};

/// The future of a call to a cache.
pub type CacheReply<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Keeps bytes under keys. Implemented by [`Disk`] and, with the feature `redis`, by `Redis`.
///
/// The bytes are checked, and signed if the settings say so, above this: a cache may lose them, and may give back any
/// bytes at all. Every call has a deadline that is not its own; what comes too late counts as a failure, and a failure
/// costs nobody anything but what would have been remembered.
///
/// # Cancel safety
/// Every call may be dropped at any time. A write that was dropped may have been done, whole; never in part.
pub trait Cache: Send + Sync + fmt::Debug + 'static {
    /// One word for metrics and logs, such as `disk`.
    fn name(&self) -> &'static str;

    /// Whom it serves, and so how an answer from it is marked.
    fn reach(&self) -> Reach;

    /// Whether it can be used as it is set up. Asked once, before the first view or registration; an error refuses
    /// that. A cache that may come back by itself is no error.
    fn check(&self) -> CacheReply<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// What was saved last under `key`; `None` when nothing is there any more.
    fn load<'a>(&'a self, key: &'a CacheKey) -> CacheReply<'a, Option<Vec<u8>>>;

    /// Keeps `value` under `key`, in place of what was there. After `ttl` it is worth nothing, and may be dropped.
    fn save<'a>(&'a self, key: &'a CacheKey, value: &'a [u8], ttl: Duration) -> CacheReply<'a, ()>;

    /// What was loaded under `key` was damaged: puts it out of the way, for a person to look at. By default it stays
    /// until the next save.
    fn set_aside<'a>(&'a self, key: &'a CacheKey) -> CacheReply<'a, ()> {
        let _stays = key;
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Whom a cache serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This machine alone: answers from it are marked [`Source::Disk`].
    Machine,
    /// The processes of a host or a cluster: answers from it are marked [`Source::Shared`].
    Shared,
}

impl Reach {
    pub(crate) fn source(self) -> Source {
        match self {
            Self::Machine => Source::Disk,
            Self::Shared => Source::Shared,
        }
    }
}

/// What tells one view's knowledge from every other's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheKey {
    /// The registry: the name that the settings give its cluster, or its address.
    pub registry: Arc<str>,
    /// The datacenter; `None`: the agent's own.
    pub datacenter: Option<Arc<str>>,
    /// The namespace; empty in Consul's community edition.
    pub namespace: Arc<str>,
    /// The admin partition; empty in Consul's community edition.
    pub partition: Arc<str>,
    /// What the token may see: a hash of it, or the name that the settings give. Empty without a token.
    pub scope: Arc<str>,
    /// The service.
    pub service: ServiceName,
}

impl CacheKey {
    /// The key as a text: the service's name as far as every file system bears it, and a hash (128 bits) of the whole
    /// key. Letters, digits, `-`, `_` and `.` only; at most 97 bytes; never starts with a dot.
    #[must_use]
    pub fn text(&self) -> String {
        saved::text_of(self)
    }
}

/// The time of day, since 1970.
#[expect(clippy::disallowed_methods, reason = "the shells that write beside other processes compare with it")]
fn wall() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}
