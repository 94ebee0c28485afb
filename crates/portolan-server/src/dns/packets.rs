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
