//! Clients that hold a connection: none keeps it. In memory, with time paused.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;
use crate::{HealthConfig, Probe};

/// A connection that is served, the client's end of it, and what stops the server.
fn connect(buffer: usize) -> (JoinSet<()>, DuplexStream, CancellationToken) {
    let probe = Probe::new("a", || async {});
    let health = HealthEndpoint::open(HealthConfig::default().probe(probe)).unwrap();
    let (ours, theirs) = duplex(buffer);
    let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
    tasks.spawn(connection(theirs, health.service(), stop.clone()));
    (tasks, ours, stop)
}

const REQUEST: &[u8] = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_to_an_end_is_cut_after_5_s() {
    for half in ["", "GET /health HT", "GET /health HTTP/1.1\r\nHost: x\r\n"] {
        let (mut tasks, mut client, _stop) = connect(1024);
        let began = Instant::now();
        client.write_all(half.as_bytes()).await.unwrap();
        tasks.join_next().await.unwrap().unwrap();
        assert_eq!(began.elapsed().as_secs(), 5, "{half:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again_but_not_for_ever() {
    let (mut tasks, mut client, _stop) = connect(1024);
    let began = Instant::now();
    let mut answers = 0;
    let mut buffer = [0; 1024];
    while client.write_all(REQUEST).await.is_ok() {
        let read = client.read(&mut buffer).await.unwrap();
        if read == 0 {
            break;
        }
        assert!(buffer[..read].starts_with(b"HTTP/1.1 200"));
        answers += 1;
        tokio::time::advance(3 * HEAD / 5).await;
    }
    assert!((99..=101).contains(&answers), "{answers}");
    assert!(began.elapsed() <= LIFE + HEAD, "{:?}", began.elapsed());
    tasks.join_next().await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_cut_in_the_end() {
    let (mut tasks, mut client, _stop) = connect(REQUEST.len());
    let began = Instant::now();
    client.write_all(REQUEST).await.unwrap();
    tasks.join_next().await.unwrap().unwrap();
    assert_eq!(began.elapsed().as_secs(), (LIFE + LAST_ANSWER).as_secs());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_at_once_when_the_server_does() {
    let (mut tasks, mut client, stop) = connect(1024);
    client.write_all(REQUEST).await.unwrap();
    assert!(client.read(&mut [0; 1024]).await.unwrap() > 0);
    let began = Instant::now();
    stop.cancel();
    tasks.join_next().await.unwrap().unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
}
