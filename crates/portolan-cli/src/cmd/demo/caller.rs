//! The demo's caller: requests at a steady pace, each to an instance the library picks.
//!
//! In:  a resolver. Out: a [`Request`] for each, with every try. A try that fails is made once more, on another
//! instance.
//!
//! Never: counts an answer that did not come from the instance that was picked; has more than a bounded number of
//! requests under way.

use std::time::Duration;

use portolan::{Identity, Pick, Resolver};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::tally::{Request, Try};

/// From one request to the next: 150 a second.
const PACE: Duration = Duration::from_micros(6_667);
/// How long a try may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// Requests under way at once, at most.
const AT_ONCE: usize = 256;
/// The longest answer that is read.
const ANSWER_LIMIT: u64 = 16 * 1024;

/// Sends requests until it is told to stop, and then waits for those under way.
pub(crate) async fn run(
    web: Resolver,
    start: Instant,
    done: mpsc::Sender<Request>,
    mut stop: oneshot::Receiver<()>,
) {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            _ = pace.tick() => {}
            _ = &mut stop => break,
        }
        while under_way.try_join_next().is_some() {}
        if under_way.len() >= AT_ONCE {
            under_way.join_next().await;
        }
        let (web, done) = (web.clone(), done.clone());
        under_way.spawn(async move {
            let request = send(&web, start).await;
            // The receiver goes when the demo ends; nobody counts then.
            let _uncounted = done.send(request).await;
        });
    }
    while under_way.join_next().await.is_some() {}
}

/// One request: a pick, and another on another instance if that fails.
async fn send(web: &Resolver, start: Instant) -> Request {
    let mut tries: Vec<Try> = Vec::new();
    let mut failed: Option<Identity> = None;
    for _ in 0..2 {
        let picked = start.elapsed();
        let pick = match &failed {
            None => web.pick(),
            Some(identity) => web.pick_excluding(&[identity]),
        };
        let pick = match pick {
            Ok(pick) => pick,
            Err(none) => return Request { tries, lost: Some(none.to_string()) },
        };
        let error = attempt(&pick).await.err();
        let served = error.is_none();
        tries.push(Try { id: pick.identity.id.to_string(), picked, ended: start.elapsed(), failed: error });
        if served {
            return Request { tries, lost: None };
        }
        failed = Some(pick.identity.clone());
    }
    let reasons: Vec<String> =
        tries.iter().filter_map(|one| Some(format!("{}: {}", one.id, one.failed.as_ref()?))).collect();
    Request { tries, lost: Some(reasons.join("; ")) }
}

async fn attempt(pick: &Pick) -> Result<(), String> {
    let authority = pick.authority();
    let asked = exchange(&pick.address, pick.port, &authority);
    let answer = timeout(PATIENCE, asked)
        .await
        .map_err(|late| format!("no answer in 1 s ({late})"))?
        .map_err(|cause| cause.to_string())?;
    judge(&answer, &pick.identity.id)
}

/// A GET on a connection of its own, as the simplest of clients does it.
async fn exchange(address: &str, port: u16, authority: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((address, port)).await?;
    let request = format!("GET / HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_LIMIT).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Whether the answer is a 200 from the instance that was meant.
fn judge(answer: &[u8], id: &str) -> Result<(), String> {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Err(format!("the answer was cut short after {} bytes", answer.len()));
    };
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        return Err(format!("status {status:?}, 200 was wanted"));
    }
    if body != id {
        return Err(format!("another instance answered: {body:?}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_200_of_the_instance_that_was_meant_counts() {
        for (answer, fine) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nweb-1", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nweb-2", false),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nweb", false),
            ("HTTP/1.1 503 Busy\r\n\r\nweb-1", false),
            ("HTTP/1.1 200 OK\r\ncontent", false),
            ("", false),
        ] {
            assert_eq!(judge(answer.as_bytes(), "web-1").is_ok(), fine, "{answer:?}");
        }
    }
}
