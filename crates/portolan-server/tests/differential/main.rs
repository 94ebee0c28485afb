//! The discovery interface beside a real Consul: the same requests in the same order to both, and every difference
//! explained.
//!
//! `requests/*.txt` are the requests, `known.rs` the differences. One that is not there fails the test; one that is there
//! and no longer occurs does too.

mod ask;
mod compare;
mod known;
mod table;
mod wake;

#[path = "../support/real.rs"]
mod real;

#[expect(dead_code, reason = "only the command and its ports are used here")]
#[path = "../../../portolan/tests/support/consul.rs"]
mod support;
#[path = "../support/version.rs"]
mod version;
