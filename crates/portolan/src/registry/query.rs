//! What is asked of a registry, and how its answers come. PURE: types, no behaviour.
//!
//! In:  a caller's wishes. Out: queries, and answers with what the registry said about them.
//!
//! Never: makes up what the registry did not say.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::recall::Recall;
use crate::model::ServiceName;

/// Which answer a read wants. Consul: website/content/api-docs/features/consistency.mdx.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Consistency {
    /// The leader answers; a small window after an election.
    Default,
    /// Any server answers, also without a leader. The default here: bounded by what the headers say.
    #[default]
    Stale,
    /// The leader answers after asking the others.
    Consistent,
}

/// Wait until the answer's index is above `index`, or until `wait` has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The index of the last answer, at least 1.
    pub index: u64,
    /// How long to wait; Consul allows up to 10 min and adds up to a sixteenth.
    pub wait: Duration,
}

/// A read of one service.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServiceQuery {
    /// Whose instances.
    pub service: ServiceName,
    /// In which datacenter; `None`: the agent's own.
    pub datacenter: Option<Arc<str>>,
    /// Which server may answer.
    pub consistency: Consistency,
    /// Wait for a change; `None`: answer at once.
    pub block: Option<Block>,
    /// Whether the output of checks is kept. Dropped by default: it changes without meaning.
    pub output: CheckOutput,
    /// What is remembered of the last answer to this question. With it a registry may hand out an instance that did not
    /// change as the same allocation, without reading it again; it decides nothing about what is answered.
    pub recall: Option<Recall>,
    /// When somebody last used what is read here; `None`: nobody knows. Where not all reads can wait side by side,
    /// those that were used lately may. Not sent anywhere.
    pub used: Option<Instant>,
    /// When the same read failed before, if its last attempt did: then this is a retry, of which there are not more than
    /// a share of all reads. Not sent anywhere.
    pub failed: Option<Instant>,
}

/// What to do with the output of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CheckOutput {
    /// Leave it out of the answer.
    #[default]
    Drop,
    /// Keep it, for a person to read.
    Keep,
}

impl ServiceQuery {
    /// A stale read of `service` in the agent's datacenter that does not wait.
    #[must_use]
    pub fn new(service: ServiceName) -> Self {
        Self {
            service,
            datacenter: None,
            consistency: Consistency::default(),
            block: None,
            output: CheckOutput::default(),
            recall: None,
            used: None,
            failed: None,
        }
    }

    /// The same, waiting for a change.
    #[must_use]
    pub fn block(mut self, index: u64, wait: Duration) -> Self {
        self.block = Some(Block { index, wait });
        self
    }

    /// The same at this consistency.
    #[must_use]
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }

    /// The same in this datacenter.
    #[must_use]
    pub fn datacenter(mut self, datacenter: Option<Arc<str>>) -> Self {
        self.datacenter = datacenter;
        self
    }

    /// The same with or without the output of checks.
    #[must_use]
    pub fn output(mut self, output: CheckOutput) -> Self {
        self.output = output;
        self
    }

    /// The same, with what is remembered of the last answer.
    #[must_use]
    pub fn recall(mut self, recall: Recall) -> Self {
        self.recall = Some(recall);
        self
    }

    /// The same, for somebody who used what is read here then.
    #[must_use]
    pub fn used(mut self, when: Option<Instant>) -> Self {
        self.used = when;
        self
    }

    /// The same, after its last attempt failed then.
    #[must_use]
    pub fn failed(mut self, when: Option<Instant>) -> Self {
        self.failed = when;
        self
    }
}

/// A read of the list of services.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CatalogQuery {
    /// In which datacenter; `None`: the agent's own.
    pub datacenter: Option<Arc<str>>,
    /// Which server may answer.
    pub consistency: Consistency,
    /// Wait for a change; `None`: answer at once.
    pub block: Option<Block>,
}

/// Service names with the union of their instances' tags, both sorted.
pub type ServiceTags = BTreeMap<Arc<str>, Vec<Arc<str>>>;

/// An answer with what the registry said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// How new it is, and from where.
    pub meta: AnswerMeta,
}

impl<T> Answer<T> {
    /// An answer with its index and nothing else known about it.
    #[must_use]
    pub fn new(value: T, index: u64) -> Self {
        Self { value, meta: AnswerMeta::new(index) }
    }

    /// The same with these words of the registry about it.
    #[must_use]
    pub fn with_meta(mut self, meta: AnswerMeta) -> Self {
        self.meta = meta;
        self
    }
}

/// What the headers of an answer say. `None` where the registry says nothing: each is read by itself, so that one
/// unreadable header costs only itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnswerMeta {
    /// `X-Consul-Index`, at least 1: a missing, zero or unreadable one reads as 1.
    pub index: u64,
    /// `X-Consul-KnownLeader`.
    pub known_leader: Option<bool>,
    /// `X-Consul-LastContact`: how long ago the answering server heard from the leader.
    pub last_contact: Option<Duration>,
    /// `X-Consul-Effective-Consistency`: what was really served.
    pub consistency: Option<Consistency>,
    /// `X-Consul-Results-Filtered-By-ACLs`: whether the token hid something.
    pub filtered_by_acls: Option<bool>,
    /// Whether a token, or a default of `deny`, may hide something without a word (before Consul 1.11).
    pub maybe_acl: bool,
    /// `X-Consul-Query-Backend: streaming`: then the headers about age always say 0.
    pub streaming: bool,
    /// `Age`: how old the agent's cached answer is; `None` when it was not from its cache.
    pub cache_age: Option<Duration>,
    /// `X-Consul-Translate-Addresses`: the agent has rewritten the addresses for us already.
    pub translated: bool,
    /// How long the exchange itself took, without what it waited here until it might be sent. The guard knows.
    pub took: Option<Duration>,
}

impl AnswerMeta {
    /// An index and nothing else known.
    #[must_use]
    pub fn new(index: u64) -> Self {
        Self {
            index: index.max(1),
            known_leader: None,
            last_contact: None,
            consistency: None,
            filtered_by_acls: None,
            maybe_acl: false,
            streaming: false,
            cache_age: None,
            translated: false,
            took: None,
        }
    }
}
