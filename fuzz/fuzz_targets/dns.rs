//! DNS packets: any bytes are answered or left, and what is said is an answer to them that another program can read.
//!
//! In:  a packet.
#![no_main]

use std::cell::RefCell;

use hickory_proto::{op::Message, serialize::binary::DecodeError};
use libfuzzer_sys::fuzz_target;
use portolan_server::inside::Packets;

thread_local! {
    static REGISTRY: RefCell<Packets> = RefCell::default();
}

fuzz_target!(|data: &[u8]| {
    let said = REGISTRY.with_borrow_mut(|registry| registry.answer(data));
    for answer in said.into_iter().flatten() {
        assert_eq!(answer.get(..2), data.get(..2), "another id");
        assert_ne!(answer[2] & 0x80, 0, "not an answer");
        match Message::from_vec(&answer) {
            Ok(read) => assert!(read.queries.len() <= 1),
            // `dig +subnet=0` asks so, and is answered so, by Consul too; this reader knows no such family.
            Err(DecodeError::UnknownAddressFamily(0)) => {
                let asked = data.windows(7).any(|bytes| matches!(bytes, [0, 8, _, _, 0, 0, 0]));
                assert!(asked, "nobody asked with a subnet of no family");
            }
            Err(why) => panic!("another program does not read it: {why:?}"),
        }
    }
});
