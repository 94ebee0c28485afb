//! Files of faults: read or refused, and what is read is shown as it reads.
//!
//! In:  any text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan_server::faults::Plan;

fuzz_target!(|data: &str| {
    match Plan::parse(data) {
        Ok(plan) => {
            assert_eq!(Plan::parse(&plan.to_string()).ok().as_ref(), Some(&plan));
            let _none = plan.fault("GET", data, 0);
        }
        Err(wrong) => assert!(wrong.to_string().starts_with("faults, line "), "{wrong}"),
    }
});
