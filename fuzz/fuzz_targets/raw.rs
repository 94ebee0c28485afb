//! Bodies of health entries, one after another, read by what is remembered of the last: as a plain decode reads them.
//!
//! In:  bodies, with the byte 0x1e between them; the first byte says whether the output of checks is kept.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use portolan::registry::{
    CheckOutput, Recall,
    consul::inside::{Seen, is_split, plain, recalled},
};

/// What stands between two bodies.
const NEXT: u8 = 0x1e;

fuzz_target!(|data: &[u8]| {
    let Some((kind, bodies)) = data.split_first() else { return };
    let output = if kind % 2 == 0 { CheckOutput::Drop } else { CheckOutput::Keep };
    let recall = Recall::new(1);
    let mut last: Vec<Arc<portolan::Instance>> = Vec::new();
    for body in bodies.split(|byte| *byte == NEXT) {
        let expected = plain(body, output);
        assert_eq!(is_split(body, output, &recall), expected.is_ok(), "the split and the parser disagree");
        let found = recalled(body, output, &recall);
        assert_eq!(found, expected);
        let Ok(Seen { instances, .. }) = found else { continue };
        assert!(instances.windows(2).all(|pair| pair[0].identity < pair[1].identity));
        for new in &instances {
            if let Ok(at) = last.binary_search_by(|old| old.identity.cmp(&new.identity)) {
                assert_eq!(Arc::ptr_eq(&last[at], new), last[at] == *new, "what did not change is the same");
            }
        }
        last = instances;
    }
});
