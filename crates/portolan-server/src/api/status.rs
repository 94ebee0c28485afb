//! `/v1/status/…`: who leads. There is one server, and it leads always.
//!
//! In:  calls. Out: the address of Consul's own protocol, which nothing here listens on; clients only look whether it
//! is there. Never: an empty leader.

use super::{
    call::Call,
    reply::{Outcome, value},
};
use crate::{core::Core, state::SERVER_PORT};

pub(super) fn address(core: &Core) -> String {
    std::net::SocketAddr::new(core.config.node_address(), SERVER_PORT).to_string()
}

pub(super) fn leader(core: &Core, call: &Call) -> Outcome {
    call.for_anyone();
    call.read_options(core)?;
    value(&address(core), call.layout())
}

pub(super) fn peers(core: &Core, call: &Call) -> Outcome {
    call.for_anyone();
    call.read_options(core)?;
    value(&[address(core)], call.layout())
}
