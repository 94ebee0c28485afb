//! Paths of keys: any target names a key or none; a key's own target names it; a cut stands behind a separator.
//!
//! In:  a prefix, a separator and a target, each up to a zero byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan_server::inside::{key_named, key_target};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.splitn(3, '\0');
    let (Some(prefix), Some(separator), Some(target)) = (parts.next(), parts.next(), parts.next()) else { return };
    let Some((key, cut)) = key_named(target, prefix, separator) else { return };
    assert!(key.starts_with(prefix) && key.starts_with(&cut), "{key:?} was cut to {cut:?}");
    assert!(cut.starts_with(prefix), "{cut:?} lost {prefix:?}");
    assert!(!key.contains("//") && !key.chars().any(char::is_control), "{key:?} is no key");
    if separator.is_empty() {
        assert_eq!(key, cut);
    } else if cut != key {
        let after = &cut[prefix.len()..];
        assert_eq!(after.find(separator), Some(after.len() - separator.len()), "{cut:?} goes on behind {separator:?}");
    }
    let again = key_named(&key_target(&key), "", "");
    assert_eq!(again.as_ref().map(|(again, _)| again), Some(&key));
});
