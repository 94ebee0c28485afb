//! Why an operation on a key was not carried out, in Consul's words. PURE.
//!
//! In:  what was asked, what is there. Out: a text. Never: shows a value.
//!
//! Rules from Consul 1.21: agent/consul/state/kvs.go, agent/consul/state/txn.go, agent/consul/txn_endpoint.go.

use std::fmt;

use crate::state::rows::Text;

/// Why an operation was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KvFailed {
    NotSet(Text),
    NotDeleted(Text),
    Held(Text),
    NotHeld(Text),
    Delayed(Text),
    MissingSession,
    InvalidSession(Text),
    Absent(Text),
    Exists(Text),
    NoIndex(Text),
    OtherIndex { key: Text, is: u64, wanted: u64 },
    NoSession(Text),
    OtherSession { key: Text, is: Text, wanted: Text },
}

impl KvFailed {
    /// Whether it is an answer, `false`, to a single request, and no mistake.
    pub(crate) fn is_no(&self) -> bool {
        match self {
            Self::NotSet(_) | Self::NotDeleted(_) | Self::Held(_) | Self::NotHeld(_) | Self::Delayed(_) => {
                true
            }
            Self::MissingSession | Self::InvalidSession(_) | Self::Absent(_) | Self::Exists(_) => false,
            Self::NoIndex(_) | Self::OtherIndex { .. } => false,
            Self::NoSession(_) | Self::OtherSession { .. } => false,
        }
    }
}

impl fmt::Display for KvFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSet(key) => write!(f, "failed to set key {key:?}, index is stale"),
            Self::NotDeleted(key) => write!(f, "failed to delete key {key:?}, index is stale"),
            Self::Held(key) => write!(f, "failed to lock key {key:?}, lock is already held"),
            Self::NotHeld(key) => {
                write!(f, "failed to unlock key {key:?}, lock isn't held, or is held by another session")
            }
            Self::Delayed(key) => write!(f, "failed to lock key {key:?} due to lock delay"),
            Self::MissingSession => f.write_str("missing session"),
            Self::InvalidSession(session) => write!(f, "invalid session {session:?}"),
            Self::Absent(key) => write!(f, "key {key:?} doesn't exist"),
            Self::Exists(key) => write!(f, "key {key:?} exists"),
            Self::NoIndex(key) => write!(f, "failed to check index, key {key:?} doesn't exist"),
            Self::OtherIndex { key, is, wanted } => {
                write!(f, "failed index check for key {key:?}, current modify index {is} != {wanted}")
            }
            Self::NoSession(key) => write!(f, "failed to check session, key {key:?} doesn't exist"),
            Self::OtherSession { key, is, wanted } => {
                write!(f, "failed session check for key {key:?}, current session {is:?} != {wanted:?}")
            }
        }
    }
}
