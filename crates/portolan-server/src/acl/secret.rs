//! What names a caller: a secret, and the hash that is kept of it. PURE.
//!
//! A secret is a UUID of 122 random bits, so a plain hash of it cannot be turned round: there is nothing to guess from, and
//! a salt or a slow hash would add nothing. Callers are found by the hash. How long that takes can tell at most how much of
//! a hash is right, which whoever asks cannot choose, and which says nothing of the secret; no two secrets are ever
//! compared. SHA-256 comes from ring, which the library has for TLS and signatures already.
//!
//! Never: shows a secret or its hash, in `Debug` or elsewhere.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fmt;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// What stands for a secret where it is not told.
pub(crate) const HIDDEN: &str = "<hidden>";

/// The secret of a token, as a caller shows it. Its `Debug` does not.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret: for a new token a UUID.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// For the one answer that has to tell it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> SecretHash {
        SecretHash(sum(self.0.as_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What is kept of a secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct SecretHash([u8; 32]);

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hash of a secret)")
    }
}

/// SHA-256.
pub(crate) fn sum(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    for (to, from) in sum.iter_mut().zip(digest(&SHA256, bytes).as_ref()) {
        *to = *from;
    }
    sum
}

/// 32 bytes in base64, as Go writes bytes into JSON (RFC 4648, section 4).
pub(crate) fn base64(bytes: &[u8; 32]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(44);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = usize::try_from((bits >> shift) & 63).ok().and_then(|digit| DIGITS.get(digit));
            out.push(if place > three.len() { '=' } else { digit.copied().map_or('=', char::from) });
        }
    }
    out
}

/// Whether a text has the form of a UUID.
pub(crate) fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == lengths.len()
        && parts
            .iter()
            .zip(lengths)
            .all(|(part, length)| part.len() == length && part.bytes().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_sha_256_and_nothing_shows_it() {
        let secret = Secret::new("abc");
        let hash = secret.hash();
        assert_eq!(hash.0[..4], [0xba, 0x78, 0x16, 0xbf], "FIPS 180-2, appendix B.1");
        let shown = format!("{secret:?} {hash:?}");
        assert_eq!(shown, "(secret) (hash of a secret)");
    }

    #[test]
    fn base64_is_as_others_write_it() {
        // Consul 1.21.4 gave this for a policy, and Python the bytes of it.
        assert_eq!(base64(&[0; 32]), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        assert_eq!(base64(&[255; 32]), "//////////////////////////////////////////8=");
        let counted: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        assert_eq!(base64(&counted), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    }

    #[test]
    fn a_uuid_has_its_form() {
        assert!(is_uuid("76624b4b-58d8-21a6-9c9b-fa6cf8b822b3"));
        for text in
            ["", "anonymous", "76624b4b-58d8-21a6-9c9b-fa6cf8b822b", "76624b4b58d821a69c9bfa6cf8b822b3"]
        {
            assert!(!is_uuid(text), "{text}");
        }
    }
}
