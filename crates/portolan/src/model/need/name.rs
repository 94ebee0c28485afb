//! Names within a need: written so that no character of theirs is taken for a mark. PURE.
//!
//! Never: lets a name end, or hide, a mark.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fmt::{self, Write as _};

/// Whether it stands for itself.
pub(super) fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-')
}

/// Writes a name.
pub(super) fn write(name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut bytes = [0; 4];
    for c in name.chars() {
        if is_plain(c) {
            f.write_char(c)?;
        } else {
            for byte in c.encode_utf8(&mut bytes).bytes() {
                write!(f, "%{byte:02X}")?;
            }
        }
    }
    Ok(())
}

/// Reads a name.
///
/// # Errors
/// How many of its bytes are right, and what is wrong with the next.
pub(super) fn read(text: &str) -> Result<String, (usize, String)> {
    let mut name = Vec::with_capacity(text.len());
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == '%' {
            let digits = text.get(at.saturating_add(1)..at.saturating_add(3));
            let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            let byte =
                byte.ok_or_else(|| (at, "\"%\" is not followed by two hexadecimal digits".to_owned()))?;
            name.push(byte);
            chars.next();
            chars.next();
        } else if is_plain(c) {
            name.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            let bytes: String =
                c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02X}")).collect();
            return Err((at, format!("{c:?} cannot stand in a name; where it is meant, write {bytes}")));
        }
    }
    String::from_utf8(name).map_err(|_not_text| (0, "the bytes after \"%\" are not UTF-8".to_owned()))
}
