//! One request to the agent, and its whole answer or a typed error.
//!
//! In:  a [`Call`]. Out: the headers' words and the complete body.
//!
//! Never: retries; gives a part of an answer; waits past a deadline; reads more than the body limit; logs a token.
//! Watches, other calls and TTL reports have connections of their own, so that one kind cannot starve another.
//!
//! Rules from Consul: COMPATIBILITY.md, sections H and E. Proof: `tests/transport_rules.rs`, `tests/transport/cuts.rs`.

use std::{
    hash::{BuildHasher as _, RandomState},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use super::{
    body::{self, Trouble},
    call::{Call, Wants},
    config::{self, Compression, ConsulConfig, Secret},
    headers::{self, Token},
    refusal,
    routes::{Route, Routes},
    target::{Target, granted},
};
use crate::{
    duration::format_duration,
    error::{Error, Kind},
    registry::{AnswerMeta, Block},
    telemetry,
};

pub(super) mod pass;

/// How long the first address may take to show that it is back; the read that finds out waits for it.
const TRIAL: Duration = Duration::from_secs(2);
/// How much of an error's body is read.
const ERROR_BODY: usize = 16 * 1024;

/// A complete good answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) meta: AnswerMeta,
    pub(super) body: Bytes,
    /// The request as messages name it.
    pub(super) request: String,
    /// The time on the registry's clock, as it wrote it.
    pub(super) date: Option<HeaderValue>,
}

/// The way to a registry.
pub(super) struct Transport {
    routes: Routes,
    shown: String,
    token: ArcSwapOption<Secret>,
    token_file: Option<PathBuf>,
    basic_auth: Option<Secret>,
    namespace: Option<Arc<str>>,
    partition: Option<Arc<str>>,
    request_timeout: Duration,
    body_limit: usize,
    compression: Compression,
}

impl Transport {
    pub(super) fn new(config: ConsulConfig) -> Self {
        // Only to spread the returns of many processes: nothing that is read depends on it.
        let routes = Routes::new(&config, RandomState::new().hash_one("portolan"));
        Self {
            shown: routes.shown(),
            routes,
            token: ArcSwapOption::new(config.token.map(Arc::new)),
            token_file: config.token_file,
            basic_auth: config.basic_auth,
            namespace: config.namespace,
            partition: config.partition,
            request_timeout: config.request_timeout,
            body_limit: config.body_limit,
            compression: config.compression,
        }
    }

    pub(super) fn endpoint(&self) -> Option<String> {
        self.routes.endpoint()
    }

    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// How many reads can wait side by side on shared connections; `None`: each needs one of its own.
    pub(super) fn watches(&self) -> Option<usize> {
        self.routes.watches()
    }

    /// Does one exchange: measured, traced, within its deadline.
    pub(super) async fn exchange(&self, mut call: Call) -> Result<Reply, Error> {
        call.target = call
            .target
            .pair_if("ns", self.namespace.as_deref())
            .pair_if("partition", self.partition.as_deref());
        let (operation, waits) = (call.operation, call.block.is_some());
        let block = call.block.map(|block| (block.index, block.wait));
        let span = telemetry::request_span(operation, &call.method, call.target.path(), block);
        let started = Instant::now();
        let done = self.routed(call).instrument(span.clone()).await;
        if !waits {
            metrics::histogram!(telemetry::REQUEST_SECONDS, "operation" => operation)
                .record(started.elapsed().as_secs_f64());
        }
        let outcome = match &done {
            Ok(_) => "ok",
            Err(error) => {
                let kind = telemetry::kind_label(error.kind());
                telemetry::failed(&span, kind);
                kind
            }
        };
        metrics::counter!(telemetry::REQUESTS, "operation" => operation, "outcome" => outcome).increment(1);
        done
    }

    /// Sends a read where reads go now, and all else to the first address.
    async fn routed(&self, call: Call) -> Result<Reply, Error> {
        let Some(read) = call.read.clone() else {
            return self.within_deadline(self.routes.first(), call).await;
        };
        if self.routes.tries_first(Instant::now().into_std()) {
            self.try_first().await;
        }
        let limit = deadline(call.block, self.request_timeout);
        let trip = self.routes.travel(&read, call.block.map(|block| block.index), limit)?;
        let done = self.within_deadline(trip.route(), call).await;
        trip.end(done.as_ref().map(|reply| reply.meta.index));
        done
    }

    /// Sees whether the first address answers again and knows a leader.
    async fn try_first(&self) {
        let first = self.routes.first();
        let call = Call::get("probe", Target::new("/v1/status/leader"), None);
        let name = format!("{}: {} {}", first.shown, call.method, call.target.path());
        let answer = timeout(TRIAL, Box::pin(self.send(first, call, name))).await;
        // Without a leader the answer is an empty text in quotes.
        if answer.is_ok_and(|answer| answer.is_ok_and(|reply| reply.body.trim_ascii().len() > 2)) {
            self.routes.first_is_back(Instant::now().into_std());
        }
    }

    async fn within_deadline(&self, route: &Route, call: Call) -> Result<Reply, Error> {
        let limit = deadline(call.block, self.request_timeout);
        let name = format!("{}: {} {}", route.shown, call.method, call.target.path());
        let Ok(done) = timeout(limit, Box::pin(self.send(route, call, name.clone()))).await else {
            let limit = format_duration(limit);
            let what =
                format!("{name}: no complete answer within {limit}; the registry or the network is slow");
            return Err(Error::new(Kind::Timeout, what));
        };
        done
    }

    async fn send(&self, route: &Route, call: Call, name: String) -> Result<Reply, Error> {
        let token = self.token.load_full();
        let sent = if token.is_some() { Token::Sent } else { Token::None };
        telemetry::sent_to(&route.shown);
        let request = self.request(&route.base, &call, &name, token.as_deref())?;
        let pool = route.pools(call.lane);
        let (answer, _lease) = pool.request(request).await.map_err(|cause| unreachable(&name, cause))?;
        let (head, incoming) = answer.into_parts();
        telemetry::answered(head.status);

        if !head.status.is_success() {
            // What could be read of the text is enough: the status is what counts.
            let text = body::read_some(incoming, ERROR_BODY).await;
            let text = body::decode(&head.headers, text.clone(), ERROR_BODY).unwrap_or(text);
            let error = refusal::refused(&name, head.status, &text);
            return Err(match error.kind() {
                Kind::Denied => self.denied(error, token.as_deref()).await,
                _ => error,
            });
        }
        let complete = async {
            let bytes = body::read(incoming, self.body_limit).await?;
            body::decode(&head.headers, bytes, self.body_limit)
        };
        let body = complete.await.map_err(|trouble| self.malformed(&name, trouble))?;
        if call.wants == Wants::Json {
            json_promised(&name, head.status, &head.headers, &body)?;
        }
        let date = head.headers.get(header::DATE).cloned();
        Ok(Reply { meta: headers::read(&head.headers, sent), body, request: name, date })
    }

    /// Sends a question to the first address whose answer goes on, and gives each part of it as it comes.
    pub(super) async fn follow(&self, call: Call, mut each: impl FnMut(&[u8])) -> Result<(), Error> {
        let route = self.routes.first();
        let name = format!("{}: {} {}", route.shown, call.method, call.target.path());
        let token = self.token.load_full();
        let mut request = self.request(&route.base, &call, &name, token.as_deref())?;
        // A compressed stream holds back what it has not filled a block with.
        request.headers_mut().remove(header::ACCEPT_ENCODING);
        let head = timeout(self.request_timeout, route.pools(call.lane).request(request)).await;
        let (answer, _lease) = head
            .map_err(|late| Error::new(Kind::Timeout, format!("{name}: no answer in time")).caused_by(late))?
            .map_err(|cause| unreachable(&name, cause))?;
        let (head, mut incoming) = answer.into_parts();
        if !head.status.is_success() {
            let text = body::read_some(incoming, ERROR_BODY).await;
            return Err(refusal::refused(&name, head.status, &text));
        }
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|cause| self.malformed(&name, Trouble::Cut(cause)))?;
            frame.data_ref().into_iter().for_each(|data| each(data));
        }
        Ok(())
    }

    fn request(
        &self,
        base: &str,
        call: &Call,
        name: &str,
        token: Option<&Secret>,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{base}{}", call.target.as_str()))
            .body(Full::new(Bytes::from(call.body.clone().unwrap_or_default())))
            .map_err(|cause| {
                Error::new(Kind::Config, format!("{name}: is no URL; shorten the names in it"))
                    .caused_by(cause)
            })?;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("portolan/", env!("CARGO_PKG_VERSION"))),
        );
        if self.compression == Compression::Gzip {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if call.body.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(token) = token {
            headers.insert("x-consul-token", token.header());
        }
        if let Some(pair) = &self.basic_auth {
            headers.insert(header::AUTHORIZATION, pair.header());
        }
        Ok(request)
    }

    /// After a 403: reads the token file again, so that the next call uses a rotated token. This call is not repeated.
    async fn denied(&self, error: Error, used: Option<&Secret>) -> Error {
        let Some(path) = self.token_file.clone() else { return error };
        let read = tokio::task::spawn_blocking(move || config::read_token("token_file", &path)).await;
        match read {
            Ok(Ok(token)) if Some(&token) != used => {
                self.token.store(Some(Arc::new(token)));
                let what = format!("{error}; the token file has changed, the next call uses its new token");
                Error::new(Kind::Denied, what)
            }
            Ok(Ok(_unchanged)) => error,
            Ok(Err(cause)) => error.caused_by(cause),
            Err(cause) => error.caused_by(cause),
        }
    }

    fn malformed(&self, name: &str, trouble: Trouble) -> Error {
        match trouble {
            Trouble::Cut(cause) => {
                Error::new(Kind::Malformed, format!("{name}: the answer was cut short")).caused_by(cause)
            }
            Trouble::TooLarge => {
                let what = format!(
                    "{name}: the answer is over {} bytes; raise body_limit if it is meant to be so large",
                    self.body_limit
                );
                Error::new(Kind::Malformed, what)
            }
            Trouble::Gzip(cause) => {
                Error::new(Kind::Malformed, format!("{name}: the compressed answer is damaged"))
                    .caused_by(cause)
            }
            Trouble::Encoding(found) => {
                let what = format!(
                    "{name}: the answer's encoding is {found:?}; gzip is known here, switch others off"
                );
                Error::new(Kind::Malformed, what)
            }
        }
    }
}

/// When a call is given up. Consul adds up to a sixteenth to a wait (agent/blockingquery).
fn deadline(block: Option<Block>, slack: Duration) -> Duration {
    let wait = block.map_or(Duration::ZERO, |block| granted(block.wait));
    wait.saturating_add(wait / 16).saturating_add(slack)
}

fn json_promised(name: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<(), Error> {
    let Some(found) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let text = String::from_utf8_lossy(found.as_bytes());
    if text.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    let found: String = text.chars().take(100).collect();
    let status = status.as_u16();
    let what = format!(
        "{name}: {status}, but of type {found:?} and not JSON; {}check that the address is a Consul agent's",
        refusal::begins(body)
    );
    Err(Error::new(Kind::Malformed, what))
}

/// An exchange that ended before the answer's head was there.
fn unreachable(name: &str, cause: legacy::Error) -> Error {
    if let Some(config) = config_error(&cause) {
        return Error::new(config, format!("{name}: cannot connect")).caused_by(cause);
    }
    if cause.is_connect() {
        return Error::new(Kind::Unreachable, format!("{name}: cannot connect")).caused_by(cause);
    }
    let broken = std::error::Error::source(&cause).and_then(|source| source.downcast_ref::<hyper::Error>());
    if broken.is_some_and(hyper::Error::is_parse) {
        let what = format!("{name}: the answer is not HTTP; check the address and whether it wants https");
        return Error::new(Kind::Malformed, what).caused_by(cause);
    }
    let what = format!(
        "{name}: the connection broke before an answer; if this repeats while many connections are open, raise \
         the agent's limits.http_max_conns_per_client"
    );
    Error::new(Kind::Unreachable, what).caused_by(cause)
}

/// The kind of an error of our own that kept a connection from being opened.
fn config_error(cause: &legacy::Error) -> Option<Kind> {
    let mut next = std::error::Error::source(cause);
    while let Some(error) = next {
        if let Some(own) = error.downcast_ref::<Error>() {
            return Some(own.kind());
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests;
