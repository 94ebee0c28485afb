//! DNS packets: any bytes are answered or left, and what is said is an answer to them that another program can read.
//!
//! In:  a packet.
#![no_main]

use std::cell::RefCell;

use hickory_proto::op::Message;
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
        let read = Message::from_vec(&answer).expect("another program reads it");
        assert!(read.queries.len() <= 1);
    }
});
