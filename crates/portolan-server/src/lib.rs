//! The embedded registry: a catalogue that speaks Consul's HTTP interface, for a laptop, a test, one machine.
//!
//! ```text
//! HTTP (api) ─┐                      ┌─ wait: index -> wake-ups
//! embed      ─┼─ commands ─▶ state ──┼─ encode: rows -> JSON, once for all who wait
//! check, dns ─┘  (pure)              ├─ probes to run, deadlines
//!                                    └─ durable: rows -> store, a group of writes at a time
//! ```
//!
//! - [`Server`] binds a port and serves; [`Server::run`] ends within a deadline.
//! - [`Server::ephemeral`] is one in a test: a line, a free port, gone with its handle.
//! - [`Embedded`] is the same registry without the network, as a [`portolan::Registry`].
//! - [`ServerConfig`] has the settings of both; [`Limits`] what clients may take, [`Https`] where TLS is spoken, [`Dns`] how
//!   it answers DNS.
//! - [`telemetry`] lists what it counts and traces: `GET /metrics`, for Prometheus.
//! - [`Page`] serves the web page before any registry, as [`ServerConfig::ui`] has it on this one.
//! - [`faults`] makes it, or a real Consul behind a proxy, misbehave on purpose: for tests of what reads from it.
//!
//! Without [`ServerConfig::data_dir`] it starts empty, with its indexes at 1, as `consul agent -dev` does, and forgets
//! everything at the end. With it, what was acknowledged is on disk, and is back at the next start; [`Repair`] is for
//! a directory that is refused. On more than one machine the registry is Consul itself.
//!
//! ```
//! # async fn example() -> Result<(), portolan::Error> {
//! use portolan_server::{Server, ServerConfig};
//!
//! let config = ServerConfig::default().http_addr(([127, 0, 0, 1], 0).into());
//! let server = Server::bind(config).await?;
//! println!("CONSUL_HTTP_ADDR=http://{}", server.http_addr());
//! server.run(async { /* until this ends */ }).await;
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
//! ```

mod acl;
mod api;
pub mod backup;
mod chance;
mod check;
mod complete;
mod config;
mod core;
mod dns;
#[cfg(doctest)]
mod documents;
mod durable;
mod embed;
mod encode;
mod ephemeral;
mod event;
pub mod faults;
#[doc(hidden)]
pub mod inside;
mod repair;
mod server;
mod state;
mod store;
pub mod telemetry;
mod ui;
mod wait;

pub use acl::{DefaultPolicy, secret::Secret};
pub use config::{AdoptSpan, Dns, Https, Limits, ServerConfig};
pub use embed::Embedded;
pub use ephemeral::{Ephemeral, Running};
pub use repair::Repair;
pub use server::{Certificates, Server};
pub use ui::pass::Page;
