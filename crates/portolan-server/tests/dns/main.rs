//! The DNS interface over real sockets: against a real Consul, question by question, and what a client may do to it.
//!
//! In:  the same catalogue in both, written over HTTP. Out: the same answers, but for the differences that are listed.

mod against;
mod ask;
mod bad;
mod catalogue;
mod recursion;
mod rules;
mod serving;
mod site;
#[expect(dead_code, reason = "only the command and the ports are used here")]
#[path = "../../../portolan/tests/support/consul.rs"]
mod support;
#[path = "../support/version.rs"]
mod version;
