//! Packets against a small catalogue without sockets, for the fuzz target `dns`.
//!
//! In:  bytes. Out: the answer's bytes. Never: is used by anything but `fuzz/`; waits.

use std::sync::Arc;

use super::{
    desk::{Desk, Turn},
    fit::Over,
};
use crate::{
    chance::Chance,
    config::{Dns, ServerConfig},
    core::Core,
    state::{
        CatalogEntry, Command,
        rows::{NodeSpec, Pairs, ServiceSpec},
    },
};

/// A registry that answers packets.
#[derive(Debug)]
pub struct Packets {
    desk: Desk,
    chance: Chance,
}

impl Default for Packets {
    fn default() -> Self {
        let core = Core::new(ServerConfig::default().seed(Some(1)));
        let instances =
            [("web", "10.0.0.1"), ("web", "2001:db8::1"), ("web", ""), ("named", "web.service.consul")];
        for (number, (service, address)) in instances.into_iter().enumerate() {
            let meta = Pairs::from([("rack".into(), "7".into())]);
            let name = format!("n{number}").into();
            let node =
                NodeSpec { name, id: "".into(), address: "10.0.1.1".into(), tagged: None, meta: Some(meta) };
            let spec = ServiceSpec { address: address.into(), ..ServiceSpec::new(service, service) };
            let entry =
                CatalogEntry { node, skip_node_update: false, service: Some(spec), checks: Vec::new() };
            // What is refused is not there to be asked for: the target still runs.
            drop(core.apply(Command::CatalogRegister(Box::new(entry))));
        }
        Self { desk: Desk::new(Arc::new(core), &Dns::default()), chance: Chance::new(1) }
    }
}

impl Packets {
    /// What is said to a packet over UDP and over TCP; `None`: nothing.
    pub fn answer(&mut self, packet: &[u8]) -> [Option<Vec<u8>>; 2] {
        [Over::Udp, Over::Tcp].map(|over| match self.desk.first(packet, over, &mut self.chance) {
            Turn::Say(answer) => Some(answer),
            Turn::Nothing | Turn::Others(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Message;
    use proptest::prelude::*;

    use super::*;

    /// A question for a name of labels that mean something here, with EDNS.
    fn packet() -> impl Strategy<Value = Vec<u8>> {
        let labels = prop::sample::select(vec![
            "web", "named", "_web", "_tcp", "service", "node", "addr", "0a000001", "n1", "dc1", "dc",
            "consul", "arpa", "in-addr", "1", "0", "10", "virtual", "query", "x",
        ]);
        let kinds = prop::sample::select(vec![1_u16, 2, 6, 12, 16, 28, 33, 252, 255]);
        (prop::collection::vec(labels, 0..7), kinds, any::<u16>()).prop_map(|(labels, kind, size)| {
            let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
            for label in labels {
                bytes.push(u8::try_from(label.len()).unwrap());
                bytes.extend(label.bytes());
            }
            bytes.push(0);
            bytes.extend(kind.to_be_bytes());
            bytes.extend([0, 1, 0, 0, 41]);
            bytes.extend(size.to_be_bytes());
            bytes.extend([0; 6]);
            bytes
        })
    }

    proptest! {
        #[test]
        fn any_packet_is_left_or_answered_and_another_program_reads_the_answer(
            mut packet in packet(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            for (at, byte) in changes {
                *at.get_mut(&mut packet) = byte;
            }
            packet.truncate(cut.map_or(packet.len(), |cut| cut.index(packet.len())));
            for answer in Packets::default().answer(&packet).into_iter().flatten() {
                prop_assert_eq!(answer.get(..2), packet.get(..2));
                let read = Message::from_vec(&answer);
                prop_assert!(read.is_ok(), "{:?}: {:?}", read, answer);
            }
        }
    }
}
