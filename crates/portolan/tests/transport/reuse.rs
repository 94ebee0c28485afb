//! H12: reports that go out side by side, as many as the guard lets, keep their connections: the next go over the same.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use axum::{Router, routing::put, serve::ListenerExt as _};
use portolan::{
    CheckId, Registry as _, Status,
    registry::{
        Report,
        consul::{Consul, ConsulConfig},
    },
};
use tokio::{net::TcpListener, sync::Barrier, task::JoinSet};

use crate::script::Failure;

/// How many calls of a kind the guard lets run at once.
const PLACES: usize = 16;

#[tokio::test]
async fn h12_reports_side_by_side_go_over_the_connections_of_those_before() -> Result<(), Failure> {
    let (opened, together) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(PLACES)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let count = Arc::clone(&opened);
    let listener = listener.tap_io(move |_| {
        count.fetch_add(1, SeqCst);
    });
    // Each waits for all of its round, so that every round needs all connections at once.
    let answer = move || {
        let together = Arc::clone(&together);
        async move {
            let _last = together.wait().await;
        }
    };
    let mut server = JoinSet::new();
    let app = Router::new().route("/v1/agent/check/update/{check}", put(answer));
    server.spawn(async move { axum::serve(listener, app).await });

    let consul = Arc::new(Consul::new(ConsulConfig::default().address(address)?));
    let mut after_first = 0;
    for round in 0..20 {
        let mut calls = JoinSet::new();
        for place in 0..PLACES {
            let report = Report::new(CheckId::new(format!("service:web-{place}"))?, Status::Passing, "");
            let consul = Arc::clone(&consul);
            calls.spawn(async move { consul.report(&report).await });
        }
        while let Some(done) = calls.join_next().await {
            done??;
        }
        if round == 0 {
            after_first = opened.load(SeqCst);
        }
    }
    assert_eq!((after_first, opened.load(SeqCst)), (PLACES, PLACES));
    Ok(())
}
