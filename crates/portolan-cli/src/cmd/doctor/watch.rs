//! Watches a registry for a while: which checks change, which indexes go back, when TTL checks are reported.
//!
//! In:  a client and a time. Out: what was seen until then, or until somebody asks for the end.
//!
//! Never: asks more often than four times a second; loses what was seen because the end came early.

use std::{collections::BTreeMap, time::Duration};

use portolan::{
    Status,
    registry::{Block, Consistency, consul::Consul},
};
use tokio::time::{Instant, sleep};

use super::{
    super::signal::Ending,
    health::reported,
    read::CHECKS,
    seen::{self, Heard, Seen, Watched},
};

/// How long a read waits for a change. Each read is a line in the agent's log, by which its reading is known to go on.
const WAIT: Duration = Duration::from_secs(2);
/// The least time between two reads.
const REST: Duration = Duration::from_millis(250);

/// # Errors
/// The system hands out no signals.
pub(super) async fn watch(
    client: &Consul,
    seen: &mut Seen,
    time: Duration,
    ending: &mut Ending,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut log = Log::default();
    let mut changes = Changes::new(seen);
    let both = async {
        tokio::join!(client.agent_log(time, |line| log.line(line)), changes.follow(client, begun, time)).0
    };
    let listened = tokio::select! {
        listened = both => Some(listened),
        asked = ending.asked() => asked.map(|()| None)?,
    };
    let watched = begun.elapsed();
    if let Some(failed) = changes.failed {
        seen.unread("checks that flap", failed);
    }
    seen.indexes.extend(changes.indexes);
    let heard = log.heard();
    match &listened {
        Some(Err(refused)) => seen.unread("late heartbeats", refused.chain()),
        _ if heard.is_none() => seen.unread("late heartbeats", "the agent's log said nothing"),
        _ => {}
    }
    let heard = heard.filter(|_| !matches!(listened, Some(Err(_))));
    seen.watched = Watched { time: watched, changes: changes.seen, heard };
    Ok(())
}

/// What the agent's log tells.
#[derive(Default)]
struct Log {
    /// When the first and the last line came.
    lines: Option<(Instant, Instant)>,
    reports: BTreeMap<String, Vec<Duration>>,
}

impl Log {
    fn line(&mut self, line: &str) {
        let now = Instant::now();
        let (first, last) = self.lines.get_or_insert((now, now));
        *last = now;
        if let Some(check) = reported(line) {
            self.reports.entry(check.to_owned()).or_default().push(now.duration_since(*first));
        }
    }

    fn heard(self) -> Option<Heard> {
        let (first, last) = self.lines?;
        Some(Heard { time: last.duration_since(first), reports: self.reports })
    }
}

/// How checks change.
struct Changes {
    last: BTreeMap<String, Status>,
    seen: BTreeMap<String, Vec<Status>>,
    indexes: Vec<(String, u64)>,
    failed: Option<String>,
}

impl Changes {
    fn new(seen: &Seen) -> Self {
        let last = seen.checks.iter().map(|check| (check.place(), check.status)).collect();
        Self { last, seen: BTreeMap::new(), indexes: Vec::new(), failed: None }
    }

    async fn follow(&mut self, client: &Consul, begun: Instant, time: Duration) {
        let mut index = None;
        loop {
            let left = time.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            let block = index.map(|index| Block { index, wait: WAIT.min(left) });
            match client.document(CHECKS, Consistency::Stale, block).await {
                Ok(answer) => {
                    index = Some(answer.meta.index);
                    self.indexes.push((CHECKS.to_owned(), answer.meta.index));
                    self.take(&seen::checks(&answer.body).unwrap_or_default());
                }
                Err(error) => self.failed = Some(error.chain()),
            }
            sleep(REST.min(time.saturating_sub(begun.elapsed()))).await;
        }
    }

    fn take(&mut self, checks: &[seen::Check]) {
        for check in checks {
            let place = check.place();
            if self.last.insert(place.clone(), check.status).is_some_and(|before| before != check.status) {
                self.seen.entry(place).or_default().push(check.status);
            }
        }
    }
}
