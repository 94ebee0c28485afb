//! What people write about versions: a requirement, a split, a file of splits. Each is read or refused, and what is read
//! is shown as it reads.
//!
//! In:  any text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan::{Identity, Instance, Requirement, Split, Splits};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.parse::<Requirement>() {
        Ok(read) => assert_eq!(read.to_string().parse::<Requirement>().as_ref(), Ok(&read)),
        Err(wrong) => assert!((1..=text.chars().count() + 1).contains(&wrong.place()), "{wrong}"),
    }
    if let Ok(read) = text.parse::<Split>() {
        assert_eq!(read.to_string().parse::<Split>().ok().as_ref(), Some(&read));
    }
    let _read = text.parse::<Splits>();
    let instance = Instance::new(Identity::default(), "web", "10.0.0.1", 80);
    let instance = instance.with_meta([("version", text)]).with_tags([text]);
    assert!(instance.version.is_none() || instance.unreadable_version.is_none());
});
