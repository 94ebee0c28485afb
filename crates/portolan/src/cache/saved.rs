//! What a view knows, as bytes: written for a cache, and read back with distrust. PURE: bytes and times in, values out.
//!
//! ```text
//! "portolan" | version: 2 | SHA-256 of all that follows: 32 | proof: 8 | HMAC-SHA-256 or zeros: 32 | JSON
//! ```
//!
//! Numbers are big-endian. `proof` is the time of day at which the registry last confirmed the content, in milliseconds
//! since 1970. The signature is over the proof and the content, which names its key: a value cannot be moved to another
//! key. The checksum tells damage from forgery.
//!
//! In:  any bytes. Out: a [`Saved`], or a typed reason why not.
//!
//! Never: panics on any bytes; takes a value of another view for its own; makes a proof look newer than it is.
//!
//! Proof: `saved/tests.rs`: every field goes there and back, and every changed byte is noticed.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use ring::{digest, hmac};

use super::CacheKey;
use crate::{
    error::{Error, Kind},
    model::Instance,
    snapshot::{Freshness, Hidden, Snapshot, Source},
};

mod wire;

const MAGIC: &[u8; 8] = b"portolan";
const VERSION: u16 = 1;
/// Everything before the JSON.
pub(super) const HEAD: usize = 82;
/// The largest value that is read. As an answer of the registry: `ConsulConfig::body_limit`'s default.
pub(super) const LARGEST: usize = 64 * 1024 * 1024;
/// How far ahead a proof may be that another machine's clock dated: clocks that are kept in step differ by less.
const AHEAD: Duration = Duration::from_secs(5);
/// How many caches a value's way is remembered through.
const LONGEST_WAY: usize = 8;

/// The time of day, since 1970.
pub(super) type Wall = Duration;

/// What is saved of a view. Held instances are not: whether they live is in doubt already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Saved {
    pub(super) key: CacheKey,
    /// When the registry last confirmed it, to the millisecond.
    pub(super) proof: Wall,
    /// The way it came: live, then each cache it has been through.
    pub(super) way: Vec<Source>,
    pub(super) index: u64,
    pub(super) streaming: bool,
    pub(super) hidden: Hidden,
    /// When an instance was last in it.
    pub(super) last_seen: Option<Wall>,
    /// Ordered by identity, each once.
    pub(super) instances: Arc<[Arc<Instance>]>,
}

/// Why bytes are not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// They do not start as ours do.
    NotOurs,
    /// A later version of this library wrote them.
    NewerFormat,
    /// They are not what was written.
    Damaged,
    /// They belong to another view.
    OtherKey,
    /// A signature is wanted, and there is none.
    Unsigned,
    /// Somebody without the key wrote them.
    BadSignature,
    /// The registry confirmed them longer ago than the settings allow.
    TooOld,
}

impl Unusable {
    /// One word for metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NotOurs => "not_ours",
            Self::NewerFormat => "newer_format",
            Self::Damaged => "damaged",
            Self::OtherKey => "other_key",
            Self::Unsigned => "unsigned",
            Self::BadSignature => "bad_signature",
            Self::TooOld => "too_old",
        }
    }

    /// Whether it can only be in the way: then it is set aside.
    pub(super) fn is_damage(self) -> bool {
        matches!(self, Self::NotOurs | Self::Damaged)
    }
}

/// Signs what is saved, and checks what is loaded.
pub(crate) struct Signer(hmac::Key);

impl Signer {
    /// The shortest key that is worth having, in bytes.
    const SHORTEST: usize = 16;

    /// # Errors
    /// [`Kind::Config`] for a key that is too short to be a secret.
    pub(crate) fn new(key: &[u8]) -> Result<Self, Error> {
        if key.len() < Self::SHORTEST {
            let (found, least) = (key.len(), Self::SHORTEST);
            let what = format!("cache.signing_key: has {found} bytes; give it {least} or more, from chance");
            return Err(Error::new(Kind::Config, what));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(hidden)")
    }
}

impl Saved {
    /// What is worth keeping of `snapshot`, whose proof was `wall - age` by the clock on the wall. `None` while nothing
    /// is known.
    pub(super) fn of(snapshot: &Snapshot, key: &CacheKey, now: Instant, wall: Wall) -> Option<Self> {
        let freshness = snapshot.freshness();
        let age = freshness.age(now)?;
        let before = |age: Duration| whole_millis(wall.saturating_sub(age));
        Some(Self {
            key: key.clone(),
            proof: before(age),
            way: vec![freshness.source],
            index: freshness.index,
            streaming: freshness.streaming,
            hidden: snapshot.hidden(),
            last_seen: snapshot.last_seen().map(|seen| before(now.saturating_duration_since(seen))),
            instances: Arc::clone(&snapshot.instances),
        })
    }

    /// The same, which came here by `way`, and from there into the view.
    pub(super) fn after(mut self, way: &[Source]) -> Self {
        let last = self.way;
        self.way = way.iter().copied().chain(last).take(LONGEST_WAY).collect();
        self
    }

    /// How old its proof is at `wall`.
    ///
    /// One that lies ahead was dated by a clock that has gone back since, or by another that is wrong: its age cannot be
    /// known, and is told as the greatest that is used at all.
    ///
    /// # Errors
    /// [`Unusable::TooOld`] past `limit`.
    pub(super) fn age(&self, wall: Wall, limit: Duration) -> Result<Duration, Unusable> {
        if is_ahead(self.proof, wall) {
            return Ok(limit);
        }
        Some(wall.saturating_sub(self.proof)).filter(|age| *age <= limit).ok_or(Unusable::TooOld)
    }

    /// Its proof; zero when it lies ahead, so that any other is newer.
    pub(super) fn believable_proof(&self, wall: Wall) -> Wall {
        if is_ahead(self.proof, wall) { Wall::ZERO } else { self.proof }
    }

    /// What a view knows that starts from this: confirmed now, with the age that it had. From here on its age runs by
    /// the clock that never goes back.
    pub(super) fn snapshot(&self, source: Source, age: Duration, now: Instant, wall: Wall) -> Snapshot {
        let freshness = Freshness {
            source,
            index: self.index,
            confirmed: Some(now),
            admitted: age,
            streaming: self.streaming,
        };
        // Where the clock cannot tell a time before the machine's start, the start is the best that can be told.
        let earlier = |seen: Wall| now.checked_sub(wall.saturating_sub(seen)).unwrap_or(now);
        Snapshot {
            instances: Arc::clone(&self.instances),
            freshness: Arc::new(freshness),
            last_seen: self.last_seen.map(earlier),
            hidden: self.hidden,
            ..Snapshot::nothing(self.key.service.clone())
        }
    }

    /// The bytes for a cache.
    ///
    /// # Errors
    /// [`Kind::Malformed`] when the instances cannot be written as JSON, or are too many.
    pub(super) fn encode(&self, signer: Option<&Signer>) -> Result<Vec<u8>, Error> {
        let mut content = Vec::new();
        wire::write(self, &mut content).map_err(|cause| {
            let what = format!("{}: cannot be written for a cache", self.key.service);
            Error::new(Kind::Malformed, what).caused_by(cause)
        })?;
        let bytes = seal(&content, millis(self.proof), signer);
        if !fits(bytes.len()) {
            let what =
                format!("{}: has {} bytes, and a cache takes {LARGEST}", self.key.service, bytes.len());
            return Err(Error::new(Kind::Malformed, what));
        }
        Ok(bytes)
    }

    /// Reads the bytes of a cache. With a `signer`, only what it signed.
    ///
    /// # Errors
    /// [`Unusable`], with the reason.
    pub(super) fn decode(bytes: &[u8], key: &CacheKey, signer: Option<&Signer>) -> Result<Self, Unusable> {
        let saved = Self::decode_any(bytes, signer)?;
        if saved.key == *key { Ok(saved) } else { Err(Unusable::OtherKey) }
    }

    /// Reads the bytes of a cache, whatever key they are of.
    pub(super) fn decode_any(bytes: &[u8], signer: Option<&Signer>) -> Result<Self, Unusable> {
        let head = Head::of(bytes)?;
        if digest::digest(&digest::SHA256, head.checked).as_ref() != head.checksum {
            return Err(Unusable::Damaged);
        }
        if let Some(Signer(signer)) = signer {
            if head.signature == [0; 32] {
                return Err(Unusable::Unsigned);
            }
            let signed = [&head.proof.to_be_bytes(), head.content].concat();
            hmac::verify(signer, &signed, head.signature).map_err(|_wrong| Unusable::BadSignature)?;
        }
        wire::read(head.content, Duration::from_millis(head.proof)).ok_or(Unusable::Damaged)
    }
}

/// The parts of a value, as they stand in it.
struct Head<'a> {
    checksum: &'a [u8],
    checked: &'a [u8],
    proof: u64,
    signature: &'a [u8],
    content: &'a [u8],
}

impl<'a> Head<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, Unusable> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(Unusable::NotOurs)?;
        let (version, rest) = rest.split_first_chunk().ok_or(Unusable::Damaged)?;
        let version = u16::from_be_bytes(*version);
        if version > VERSION {
            return Err(Unusable::NewerFormat);
        }
        let (checksum, checked) = rest.split_at_checked(32).ok_or(Unusable::Damaged)?;
        let (proof, rest) = checked.split_first_chunk().ok_or(Unusable::Damaged)?;
        let (signature, content) = rest.split_at_checked(32).ok_or(Unusable::Damaged)?;
        if version != VERSION || !fits(bytes.len()) {
            return Err(Unusable::Damaged);
        }
        Ok(Self { checksum, checked, proof: u64::from_be_bytes(*proof), signature, content })
    }
}

/// Whether `there` need not give way to `ours`: it starts as a value with a newer proof. A proof that lies ahead counts
/// for nothing, or a clock that was once wrong would keep every later value out.
///
/// Only its first [`HEAD`] bytes are needed, and nothing is verified.
pub(super) fn is_newer(there: &[u8], ours: &[u8], wall: Wall) -> bool {
    let proof = |bytes| Head::of(bytes).ok().map(|head| Duration::from_millis(head.proof));
    proof(there).is_some_and(|there| !is_ahead(there, wall) && proof(ours).is_some_and(|ours| ours < there))
}

/// Whether a value of so many bytes is written and read.
fn fits(length: usize) -> bool {
    length <= LARGEST
}

fn is_ahead(proof: Wall, wall: Wall) -> bool {
    proof.saturating_sub(wall) > AHEAD
}

fn millis(time: Wall) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn whole_millis(time: Wall) -> Wall {
    Duration::from_millis(millis(time))
}

/// `content` behind its head.
pub(super) fn seal(content: &[u8], proof: u64, signer: Option<&Signer>) -> Vec<u8> {
    let proof = proof.to_be_bytes();
    let tag = signer.map(|Signer(key)| sign(key, &proof, content));
    let signature = tag.as_ref().map_or(&[0; 32][..], AsRef::as_ref);
    let mut sum = digest::Context::new(&digest::SHA256);
    [&proof, signature, content].iter().for_each(|part| sum.update(part));
    [MAGIC, &VERSION.to_be_bytes()[..], sum.finish().as_ref(), &proof, signature, content].concat()
}

fn sign(key: &hmac::Key, proof: &[u8], content: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    context.update(proof);
    context.update(content);
    context.sign()
}

/// The key as a file's name: [`CacheKey::text`].
pub(super) fn text_of(key: &CacheKey) -> String {
    let shown = key.service.as_str().chars().take(64).enumerate().map(|(at, c)| {
        let plain = c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || (c == '.' && at > 0);
        if plain { c } else { '_' }
    });
    let mut text: String = shown.collect();
    let fields = [
        Some(&*key.registry),
        key.datacenter.as_deref(),
        Some(&*key.namespace),
        Some(&*key.partition),
        Some(&*key.scope),
        Some(key.service.as_str()),
    ];
    text.push('-');
    text.push_str(&hash(&fields, 16));
    text
}

/// What a token may see, without the token: a hash of 64 bits, salted with the registry's name.
pub(crate) fn scope_of(registry: &str, token: &[u8]) -> String {
    let token = digest::digest(&digest::SHA256, token);
    let token: String = hex(token.as_ref());
    hash(&[Some("scope"), Some(registry), Some(&token)], 8)
}

/// The first `bytes` of a hash over fields that cannot run into each other.
fn hash(fields: &[Option<&str>], bytes: usize) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for field in fields {
        let length = field.map_or(u64::MAX, |text| u64::try_from(text.len()).unwrap_or(u64::MAX));
        context.update(&length.to_be_bytes());
        context.update(field.unwrap_or_default().as_bytes());
    }
    hex(context.finish().as_ref().get(..bytes).unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
pub(in crate::cache) mod tests;
