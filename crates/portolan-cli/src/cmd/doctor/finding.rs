//! What the doctor can find: each with its level, why it matters and how to mend it. PURE.
//!
//! In:  nothing; a family of findings adds what it saw, and where. Out: findings, the most harmful first.
//!
//! Never: renames a finding; scripts know it by its name.
//! Proof: `doctor/tests.rs` compares this table with `docs/doctor.md`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use clap::ValueEnum;

/// How much harm it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Level {
    // Worth to know.
    Info,
    // It will hurt some day, or hurts some.
    Warning,
    // It hurts now.
    Critical,
}

impl Level {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What was found. In the order of harm, within a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Code {
    NoLeader,
    HiddenByAcl,
    StaleReads,
    IndexWentBack,
    ConnectionsNearLimit,
    CatalogOnLiveAgent,
    SlowHeartbeat,
    FlappingCheck,
    LeakedCritical,
    UnmetNeed,
    SameIdTwice,
    ShortReap,
    LoopbackAddress,
    NoCheck,
    DnsDisagrees,
    ClockSkew,
    OneNode,
    OneZone,
    UnreadableVersion,
    UnreadableNeed,
    UnmetOptional,
    SharedId,
}

/// What is always the same of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) name: &'static str,
    pub(crate) level: Level,
    /// In a few words.
    pub(crate) title: &'static str,
    pub(crate) why: &'static str,
    pub(crate) mend: &'static str,
}

const fn facts(
    level: Level,
    name: &'static str,
    title: &'static str,
    why: &'static str,
    mend: &'static str,
) -> Facts {
    Facts { name, level, title, why, mend }
}

impl Code {
    /// All of them, for the tests of the documents.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 22] = [
        Self::NoLeader,
        Self::HiddenByAcl,
        Self::StaleReads,
        Self::IndexWentBack,
        Self::ConnectionsNearLimit,
        Self::CatalogOnLiveAgent,
        Self::SlowHeartbeat,
        Self::FlappingCheck,
        Self::LeakedCritical,
        Self::UnmetNeed,
        Self::SameIdTwice,
        Self::ShortReap,
        Self::LoopbackAddress,
        Self::NoCheck,
        Self::DnsDisagrees,
        Self::ClockSkew,
        Self::OneNode,
        Self::OneZone,
        Self::UnreadableVersion,
        Self::UnreadableNeed,
        Self::UnmetOptional,
        Self::SharedId,
    ];

    pub(crate) fn facts(self) -> Facts {
        match self {
            Self::NoLeader
            | Self::HiddenByAcl
            | Self::StaleReads
            | Self::IndexWentBack
            | Self::ConnectionsNearLimit
            | Self::ClockSkew
            | Self::DnsDisagrees => self.of_answers(),
            Self::CatalogOnLiveAgent
            | Self::SlowHeartbeat
            | Self::FlappingCheck
            | Self::ShortReap
            | Self::NoCheck
            | Self::LeakedCritical => self.of_health(),
            Self::UnmetNeed | Self::UnreadableNeed | Self::UnmetOptional => self.of_needs(),
            _ => self.of_instances(),
        }
    }

    /// Of the registry itself.
    fn of_answers(self) -> Facts {
        use Level::{Critical, Warning};
        match self {
            Self::NoLeader => facts(
                Critical,
                "no-leader",
                "the servers know no leader",
                "nothing can be registered or changed, reads by default fail, and what is read as stale grows old",
                "bring back a majority of the servers; see `consul operator raft list-peers` and their logs",
            ),
            Self::HiddenByAcl => facts(
                Warning,
                "hidden-by-acl",
                "the token hides a part of the answers",
                "a service whose instances are hidden looks as if it had none, and no error says so",
                "give the token service:read and node:read for what it is to see",
            ),
            Self::StaleReads => facts(
                Warning,
                "stale-reads",
                "the answering server heard from the leader long ago",
                "callers are sent to instances that are gone, and do not see new ones",
                "look at the network between the servers and at their load; bound reads with max_stale",
            ),
            Self::IndexWentBack => facts(
                Warning,
                "index-went-back",
                "the index of the same question went back",
                "a client that waits at the old index sees no change until the registry has passed it again",
                "look for a restored snapshot, a replaced server, or a load balancer before unlike servers",
            ),
            Self::ConnectionsNearLimit => facts(
                Warning,
                "connections-near-limit",
                "this machine holds most of the connections that the agent allows an address",
                "one more is refused with 429 or closed without a word: watches and heartbeats fail at once",
                "share watches (one agent's cache, HTTP/2 over TLS), or raise limits.http_max_conns_per_client",
            ),
            Self::ClockSkew => facts(
                Warning,
                "clock-skew",
                "the registry's clock and this machine's differ",
                "certificates and tokens are judged by it, and times in logs cannot be compared",
                "run a time service (chrony, systemd-timesyncd) on both",
            ),
            _ => facts(
                Warning,
                "dns-disagrees",
                "DNS and HTTP name different instances",
                "who asks by DNS reaches other instances than who asks by HTTP, or none",
                "give DNS a token that may read services, use names of at most 63 letters, digits and dashes, and look at dns_config",
            ),
        }
    }

    /// Of checks, and what they say.
    fn of_health(self) -> Facts {
        use Level::Warning;
        match self {
            Self::CatalogOnLiveAgent => facts(
                Warning,
                "catalog-on-live-agent",
                "the catalogue has what the node's living agent does not",
                "the agent's next sync (within minutes) removes it from the catalogue",
                "register it with that agent, or on a node without one (`portolan` calls it external)",
            ),
            Self::SlowHeartbeat => facts(
                Warning,
                "slow-heartbeat",
                "a TTL check was not reported for more than half of its TTL",
                "one report that is lost or late turns a healthy instance critical",
                "report at least each third of the TTL, or make the TTL longer",
            ),
            Self::FlappingCheck => facts(
                Warning,
                "flapping-check",
                "a check changed its status again and again",
                "each change wakes every watcher, and requests fail in between",
                "set failures_before_critical and success_before_passing, or a longer timeout; find what is slow",
            ),
            Self::LeakedCritical => facts(
                Warning,
                "leaked-critical",
                "an instance is critical, and nothing is known to remove it",
                "the list of instances fills with the dead; where all are critical, some clients call them all the same",
                "`portolan gc` lists the dead and removes them with --yes; let programs deregister when they end",
            ),
            Self::ShortReap => facts(
                Warning,
                "short-reap",
                "an instance is removed before it has been critical for 10 min",
                "a short outage (of the network, of a database that all checks ask) removes every instance at once",
                "set deregister_critical_service_after to 10m or more, or leave it out",
            ),
            _ => facts(
                Warning,
                "no-check",
                "an instance has no check of its own",
                "it is passing while its node lives, also when the program is dead",
                "register it with a check (`--check http:/health`, `--check ttl:30s`)",
            ),
        }
    }

    /// Of what services declare.
    fn of_needs(self) -> Facts {
        use Level::{Info, Warning};
        match self {
            Self::UnmetNeed => facts(
                Warning,
                "unmet-need",
                "a required dependency is not met",
                "the service fails, or waits for what is not there",
                "start what is needed, or mend the declaration; `portolan deps` shows all of it",
            ),
            Self::UnreadableNeed => facts(
                Warning,
                "unreadable-need",
                "a declared dependency cannot be read",
                "nobody waits for what it names, and nobody is told that it is missing",
                "mend meta `portolan-needs`; `portolan deps` shows the place",
            ),
            _ => facts(
                Info,
                "unmet-optional",
                "an optional dependency is not met",
                "the service works without it, with less",
                "start what is needed, if it is meant to be there",
            ),
        }
    }

    /// Of what instances say of themselves.
    fn of_instances(self) -> Facts {
        use Level::{Info, Warning};
        match self {
            Self::SameIdTwice => facts(
                Warning,
                "same-id-twice",
                "the same instance stands on two nodes",
                "it is counted and called twice, and what was left behind with the first agent turns critical",
                "register always with the agent of the same machine, and never through a load balancer",
            ),
            Self::LoopbackAddress => facts(
                Warning,
                "loopback-address",
                "an address that only its own machine reaches stands in a shared registry",
                "callers on other machines reach nothing, or another program of their own",
                "register the address by which others reach it, or leave it out for the node's",
            ),
            Self::OneNode => facts(
                Warning,
                "one-node",
                "all instances of a service are on one node",
                "when that machine ends, the service does",
                "start an instance on another node",
            ),
            Self::OneZone => facts(
                Warning,
                "one-zone",
                "all instances of a service are in one zone, while there are others",
                "when that zone ends, the service does",
                "start an instance in another zone",
            ),
            Self::UnreadableVersion => facts(
                Warning,
                "unreadable-version",
                "a version cannot be read",
                "who asks for a version never gets this instance",
                "write a semantic version into meta `version`, as in 1.2.3",
            ),
            _ => facts(
                Info,
                "shared-id",
                "instances on several nodes have the same id",
                "it is right as long as everybody asks by node and id; who knows only the id mixes them up",
                "give ids that are unique in the datacentre, as `portolan register` does",
            ),
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) code: Code,
    /// What was seen, in one sentence.
    pub(crate) what: String,
    /// Services, instances, checks or nodes, by name.
    pub(crate) places: Vec<String>,
}

impl Finding {
    pub(crate) fn new(
        code: Code,
        what: impl Into<String>,
        places: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self { code, what: what.into(), places: places.into_iter().map(Into::into).collect() }
    }

    pub(crate) fn level(&self) -> Level {
        self.code.facts().level
    }
}

/// The most harmful first; those of one kind by what was seen.
pub(crate) fn sort(findings: &mut [Finding]) {
    findings.sort_by(|one, other| {
        let level = other.level().cmp(&one.level());
        level.then(one.code.cmp(&other.code)).then_with(|| one.what.cmp(&other.what))
    });
}

/// What could not be examined, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) what: String,
    pub(crate) why: String,
}

impl Unread {
    pub(crate) fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }
}
