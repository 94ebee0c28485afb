//! The library's adapters on the embedded registry: clients and servers of reqwest, hyper, tower, tonic and axum, over
//! sockets, with instances that are killed in the middle of what they do; and the examples.

mod axum;
mod examples;
mod hyper;
mod reqwest;
mod rules;
mod tonic;
mod tower;
mod world;

type Failure = Box<dyn std::error::Error + Send + Sync>;
