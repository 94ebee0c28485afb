//! Tokens, policies and rights over HTTP: each kind of rule on each endpoint beside a real Consul, and on its own.

mod answers;
mod kept;
#[path = "../support/real.rs"]
mod real;
mod requests;
mod rules;
mod site;
mod table;

#[expect(dead_code, reason = "only the command and its ports are used here")]
#[path = "../../../portolan/tests/support/consul.rs"]
mod support;
#[path = "../support/version.rs"]
mod version;
