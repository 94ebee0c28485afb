//! Requests at a rate that the answers do not set, or as fast as so many connections can.
//!
//! In:  connections, requests, a rate. Out: how long it took, and how long each request took from when it was meant to be
//! sent.
//!
//! A request that is due while every connection waits for an answer is late, and its time runs from when it was due
//! (coordinated omission). What the timer itself is late by is not counted: then a connection was free.
//!
//! Never: leaves a failed request out: the first one ends the measurement.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::http::Connection;

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Sent in turn, again from the first after the last.
    pub(crate) requests: Arc<Vec<Vec<u8>>>,
    /// How many are sent at most.
    pub(crate) most: usize,
    /// For how long at most.
    pub(crate) within: Duration,
    /// Requests a second; `None`: as fast as the connections can.
    pub(crate) rate: Option<f64>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) took: Duration,
    /// In order.
    pub(crate) latencies: Vec<Duration>,
}

impl Outcome {
    /// Microseconds from one answer to the next.
    pub(crate) fn each(&self) -> f64 {
        self.took.as_secs_f64() * 1e6 / (self.latencies.len() as f64).max(1.0)
    }

    /// The latency that this share of the requests did not exceed, in milliseconds.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a length is a place in it"
        )]
        let place = (last as f64 * share) as usize;
        self.latencies.get(place).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    }
}

/// Sends it.
///
/// # Errors
/// When a request fails.
pub(crate) async fn run(addr: SocketAddr, load: &Load) -> anyhow::Result<Outcome> {
    let mut open = Vec::new();
    for _ in 0..load.connections {
        open.push(Connection::open(addr).await?);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut senders = JoinSet::new();
    for connection in open {
        senders.spawn(send(connection, load.clone(), Arc::clone(&next), begun));
    }
    let mut outcome = Outcome::default();
    while let Some(sent) = senders.join_next().await {
        outcome.latencies.extend(sent??);
    }
    outcome.took = begun.elapsed();
    outcome.latencies.sort_unstable();
    Ok(outcome)
}

async fn send(
    mut connection: Connection,
    load: Load,
    next: Arc<AtomicUsize>,
    begun: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = load.requests.get(number % load.requests.len().max(1)) else { break };
        let mut sent = Instant::now();
        if number >= load.most || sent.duration_since(begun) >= load.within {
            break;
        }
        if let Some(rate) = load.rate {
            let due = begun + Duration::from_secs_f64(number as f64 / rate);
            if due > sent {
                sleep_until(due).await;
                sent = Instant::now();
            } else {
                sent = due;
            }
        }
        connection.ask(request).await?;
        latencies.push(sent.elapsed());
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_latencies() {
        let latencies = (1..=100).map(Duration::from_millis).collect();
        let outcome = Outcome { took: Duration::from_secs(1), latencies };
        let quantiles = [0.0, 0.5, 1.0].map(|share| format!("{}", outcome.quantile(share)));
        assert_eq!(quantiles, ["1", "50", "100"]);
        assert_eq!(format!("{}", outcome.each()), "10000");
    }
}
