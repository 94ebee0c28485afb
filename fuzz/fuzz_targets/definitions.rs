//! Service files: read or refused with the field, in each syntax.
//!
//! In:  the first byte chooses HCL, JSON or TOML; the rest is the text.
#![no_main]
#![allow(dead_code, missing_docs)]

use libfuzzer_sys::fuzz_target;

// A module of the command, which is no library.
#[path = "../../crates/portolan-cli/src"]
mod command {
    pub(crate) mod definition;
}

use command::definition;

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let syntax = match kind % 3 {
        0 => definition::Syntax::Hcl,
        1 => definition::Syntax::Json,
        _ => definition::Syntax::Toml,
    };
    match definition::read(text, syntax) {
        Ok(found) => assert!(!found.is_empty() && found.iter().all(|one| one.validate().is_ok())),
        Err(wrong) => assert!(!wrong.to_string().is_empty()),
    }
});
