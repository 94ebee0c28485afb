//! Which versions will do: semver's requirements, and the newest. PURE.
//!
//! In:  a text, or an exact version. Out: a [`Requirement`], or an error that quotes the text and points at the place.
//!
//! | text | accepts |
//! | --- | --- |
//! | `^2.1`, `2.1` | from 2.1.0 up to below 3.0.0: without an operator it is `^`, as cargo has it |
//! | `~1.4`, `1.4.*` | from 1.4.0 up to below 1.5.0 |
//! | `>=1.4, <2` | both |
//! | `=1.2.3` | that one; builds (`1.2.3+7`) are not told apart |
//! | `*` | every release |
//! | `latest` | the newest release among those that are known |
//! | `latest-minor` | every release of the newest minor line among those that are known |
//!
//! A pre-release fits only on request, in one of two ways. A requirement that names one of the same three numbers accepts
//! it as semver has it: `>=2.0.0-rc.1` accepts `2.0.0-rc.2`, and not `2.1.0-rc.1`. And `+pre` at the end of any other
//! (`^2 +pre`, `latest +pre`) accepts a pre-release wherever the release would fit to which it leads.
//!
//! Never: accepts a pre-release that nobody asked for; reads a text otherwise than cargo's semver does.
//!
//! Proof: `requirement/tests.rs`, against cargo's semver.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{fmt, str::FromStr};

use semver::{Comparator, Op, Prerelease, Version, VersionReq};

use crate::error::Error;

/// A longer text is no requirement that a person wrote.
const LONGEST: usize = 256;
/// Asks for pre-releases.
const PRE: &str = "+pre";

/// Which versions will do: `^2.1`, `>=1.4, <2`, `=1.2.3`, `latest`, `latest-minor`; with ` +pre` also their pre-releases.
///
/// ```
/// use portolan::Requirement;
///
/// let two: Requirement = "^2.1".parse()?;
/// assert!(two.matches(&semver::Version::new(2, 4, 0)));
/// assert!(!two.matches(&semver::Version::new(3, 0, 0)));
///
/// let wrong = ">=1.4, ^^2".parse::<Requirement>().unwrap_err();
/// assert_eq!(wrong.place(), 9);
/// # Ok::<(), portolan::RequirementError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    wanted: Wanted,
    pre: Pre,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Wanted {
    Range(VersionReq),
    Latest,
    LatestMinor,
}

/// Whether pre-releases fit where the release would to which they lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Pre {
    AsNamed,
    Also,
}

impl Requirement {
    /// Exactly this version; builds (`1.2.3+7`) are not told apart.
    #[must_use]
    pub fn exactly(version: &Version) -> Self {
        Self::line(version, Some(version.patch), Pre::AsNamed)
    }

    /// Every release.
    #[must_use]
    pub fn any() -> Self {
        Self { wanted: Wanted::Range(VersionReq::STAR), pre: Pre::AsNamed }
    }

    /// The newest release among those that are known.
    #[must_use]
    pub fn latest() -> Self {
        Self { wanted: Wanted::Latest, pre: Pre::AsNamed }
    }

    /// Every release of the newest minor line among those that are known.
    #[must_use]
    pub fn latest_minor() -> Self {
        Self { wanted: Wanted::LatestMinor, pre: Pre::AsNamed }
    }

    /// The same, and pre-releases wherever the release would fit to which they lead. One that names a pre-release
    /// already stays as it is.
    #[must_use]
    pub fn with_pre(self) -> Self {
        let pre = if self.names_pre() { self.pre } else { Pre::Also };
        Self { pre, ..self }
    }

    /// Whether `version` will do. Of `latest` and `latest-minor` this is half the answer, for they depend on what else
    /// there is: every release will do. [`resolve`](Self::resolve) them first.
    #[must_use]
    pub fn matches(&self, version: &Version) -> bool {
        let range = match &self.wanted {
            Wanted::Range(range) => range,
            Wanted::Latest | Wanted::LatestMinor => &VersionReq::STAR,
        };
        range.matches(version) || (self.pre == Pre::Also && range.matches(&release(version)))
    }

    /// Whether it depends on which versions there are.
    #[must_use]
    pub fn is_relative(&self) -> bool {
        !matches!(self.wanted, Wanted::Range(_))
    }

    /// The same where these versions are known: `latest` becomes the newest of them, `latest-minor` the line of the
    /// newest. `None`: none of them is a release, or a pre-release that was asked for. All others are what they are.
    #[must_use]
    pub fn resolve<'a>(&self, known: impl IntoIterator<Item = &'a Version>) -> Option<Self> {
        if !self.is_relative() {
            return Some(self.clone());
        }
        let fitting = known.into_iter().filter(|version| self.matches(version));
        let newest = fitting.max_by(|one, other| one.cmp_precedence(other))?;
        Some(match self.wanted {
            Wanted::LatestMinor => Self::line(newest, None, self.pre),
            _ => Self::exactly(newest),
        })
    }

    /// This version, or with no patch its minor line.
    fn line(version: &Version, patch: Option<u64>, pre: Pre) -> Self {
        let comparator = Comparator {
            op: if patch.is_some() { Op::Exact } else { Op::Tilde },
            major: version.major,
            minor: Some(version.minor),
            patch,
            pre: if patch.is_some() { version.pre.clone() } else { Prerelease::EMPTY },
        };
        Self { wanted: Wanted::Range(VersionReq { comparators: vec![comparator] }), pre }
    }

    fn names_pre(&self) -> bool {
        match &self.wanted {
            Wanted::Range(range) => range.comparators.iter().any(|one| !one.pre.is_empty()),
            Wanted::Latest | Wanted::LatestMinor => false,
        }
    }
}

/// The release to which a pre-release leads.
fn release(version: &Version) -> Version {
    Version { pre: Prerelease::EMPTY, ..version.clone() }
}

impl From<Version> for Requirement {
    /// Exactly this version.
    fn from(version: Version) -> Self {
        Self::exactly(&version)
    }
}

impl From<VersionReq> for Requirement {
    fn from(range: VersionReq) -> Self {
        Self { wanted: Wanted::Range(range), pre: Pre::AsNamed }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wanted {
            Wanted::Range(range) => fmt::Display::fmt(range, f)?,
            Wanted::Latest => f.write_str("latest")?,
            Wanted::LatestMinor => f.write_str("latest-minor")?,
        }
        match self.pre {
            Pre::Also => write!(f, " {PRE}"),
            Pre::AsNamed => Ok(()),
        }
    }
}

/// A text that is no requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequirementError {
    text: String,
    place: usize,
    problem: String,
}

impl RequirementError {
    /// The text, as far as a log line bears it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Which of its characters is wrong, or begins what is wrong: the first is 1.
    #[must_use]
    pub fn place(&self) -> usize {
        self.place
    }
}

impl fmt::Display for RequirementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, place, problem } = self;
        write!(f, "{text:?} is no version requirement, at character {place}: {problem}")?;
        f.write_str("; write one such as \"^2.1\", \">=1.4, <2\", \"=1.2.3\", \"latest\" or \"latest-minor\"")
    }
}

impl std::error::Error for RequirementError {}

impl From<RequirementError> for Error {
    fn from(wrong: RequirementError) -> Self {
        Self::config(wrong.to_string())
    }
}

impl FromStr for Requirement {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Self, RequirementError> {
        let wrong = |byte: usize, problem: &str| {
            let place = text.get(..byte).unwrap_or(text).chars().count().saturating_add(1);
            let shown = text.chars().take(64).collect();
            Err(RequirementError { text: shown, place, problem: problem.to_owned() })
        };
        let too_long = |bytes: usize| wrong(0, &format!("it has {bytes} bytes; {LONGEST} are allowed"));
        if text.len() > LONGEST.saturating_add(PRE.len()) {
            return too_long(text.len());
        }
        let (body, also) = match text.trim_end().strip_suffix(PRE) {
            Some(body) => (body, true),
            None => (text, false),
        };
        let wanted = match body.trim() {
            "" => return wrong(0, "it is empty; \"*\" is every release"),
            "latest" => Wanted::Latest,
            "latest-minor" => Wanted::LatestMinor,
            _ => match VersionReq::parse(body) {
                // As it is shown, with an operator before each: what is shown must read again.
                Ok(range) => match range.to_string().len() {
                    long if long > LONGEST => return too_long(long),
                    _ => Wanted::Range(range),
                },
                Err(problem) => return wrong(place(body), &problem.to_string()),
            },
        };
        let found = Self { wanted, pre: Pre::AsNamed };
        if also && found.names_pre() {
            return wrong(body.len(), "it names a pre-release already; leave out \"+pre\", or that");
        }
        Ok(if also { found.with_pre() } else { found })
    }
}

/// Where a text begins to be wrong: the byte of the first of its parts that is, or of what cannot stand in that.
fn place(body: &str) -> usize {
    let mut begin: usize = 0;
    for part in body.split(',') {
        if VersionReq::parse(part).is_err() || (part.trim() == "*" && body.contains(',')) {
            let blank = part.len().saturating_sub(part.trim_start().len());
            let rest = part.trim_start();
            let number = rest.trim_start_matches(['<', '>', '=', '^', '~', ' ']);
            // Of a doubled operator the second is wrong, but for `<=` and `>=`.
            let first = match rest.get(..2) {
                Some("<=" | ">=") => 2,
                _ => usize::from(rest.starts_with(['<', '>', '=', '^', '~'])),
            };
            let operators = rest.len().saturating_sub(number.len());
            let spaces = rest.get(first..operators).is_none_or(|between| between.trim().is_empty());
            let odd = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-' | '+' | '*' | ' ');
            let inside = if spaces {
                number.trim_end().find(odd).map_or(0, |at| operators.saturating_add(at))
            } else {
                first
            };
            return begin.saturating_add(blank).saturating_add(inside);
        }
        begin = begin.saturating_add(part.len()).saturating_add(1);
    }
    0
}

#[cfg(test)]
mod tests;
