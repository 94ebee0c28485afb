//! The loopback of a network namespace of its own, and the cutting of one address off it.
//!
//! In:  addresses. Out: while one is cut off, no packet goes to it or comes from it, but from itself; connections stay
//! open and silent, as when a cable is pulled.
//!
//! It works by routing rules (`ip rule`), which a namespace has for itself: the machine's own are not touched, and what
//! is listened on meets nobody. Where there is no namespace (not Linux, not root) everything but cuts is tried.
//!
//! Never: changes a rule outside of a namespace that this program made.

use std::{net::Ipv4Addr, process::Command};

use anyhow::{Context as _, bail};

/// Says to this program, started anew, that it is in its namespace.
const INSIDE: &str = "PORTOLAN_TRIAL_NAMESPACE";

/// Starts this program anew in a namespace of its own, and gives how that ended; `None` when this is it, or when no
/// namespace can be had.
pub(crate) fn alone() -> anyhow::Result<Option<bool>> {
    if is_alone() {
        ip("link set lo up")?;
        return Ok(None);
    }
    let possible = Command::new("unshare").args(["--net", "ip", "link", "set", "lo", "up"]).output();
    if !possible.is_ok_and(|tried| tried.status.success()) {
        return Ok(None);
    }
    let program = std::env::current_exe().context("this program's own path")?;
    let mut inside = Command::new("unshare");
    inside.arg("--net").arg(program).args(std::env::args_os().skip(1)).env(INSIDE, "1");
    Ok(Some(inside.status().context("unshare --net")?.success()))
}

/// Whether cuts are possible.
pub(crate) fn is_alone() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// An address that is cut off until this is dropped.
#[derive(Debug)]
pub(crate) struct Cut(());

impl Cut {
    /// # Errors
    /// Outside of a namespace; when a rule cannot be set.
    pub(crate) fn off(address: Ipv4Addr) -> anyhow::Result<Self> {
        if !is_alone() {
            bail!("a cut needs a network namespace: run as root, with unshare and ip");
        }
        let cut = Self(());
        ip(&format!("rule add pref 1 from {address} to {address} lookup local"))?;
        ip(&format!("rule add pref 2 from {address} blackhole"))?;
        ip(&format!("rule add pref 3 to {address} blackhole"))?;
        // The rule that says "what is local is local" comes first, unless it is moved behind those.
        ip("rule add pref 100 lookup local")?;
        ip("rule del pref 0")?;
        Ok(cut)
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        let healed = ip("rule add pref 0 lookup local")
            .and_then(|()| [1, 2, 3, 100].iter().try_for_each(|pref| ip(&format!("rule del pref {pref}"))));
        if let Err(error) = healed {
            tracing::error!(error = format!("{error:#}"), "the cut could not be healed");
        }
    }
}

fn ip(words: &str) -> anyhow::Result<()> {
    let ended = Command::new("ip").args(words.split(' ')).output().context("ip")?;
    if !ended.status.success() {
        bail!("`ip {words}`: {}", String::from_utf8_lossy(&ended.stderr).trim());
    }
    Ok(())
}
