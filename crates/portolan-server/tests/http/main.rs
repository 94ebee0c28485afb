//! The registry over real sockets: whole answers, blocking queries, serving and stopping.
//!
//! The expected bodies were taken from a Consul 1.21.4 that was asked the same; what differs on purpose is said where.

mod agent;
mod blocking;
mod catalog;
mod checks;
mod client;
mod ephemeral;
mod gzip;
mod hosts;
mod limits;
mod metrics;
mod page;
mod runners;
mod serving;
mod tls;
