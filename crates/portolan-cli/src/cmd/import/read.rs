//! All that is copied of a registry, read.
//!
//! In:  a registry. Out: a dump; on a terminal, how far it is.
//!
//! Never: changes anything; takes an answer in part.

use std::io::Write as _;

use anyhow::Context as _;
use portolan::{Kind, Registry as _, registry::consul::Consul};
use serde_json::Value;
use tokio::time::Instant;

use super::dump::{Dump, Part};
use crate::cmd::explain;

/// A line on stderr that is written over, where a person sees it.
#[derive(Debug)]
pub(in crate::cmd) struct Progress {
    shown: bool,
    length: usize,
}

impl Progress {
    pub(in crate::cmd) fn new(shown: bool) -> Self {
        Self { shown, length: 0 }
    }

    /// Says how far it is.
    pub(super) fn at(&mut self, what: &str, done: usize, of: usize) {
        self.line(&format!("{what}: {done} of {of}"));
    }

    /// Takes the line away.
    pub(in crate::cmd) fn end(&mut self) {
        self.line("");
    }

    fn line(&mut self, text: &str) {
        if !self.shown || (text.is_empty() && self.length == 0) {
            return;
        }
        let blank = " ".repeat(self.length.saturating_sub(text.len()));
        let end = if text.is_empty() { "\r" } else { "" };
        self.length = text.len();
        let mut err = std::io::stderr().lock();
        // That it cannot be written can be told to nobody.
        let _nobody_listens = write!(err, "\r{text}{blank}{end}").and_then(|()| err.flush());
    }
}

pub(super) async fn json(client: &Consul, path: &[&str], flags: &[&str]) -> anyhow::Result<Value> {
    let begun = Instant::now();
    let read = client.read_raw(path, flags).await;
    let body = read.map_err(|error| explain(error, &client.describe(), begun.elapsed()))?;
    serde_json::from_slice(&body).with_context(|| format!("{}: /v1/{}", client.describe(), path.join("/")))
}

/// Everything, or a part of it.
///
/// # Errors
/// Of the registry; the text says what was asked.
///
/// # Cancel safety
/// Nothing is changed.
pub(in crate::cmd) async fn everything(
    client: &Consul,
    part: Option<Part>,
    progress: &mut Progress,
) -> anyhow::Result<Dump> {
    let mut dump = Dump::default();
    if part != Some(Part::Kv) {
        let nodes = json(client, &["catalog", "nodes"], &[]).await?;
        let nodes = nodes.as_array().cloned().unwrap_or_default();
        let names: Vec<&str> =
            nodes.iter().filter_map(|node| node.get("Node").and_then(Value::as_str)).collect();
        for (place, name) in names.iter().enumerate() {
            progress.at("reading nodes", place, names.len());
            let node = json(client, &["catalog", "node", name], &[]).await?;
            // It may have gone meanwhile.
            if !node.is_null() {
                let checks = json(client, &["health", "node", name], &[]).await?;
                dump.add_node(name, &node, &checks);
            }
        }
    }
    if part != Some(Part::Services) {
        progress.at("reading keys", 0, 1);
        match client.read_raw(&["kv", ""], &["recurse"]).await {
            Ok(body) => {
                let keys = serde_json::from_slice(&body);
                dump.add_keys(&keys.with_context(|| format!("{}: /v1/kv/", client.describe()))?);
            }
            // There are none.
            Err(error) if error.kind() == Kind::NotFound => {}
            Err(error) => return Err(explain(error, &client.describe(), std::time::Duration::ZERO)),
        }
    }
    Ok(dump)
}
