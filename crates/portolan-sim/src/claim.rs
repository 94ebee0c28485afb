//! The evidence of one id: what was asked of the agent about it, what it said, and what happened to it.
//!
//! In:  the ends of calls, and what others do to it. Out: what the keeper can know, for the laws in `agency.rs`.
//!
//! Never: counts an answer before it arrived, or one that may have been overtaken.

use std::{collections::BTreeMap, time::Duration};

use portolan::Status;
use tokio::time::Instant;

/// A limit on calls: a burst, then one each so often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    left: u32,
    filled: Option<Instant>,
}

impl Bucket {
    const BURST: u32 = 10;

    /// Says whether it was empty.
    pub(crate) fn take(&mut self, now: Instant, every: Duration) -> bool {
        let filled = *self.filled.get_or_insert(now);
        let earned = now.duration_since(filled).as_millis() / every.as_millis().max(1);
        let earned = u32::try_from(earned).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(earned).min(Self::BURST);
        self.filled = Some(if self.left == Self::BURST { now } else { filled + every * earned });
        let empty = self.left == 0;
        self.left = self.left.saturating_sub(1);
        empty
    }
}

impl Default for Bucket {
    fn default() -> Self {
        Self { left: Self::BURST, filled: None }
    }
}

/// What a look found under an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Missing,
    Same,
    Differs,
    /// Another instance; whether it works.
    Foreign(bool),
}

/// What a look found, to be told when its answer arrives.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) seen: Seen,
    pub(crate) well: Vec<(String, bool)>,
    pub(crate) maintained: bool,
    pub(crate) version: u64,
}

/// The evidence of one id, from when its registration began.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) port: u16,
    /// When its registration began.
    pub(crate) begun: Instant,
    /// A handle is there, and is not being closed.
    pub(crate) open: bool,
    /// What the service says of itself, when it reports.
    pub(crate) said: Status,
    /// When something happened to it last that is to be repaired.
    pub(crate) trouble: Instant,
    /// By when it is to be as sent again: nothing else was wrong when it was changed.
    pub(crate) due: Option<Instant>,
    /// It was sent, or looks told that it was there.
    pub(crate) touched: bool,
    /// The agent said that it holds it for us.
    pub(crate) ours: bool,
    /// The last send did not end well, and no look has told since.
    pub(crate) unsure: bool,
    /// Looks in a row that found it as sent, with nothing in between that could give a reason to send it.
    pub(crate) streak: u32,
    /// The agent took it, and nothing has happened to it since.
    pub(crate) settled: bool,
    /// It lives on the first agent, while another one answers; and nothing hides that.
    pub(crate) elsewhere: bool,
    /// Rises when somebody else changes it, or when an answer may have been overtaken.
    pub(crate) version: u64,
    /// The version when it was last taken.
    pub(crate) applied: u64,
    /// When a look last told that it was right.
    pub(crate) right: Option<Instant>,
    /// Looks in a row that found somebody else's instance that works, and whether no other came before them.
    pub(crate) theirs: u32,
    pub(crate) only_theirs: bool,
    /// Looks in a row that found it in maintenance.
    pub(crate) maintained: u32,
    /// It came in maintenance, by its own word.
    pub(crate) gated: bool,
    /// Its service is ready.
    pub(crate) announced: bool,
    /// An operator has had a hand in it.
    pub(crate) operated: bool,
    /// It was told to leave so that nobody notices.
    pub(crate) drained: Option<Instant>,
    /// Looks in a row that found a check not critical.
    pub(crate) healthy: BTreeMap<String, u32>,
    /// What the last look that was told found, and when.
    pub(crate) told: Option<(Instant, Seen)>,
    /// When the agent last said that it took it, and when the catalogue was last seen to show it.
    pub(crate) acked: Option<Instant>,
    pub(crate) shown: Option<Instant>,
    /// Reports in a row that found no check.
    pub(crate) unknown: u32,
    pub(crate) sends: Bucket,
    pub(crate) removals: Bucket,
}

impl Claim {
    pub(crate) fn new(port: u16, gated: bool, now: Instant) -> Self {
        Self {
            port,
            begun: now,
            gated,
            open: true,
            said: Status::Passing,
            trouble: now,
            due: None,
            touched: false,
            ours: false,
            unsure: false,
            streak: 0,
            settled: false,
            elsewhere: false,
            version: 0,
            applied: 0,
            right: None,
            theirs: 0,
            only_theirs: true,
            maintained: 0,
            announced: false,
            operated: false,
            drained: None,
            healthy: BTreeMap::new(),
            told: None,
            acked: None,
            shown: None,
            unknown: 0,
            sends: Bucket::default(),
            removals: Bucket::default(),
        }
    }

    /// Whether it is of the instance on this port.
    pub(crate) fn is_at(&self, port: u16) -> bool {
        self.port == port
    }

    /// Somebody changed it, or may have: what looks have told is worth nothing any more.
    pub(crate) fn stale(&mut self) {
        self.streak = 0;
        self.settled = false;
        self.version += 1;
    }

    /// A look was told.
    pub(crate) fn looked(&mut self, found: Found, now: Instant) {
        let Found { seen, well, maintained, version, .. } = found;
        if seen == Seen::Same && self.version == version {
            self.streak += 1;
            self.right = Some(now);
            self.unsure = false;
            self.ours |= self.streak >= 2;
            self.touched |= self.ours;
        } else {
            self.streak = 0;
        }
        self.theirs = if seen == Seen::Foreign(true) { self.theirs + 1 } else { 0 };
        self.only_theirs &= self.theirs > 0;
        self.maintained = if maintained { self.maintained + 1 } else { 0 };
        if matches!(seen, Seen::Foreign(_)) {
            // It is theirs now; what was known of ours is past.
            self.ours = false;
            self.healthy.clear();
            self.maintained = 0;
        } else {
            for (check, well) in well {
                let row = self.healthy.entry(check).or_default();
                *row = if well { *row + 1 } else { 0 };
            }
        }
        self.told = Some((now, seen));
    }

    /// How a send ended, for the library; `false` also when it gave up waiting.
    pub(crate) fn sent(&mut self, taken: bool, now: Instant) {
        if taken {
            self.ours = true;
            self.unsure = false;
            self.unknown = 0;
            self.acked = Some(now);
            self.settled = self.applied == self.version;
        } else {
            self.stale();
            self.unsure = true;
        }
    }
}
