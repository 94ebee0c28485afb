//! Keys, sessions, transactions and events: each request to a real Consul and to the embedded registry in the same run.

mod command;
mod compared;
mod older;
mod requests;
mod site;
mod woken;

#[expect(dead_code, reason = "only a running agent and its address are used here")]
#[path = "../../../portolan/tests/support/consul.rs"]
mod support;
#[path = "../support/version.rs"]
mod version;
