//! How requests are shared between versions: weights, and the requirement to which each belongs. PURE.
//!
//! In:  a list from code, or a text such as `95 ^1, 5 ^2`. Out: a [`Split`] that is right by construction.
//!
//! Never: without a part that gets something; the same requirement twice, for the second would have no instance.
//!
//! Proof: `split/tests.rs`; what is made of it, in `resolve/tests/splits.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{fmt, str::FromStr, sync::Arc};

use super::Requirement;
use crate::error::Error;

/// So many parts at most: a key's part is looked for one after the other.
const MOST: usize = 8;

/// One part of a [`Split`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SplitPart {
    /// Its share of the requests, against the other parts: 0 to 65,535. With 0 it gets none, also when no other part has
    /// an instance: it was stepped back on purpose.
    pub weight: u16,
    /// Which versions are in it.
    pub requirement: Requirement,
}

/// Shares of the requests between versions, such as 95 % to `^1` and 5 % to `^2`. As text: `95 ^1, 5 ^2`, with or without
/// a `%` after the weights.
///
/// An instance belongs to the first part that accepts its version, so that `10 ^2, 90 *` sends a tenth to `^2` and the
/// rest to all others. What belongs to none, or has no readable version, gets nothing.
///
/// ```
/// use portolan::Split;
///
/// let canary: Split = "95 ^1, 5 ^2".parse()?;
/// assert_eq!(canary.parts().len(), 2);
/// # Ok::<(), portolan::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split(Arc<[Arc<SplitPart>]>);

impl Split {
    /// A split of these parts: 1 to 8, not all of weight 0, each requirement once.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config), naming what is wrong.
    pub fn new(parts: impl IntoIterator<Item = (u16, Requirement)>) -> Result<Self, Error> {
        let part = |(weight, requirement)| Arc::new(SplitPart { weight, requirement });
        let parts: Arc<[Arc<SplitPart>]> = parts.into_iter().map(part).collect();
        let wrong = |what: String| Err(Error::config(format!("split: {what}")));
        if !(1..=MOST).contains(&parts.len()) {
            return wrong(format!(
                "{} parts are not from 1 to {MOST}; write one such as \"95 ^1, 5 ^2\"",
                parts.len()
            ));
        }
        if parts.iter().all(|part| part.weight == 0) {
            return wrong(
                "all weights are 0, so that nothing would get a request; give a part more".to_owned(),
            );
        }
        let twice = |at: usize, part: &SplitPart| {
            parts.iter().take(at).any(|before| before.requirement == part.requirement)
        };
        match parts.iter().enumerate().find(|(at, part)| twice(*at, part)) {
            Some((_, part)) => wrong(format!("{} has two parts; give it one", part.requirement)),
            None => Ok(Self(parts)),
        }
    }

    /// All requests to the versions that this requirement accepts.
    #[must_use]
    pub fn all(requirement: Requirement) -> Self {
        Self([Arc::new(SplitPart { weight: 1, requirement })].into())
    }

    /// The parts, in their order.
    #[must_use]
    pub fn parts(&self) -> &[Arc<SplitPart>] {
        &self.0
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{} {}", part.weight, part.requirement)?;
        }
        Ok(())
    }
}

impl FromStr for Split {
    type Err = Error;

    /// A comma stands between parts, and may stand in a requirement: what begins with a number and a space after it
    /// begins a part.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts: Vec<(&str, String)> = Vec::new();
        for piece in text.split(',') {
            match (begins(piece), parts.last_mut()) {
                (Some((weight, rest)), _) => parts.push((weight, rest.to_owned())),
                (None, Some((_, requirement))) => {
                    requirement.push(',');
                    requirement.push_str(piece);
                }
                (None, None) => {
                    let piece: String = piece.trim().chars().take(64).collect();
                    return Err(Error::config(format!(
                        "split: {piece:?} does not begin with a weight; write parts such as \"95 ^1, 5 ^2\""
                    )));
                }
            }
        }
        let read = |(at, (weight, requirement)): (usize, (&str, String))| {
            let number = at.saturating_add(1);
            let weight = weight.parse().map_err(|cause: std::num::ParseIntError| {
                let what = format!("split, part {number}: weight {weight:.20} is not from 0 to 65535");
                Error::config(what).caused_by(cause)
            })?;
            let requirement = requirement
                .parse::<Requirement>()
                .map_err(|cause| Error::config(format!("split, part {number}: {cause}")))?;
            Ok((weight, requirement))
        };
        let parts: Vec<_> = parts.into_iter().enumerate().map(read).collect::<Result<_, Error>>()?;
        Self::new(parts)
    }
}

/// The weight and the rest of a piece that begins a part.
fn begins(piece: &str) -> Option<(&str, &str)> {
    let piece = piece.trim_start();
    let (weight, rest) = piece.split_at_checked(piece.find(|c: char| !c.is_ascii_digit())?)?;
    let unmarked = rest.trim_start().strip_prefix('%').unwrap_or(rest);
    let spaced = unmarked.starts_with(char::is_whitespace) && !unmarked.trim().is_empty();
    (!weight.is_empty() && spaced).then(|| (weight, unmarked.trim()))
}

#[cfg(test)]
mod tests;
