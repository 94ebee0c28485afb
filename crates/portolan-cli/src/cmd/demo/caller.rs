//! The demo's caller: requests at a steady pace, each to an instance the library picks.
//!
//! In:  a resolver. Out: a [`Request`] for each, with every try. They go through the library's client over hyper; one
//! that fails is tried on another instance, within the service's budget of retries.
//!
//! Never: counts an answer that did not come from the instance that was picked; has more than a bounded number of
//! requests under way.

use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use portolan::{
    Attempt, Discovery, Failed, FailureKind, Resolver, Retry,
    integrate::hyper::{self, Cause},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use super::tally::{Request, Try};

/// From one request to the next: 150 a second.
const PACE: Duration = Duration::from_micros(6_667);
/// How long a try may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// Requests under way at once, at most.
const AT_ONCE: usize = 256;
/// The longest answer that is read.
const ANSWER_LIMIT: usize = 16 * 1024;
/// More than the tries of a request.
const TRIES: usize = 8;

/// Sends requests until it is told to stop, and then waits for those under way.
pub(crate) async fn run(
    (discovery, web): (Discovery, Resolver),
    start: Instant,
    done: mpsc::Sender<Request>,
    mut stop: oneshot::Receiver<()>,
) {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let client = Client::new(&discovery);
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
        let (web, client, done) = (web.clone(), client.clone(), done.clone());
        under_way.spawn(async move {
            let request = send(&web, &client, start).await;
            // The receiver goes when the demo ends; nobody counts then.
            let _uncounted = done.send(request).await;
        });
    }
    while under_way.join_next().await.is_some() {}
}

/// The client: hosts are services, but each try goes to the instance that was picked for it.
type Client = hyper::Client<Full<Bytes>>;

/// One request, tried elsewhere within the budget when it fails.
async fn send(web: &Resolver, client: &Client, start: Instant) -> Request {
    let retry = Retry::default().idempotent().each_within(PATIENCE);
    let (told, mut ends) = mpsc::channel(TRIES);
    let mut tries: Vec<Try> = Vec::new();
    let answer = web.call(retry, |attempt| {
        let picked = start.elapsed();
        // Its end is told, unless it is cut off because its time is over.
        let failed = Some(format!("no answer in {} s", PATIENCE.as_secs()));
        let ended = picked.saturating_add(PATIENCE);
        tries.push(Try { id: attempt.identity.id.to_string(), picked, ended, failed });
        let (client, told) = (client.clone(), told.clone());
        async move {
            let answer = ask(&client, &attempt).await;
            let failed = answer.as_ref().err().map(|failed| failed.error.to_string());
            // There is room for every try.
            let _told = told.try_send((attempt.number, start.elapsed(), failed));
            answer
        }
    });
    let lost = answer.await.err().map(|error| error.to_string());
    while let Ok((number, ended, failed)) = ends.try_recv() {
        let place = usize::try_from(number).unwrap_or_default().saturating_sub(1);
        if let Some(one) = tries.get_mut(place) {
            (one.ended, one.failed) = (ended, failed);
        }
    }
    Request { tries, lost }
}

async fn ask(client: &Client, attempt: &Attempt) -> Result<(), Failed<Cause>> {
    let mut request = http::Request::new(Full::default());
    *request.uri_mut() = Uri::from_static("http://web/");
    let answer = client.send_to(attempt, request, ANSWER_LIMIT).await?;
    let judged = judge(answer.status().as_u16(), answer.body(), &attempt.identity.id);
    judged.map_err(|why| Failed::new(FailureKind::Answer, why.into()))
}

/// Whether the answer is a 200 from the instance that was meant.
fn judge(status: u16, body: &[u8], id: &str) -> Result<(), String> {
    if status != 200 {
        return Err(format!("status {status}, 200 was wanted"));
    }
    if body != id.as_bytes() {
        return Err(format!("another instance answered: {:?}", String::from_utf8_lossy(body)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_200_of_the_instance_that_was_meant_counts() {
        for (status, body, fine) in
            [(200, "web-1", true), (200, "web-2", false), (200, "web", false), (503, "web-1", false)]
        {
            assert_eq!(judge(status, body.as_bytes(), "web-1").is_ok(), fine, "{status} {body:?}");
        }
    }
}
