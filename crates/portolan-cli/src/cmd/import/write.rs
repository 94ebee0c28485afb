//! A plan, carried out.
//!
//! In:  registrations and keys. Out: how much was written, what was refused, and the error that ended it.
//!
//! Keys go in groups, each as one transaction that writes a key only if it is as it was read; where one of a group is not, each
//! goes alone.
//!
//! Never: writes over what changed since it was read; goes on when the registry does not answer.

use portolan::{Error, Kind, Registry as _, registry::consul::Consul};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    plan::{Counts, Plan, Put},
    read::Progress,
};
use crate::cmd::explain;

/// How many keys one transaction may have: Consul took no more before 1.12.
const GROUP: usize = 64;
/// How long their values may be together, in base64: a transaction may have 512 KiB.
const GROUP_BYTES: usize = 256 << 10;
/// How many refusals are told one by one.
const TOLD: usize = 20;

/// What became of a plan.
#[derive(Debug, Default)]
pub(super) struct Done {
    written: Counts,
    refused: Vec<String>,
}

impl Done {
    /// What is told at the end.
    pub(super) fn lines(&self, plan: &Plan, overwrite: bool) -> Vec<String> {
        let mut lines = Vec::new();
        if !plan.same.is_none() {
            lines.push(format!("the same already: {}", plan.same));
        }
        if !plan.differs.is_none() {
            let hint = if overwrite { "they are the agent's own" } else { "--overwrite replaces them" };
            lines.push(format!("left alone, for they differ: {} ({hint})", plan.differs));
        }
        lines.extend(self.refused.iter().take(TOLD).cloned());
        if let Some(more) = self.refused.len().checked_sub(TOLD).filter(|more| *more > 0) {
            lines.push(format!("and {more} more were refused"));
        }
        lines.push(format!("copied: {}", self.written));
        lines.push(
            "never copied: sessions and locks, tokens and policies, prepared queries, config entries, intentions"
                .to_owned(),
        );
        lines
    }
}

/// Writes what is planned. What was done is told also where it ended early.
///
/// # Cancel safety
/// What was dropped is done in part, and can be repeated.
pub(super) async fn carry_out(
    client: &Consul,
    plan: &Plan,
    progress: &mut Progress,
) -> (Done, anyhow::Result<()>) {
    let mut done = Done::default();
    let ended = match registrations(client, plan, progress, &mut done).await {
        Ok(()) => keys(client, plan, progress, &mut done).await,
        failed => failed,
    };
    (done, ended)
}

async fn registrations(
    client: &Consul,
    plan: &Plan,
    progress: &mut Progress,
    done: &mut Done,
) -> anyhow::Result<()> {
    for (place, registration) in plan.registrations.iter().enumerate() {
        progress.at("writing nodes, instances and checks", place, plan.registrations.len());
        match write(client, &["catalog", "register"], &registration.body).await? {
            None => done.written.add(registration.counts),
            Some(refused) => {
                let node = registration.body.get("Node").and_then(Value::as_str).unwrap_or_default();
                let id = registration.body.pointer("/Service/ID").and_then(Value::as_str);
                let what = id.map_or_else(|| format!("node {node:?}"), |id| format!("{id:?} on {node:?}"));
                done.refused.push(format!("{what} was refused: {}", refused.chain()));
            }
        }
    }
    Ok(())
}

async fn keys(client: &Consul, plan: &Plan, progress: &mut Progress, done: &mut Done) -> anyhow::Result<()> {
    let mut rest = plan.keys.as_slice();
    while !rest.is_empty() {
        progress.at("writing keys", plan.keys.len().saturating_sub(rest.len()), plan.keys.len());
        let (group, after) = rest.split_at_checked(group(rest)).unwrap_or((rest, &[]));
        rest = after;
        if transaction(client, group).await?.is_none() {
            done.written.keys = done.written.keys.saturating_add(group.len());
            continue;
        }
        for put in group {
            match transaction(client, std::slice::from_ref(put)).await? {
                None => done.written.keys = done.written.keys.saturating_add(1),
                Some(refused) => {
                    done.refused.push(format!("key {:?} was not written: {}", put.key, refused.chain()));
                }
            }
        }
    }
    Ok(())
}

/// How many of these go together; at least one.
fn group(puts: &[Put]) -> usize {
    let mut bytes = 0_usize;
    let fits = |put: &&Put| {
        bytes = bytes.saturating_add(put.value.len()).saturating_add(put.key.len());
        bytes <= GROUP_BYTES
    };
    puts.iter().take(GROUP).take_while(fits).count().max(1)
}

async fn transaction(client: &Consul, puts: &[Put]) -> anyhow::Result<Option<Error>> {
    let op = |put: &Put| {
        let Put { key, value, flags, index } = put;
        json!({ "KV": { "Verb": "cas", "Key": key, "Value": value, "Flags": flags, "Index": index } })
    };
    let ops: Vec<Value> = puts.iter().map(op).collect();
    write(client, &["txn"], &Value::Array(ops)).await
}

/// One write: `Some` where the registry refused it; an error where it did not answer.
async fn write(client: &Consul, path: &[&str], body: &Value) -> anyhow::Result<Option<Error>> {
    let begun = Instant::now();
    match client.write_raw(path, body.to_string().into_bytes()).await {
        Ok(_answer) => Ok(None),
        Err(error) if error.kind() == Kind::Rejected => Ok(Some(error)),
        Err(error) => Err(explain(error, &client.describe(), begun.elapsed())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_bounded_in_number_and_size_and_never_empty() {
        let put = |length: usize| Put { key: "k".to_owned(), value: "v".repeat(length), flags: 0, index: 0 };
        assert_eq!(group(&vec![put(1); 100]), GROUP);
        assert_eq!(group(&[put(GROUP_BYTES), put(1)]), 1);
        assert_eq!(group(&[put(GROUP_BYTES / 2), put(1), put(GROUP_BYTES)]), 2);
        assert_eq!(group(&[put(1 << 20)]), 1);
    }
}
