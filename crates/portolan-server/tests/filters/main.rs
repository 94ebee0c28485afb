//! Filter expressions on the embedded registry and on a real Consul, with the same data: which rows fit, which expressions
//! are wrong, and with which words.
//!
//! A real Consul judges here rather than its parser alone: so the fields of each endpoint, their kinds, and how an answer
//! is refused are compared too.

mod agree;
mod generate;
mod selectors;
mod world;

#[expect(dead_code, reason = "only the agent and its address are used here")]
#[path = "../../../portolan/tests/support/consul.rs"]
mod support;
