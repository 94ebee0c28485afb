//! A preference as a word, for the command, logs and errors. PURE.
//!
//! In:  a preference, or any text. Out: the other of the two.
//!
//! Never: a text that reads as another preference than it was written from.

use std::{fmt, str::FromStr};

use super::Prefer;
use crate::error::Error;

/// With fewer instances zones say nothing. Envoy: `min_cluster_size`.
pub(super) const AMONG: usize = 6;

impl fmt::Display for Prefer {
    /// As it is read: `node`, `zone`, `zone=callers:30,among:3`, `region`, `tag=TAG`, `meta=KEY=VALUE`, `priority=KEY`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameNode => f.write_str("node"),
            Self::SameRegion => f.write_str("region"),
            Self::Tag(tag) => write!(f, "tag={tag}"),
            Self::Meta { key, value } => write!(f, "meta={key}={value}"),
            Self::Priority { key } => write!(f, "priority={key}"),
            Self::SameZone { callers, among } => {
                let callers = callers.map(|percent| format!("callers:{percent}"));
                let among = (*among != AMONG).then(|| format!("among:{among}"));
                let set: Vec<String> = callers.into_iter().chain(among).collect();
                if set.is_empty() { f.write_str("zone") } else { write!(f, "zone={}", set.join(",")) }
            }
        }
    }
}

impl FromStr for Prefer {
    type Err = Error;

    /// Reads `node`, `zone`, `zone=callers:30,among:3`, `region`, `tag=TAG`, `meta=KEY=VALUE` or `priority=KEY`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || {
            Error::config(format!(
                "prefer: {text:?} is not node, zone, zone=callers:PERCENT,among:COUNT, region, tag=TAG, meta=KEY=VALUE or \
                 priority=KEY"
            ))
        };
        let (kind, rest) = text.split_once('=').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
        let read = match (kind, rest) {
            ("node", None) => Self::SameNode,
            ("region", None) => Self::SameRegion,
            ("zone", None) => Self::same_zone(),
            ("zone", Some(rest)) => zone(rest).ok_or_else(unknown)?,
            ("tag", Some(tag)) => Self::tag(tag),
            ("priority", Some(key)) => Self::priority(key),
            ("meta", Some(rest)) => {
                let (key, value) = rest.split_once('=').ok_or_else(unknown)?;
                Self::meta(key, value)
            }
            _ => return Err(unknown()),
        };
        match read.wrong() {
            Some(wrong) => Err(Error::config(format!("prefer: {wrong}"))),
            None => Ok(read),
        }
    }
}

fn zone(text: &str) -> Option<Prefer> {
    let (mut callers, mut among) = (None, AMONG);
    for set in text.split(',') {
        match set.split_once(':')? {
            ("callers", percent) => callers = Some(percent.parse().ok()?),
            ("among", count) => among = count.parse().ok()?,
            _ => return None,
        }
    }
    Some(Prefer::SameZone { callers, among })
}
