//! Which Consul is tried: older ones do less, and say it otherwise.

use std::process::Command;

use crate::support::{Failure, binary};

/// The minor version of Consul 1.
pub(crate) fn minor() -> Result<u32, Failure> {
    let output = Command::new(binary()?).arg("version").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let minor = text.split_once("v1.").and_then(|(_, rest)| rest.split('.').next()?.parse().ok());
    minor.ok_or_else(|| format!("cannot tell the version from {text:?}").into())
}
