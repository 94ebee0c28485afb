//! The version of an instance: where it is looked for, and what stands there. PURE.
//!
//! In:  meta, tags, and the places in the order in which they are believed. Out: a [`Reading`]: no version, one that is
//! known, or a text that is none.
//!
//! A version is a semantic one. A `v` before it, and parts that are left out at its end, are forgiven in every place, as
//! people write them: `v2` is 2.0.0, `1.4` is 1.4.0. Nothing else is: `1.4.x`, `1.4-rc` and `latest` are unreadable.
//!
//! Never: guesses; takes for a version what does not begin as one; hides a text that it could not read.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, LazyLock},
};

use super::{Instance, Meta};
use crate::error::Error;

/// So many places at most: each costs every instance a look.
const MOST: usize = 8;

/// A place where an instance's version may stand. As text: `meta:KEY`, `tag:PREFIX`, `pair:PREFIX`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VersionSource {
    /// The value under this key of its meta.
    Meta(Arc<str>),
    /// What follows this in a tag, where that begins with a digit: with `v`, the tag `v1.2.3` tells a version, and
    /// `very-old` tells none.
    TagPrefix(Arc<str>),
    /// What follows this in a tag, whatever it is: with `version=`, the tag `version=1.2.3`.
    TagPair(Arc<str>),
}

impl fmt::Display for VersionSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meta(key) => write!(f, "meta:{key}"),
            Self::TagPrefix(prefix) => write!(f, "tag:{prefix}"),
            Self::TagPair(prefix) => write!(f, "pair:{prefix}"),
        }
    }
}

impl FromStr for VersionSource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.split_once(':') {
            Some(("meta", key)) if !key.is_empty() => Ok(Self::Meta(key.into())),
            Some(("tag", prefix)) if !prefix.is_empty() => Ok(Self::TagPrefix(prefix.into())),
            Some(("pair", prefix)) if !prefix.is_empty() => Ok(Self::TagPair(prefix.into())),
            _ => Err(Error::config(format!(
                "version source: {text:?} is none; write meta:KEY, tag:PREFIX or pair:PREFIX, as in meta:version, tag:v, pair:version="
            ))),
        }
    }
}

/// The places where versions are looked for, the one that is believed most first.
///
/// A place that holds nothing, or nothing that can be read, is passed over for the next; when none can be read, the first
/// that held something is told. Default: meta `version`, a tag `v1.2.3`, a tag `version=1.2.3`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionSources(Arc<[VersionSource]>);

/// The usual places, made once: every instance of every answer is read by them.
static USUAL: LazyLock<VersionSources> = LazyLock::new(|| {
    let all = [
        VersionSource::Meta("version".into()),
        VersionSource::TagPrefix("v".into()),
        VersionSource::TagPair("version=".into()),
    ];
    VersionSources(all.into())
});

/// What the usual places say.
pub(crate) fn version(meta: &Meta, tags: &[Arc<str>]) -> Reading {
    USUAL.read(meta, tags)
}

impl Default for VersionSources {
    fn default() -> Self {
        USUAL.clone()
    }
}

impl FromIterator<VersionSource> for VersionSources {
    fn from_iter<I: IntoIterator<Item = VersionSource>>(sources: I) -> Self {
        Self(sources.into_iter().collect())
    }
}

impl VersionSources {
    /// The places, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &VersionSource> {
        self.0.iter()
    }

    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config), naming what is wrong.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let count = self.0.len();
        if !(1..=MOST).contains(&count) {
            let what = format!("versions: {count} places are not from 1 to {MOST}; meta:version is usual");
            return Err(Error::config(what));
        }
        let empty = |source: &&VersionSource| match source {
            VersionSource::Meta(text) | VersionSource::TagPrefix(text) | VersionSource::TagPair(text) => {
                text.is_empty()
            }
        };
        match self.0.iter().find(empty) {
            Some(source) => Err(Error::config(format!("versions: {source} has no key or prefix; name one"))),
            None => Ok(()),
        }
    }

    /// Whether they are the usual ones, by which every registry reads.
    fn are_usual(&self) -> bool {
        Arc::ptr_eq(&self.0, &USUAL.0) || self == &*USUAL
    }

    /// Reads the versions of these again, where these are not the usual places; what is as it was is left as it is.
    pub(crate) fn read_again(&self, instances: &mut [Arc<Instance>]) {
        if self.are_usual() {
            return;
        }
        for instance in instances {
            let (version, unreadable) = self.read(&instance.meta, &instance.tags).parts();
            if (&version, &unreadable) != (&instance.version, &instance.unreadable_version) {
                let instance = Arc::make_mut(instance);
                (instance.version, instance.unreadable_version) = (version, unreadable);
            }
        }
    }

    /// What these places say of an instance with this meta and these tags.
    #[must_use]
    pub fn read(&self, meta: &Meta, tags: &[Arc<str>]) -> Reading {
        let mut unreadable = None;
        for source in self.iter() {
            for text in source.texts(meta, tags) {
                match lenient_version(text) {
                    Some(version) => return Reading::Known(version),
                    None => {
                        unreadable
                            .get_or_insert_with(|| Unreadable { text: text.into(), from: source.clone() });
                    }
                }
            }
        }
        unreadable.map_or(Reading::None, Reading::Unreadable)
    }
}

/// What an instance says of its version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reading {
    /// Nothing.
    None,
    /// This.
    Known(semver::Version),
    /// Something that is no semantic version.
    Unreadable(Unreadable),
}

/// A text where a version was looked for, and which is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Unreadable {
    /// What stands there.
    pub text: Arc<str>,
    /// Where.
    pub from: VersionSource,
}

impl Unreadable {
    /// `text`, found in `from`.
    #[must_use]
    pub fn new(text: &str, from: VersionSource) -> Self {
        Self { text: text.into(), from }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in {}", self.text, self.from)
    }
}

impl VersionSource {
    fn texts<'a>(&'a self, meta: &'a Meta, tags: &'a [Arc<str>]) -> impl Iterator<Item = &'a str> {
        let of_meta = match self {
            Self::Meta(key) => meta.get(key).map(|text| &**text),
            _ => None,
        };
        let of_tag = move |tag: &'a Arc<str>| match self {
            Self::Meta(_) => None,
            Self::TagPrefix(prefix) => {
                tag.strip_prefix(&**prefix).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            }
            Self::TagPair(prefix) => tag.strip_prefix(&**prefix),
        };
        // An empty value says nothing: it is how people unset one.
        of_meta.into_iter().chain(tags.iter().filter_map(of_tag)).filter(|text| !text.is_empty())
    }
}

impl Instance {
    /// The same with its version as these places tell it.
    #[must_use]
    pub fn with_version_from(mut self, sources: &VersionSources) -> Self {
        self.set_version(sources.read(&self.meta, &self.tags));
        self
    }

    /// What it says of its version, as it was read.
    #[must_use]
    pub fn reading(&self) -> Reading {
        match (&self.version, &self.unreadable_version) {
            (Some(version), _) => Reading::Known(version.clone()),
            (None, Some(unreadable)) => Reading::Unreadable(Unreadable::clone(unreadable)),
            (None, None) => Reading::None,
        }
    }

    pub(crate) fn set_version(&mut self, reading: Reading) {
        (self.version, self.unreadable_version) = reading.parts();
    }
}

impl Reading {
    /// As an instance keeps it.
    pub(crate) fn parts(self) -> (Option<semver::Version>, Option<Arc<Unreadable>>) {
        match self {
            Self::None => (None, None),
            Self::Known(version) => (Some(version), None),
            Self::Unreadable(unreadable) => (None, Some(Arc::new(unreadable))),
        }
    }
}

/// A semantic version, with the `v` before it and missing parts forgiven (`v2`, `1.4`), as people write them.
pub(super) fn lenient_version(text: &str) -> Option<semver::Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    if let Ok(version) = semver::Version::parse(text) {
        return Some(version);
    }
    // What is more or else than numbers is no version with these either.
    let missing = if text.contains('.') { ".0" } else { ".0.0" };
    semver::Version::parse(&format!("{text}{missing}")).ok()
}

#[cfg(test)]
mod tests;
