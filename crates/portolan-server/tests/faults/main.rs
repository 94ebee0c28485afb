//! Faults over real sockets: each is what its word says, and without one nothing is changed.
//!
//! Nothing here sleeps: what must not come is waited for a moment, and the rest by events.

#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "../http/client.rs"]
mod client;
#[expect(dead_code, reason = "here the agent speaks plain HTTP only")]
#[path = "../../../portolan/tests/support/consul.rs"]
mod consul;
mod endpoint;
mod laws;
mod proxy;
mod recipes;
mod words;
