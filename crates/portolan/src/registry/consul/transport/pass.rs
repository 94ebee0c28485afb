//! A request of someone else, passed on: for what stands before a registry, such as the page of `portolan ui`.
//!
//! In:  a request for a path of the registry's. Out: its whole answer, whatever its status, with the headers that tell what
//! it is and how new.
//!
//! Never: retries; sends a header that is about another connection; sends its own token or password unless it is told to; follows a
//! redirect; gives a part of an answer.
//!
//! Proof: `portolan-server`, `tests/http/page.rs`, over sockets.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body_util::Full;
use tokio::time::timeout;

use super::{Transport, unreachable};
use crate::{
    duration::format_duration,
    error::{Error, Kind},
    registry::consul::{Consul, body, call::Lane},
};

/// The longest wait that Consul grants, and a sixteenth more (agent/consul/config.go `MaxQueryTime`, agent/blockingquery).
const LONGEST_WAIT: Duration = Duration::from_secs(638);
const TOKEN: HeaderName = HeaderName::from_static("x-consul-token");

/// Whose token goes along with a request that is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedToken {
    /// The one that the request itself brings, if it does.
    Theirs,
    /// The same, and where it brings none, the one of this client; its name and password for the registry's door, too.
    OrOurs,
}

impl Consul {
    /// Passes a request on to the first address, and gives the whole answer, whatever its status. Of the request the method,
    /// the path with its query, the body, `Accept`, `Content-Type` and the token count; of the answer the status, the body,
    /// its type and Consul's own headers.
    ///
    /// # Errors
    /// [`Kind::Unreachable`] and [`Kind::Timeout`]: there is no answer; a question with an index may take as long as Consul
    /// lets one wait. [`Kind::Malformed`]: it is not whole, or over the limit of bodies. [`Kind::Config`]: the path is none.
    ///
    /// # Cancel safety
    /// What was dropped may have been carried out.
    pub async fn pass(&self, request: Request<Bytes>, token: PassedToken) -> Result<Response<Bytes>, Error> {
        self.transport.pass(request, token).await
    }
}

impl Transport {
    async fn pass(&self, request: Request<Bytes>, token: PassedToken) -> Result<Response<Bytes>, Error> {
        let route = self.routes.first();
        let name = format!("{}: {} {}", route.shown, request.method(), request.uri().path());
        let waits =
            request.uri().query().is_some_and(|query| query.split('&').any(|one| one.starts_with("index=")));
        let (lane, limit) = if waits {
            (Lane::Watch, self.request_timeout.saturating_add(LONGEST_WAIT))
        } else {
            (Lane::Call, self.request_timeout)
        };
        let sent = self.passed(&route.base, request, token).map_err(|cause| {
            Error::new(Kind::Config, format!("{name}: this is no path of a registry")).caused_by(cause)
        })?;
        let exchange = async {
            let (answer, _lease) =
                route.pools(lane).request(sent).await.map_err(|cause| unreachable(&name, cause))?;
            let (head, incoming) = answer.into_parts();
            let bytes = body::read(incoming, self.body_limit).await;
            let bytes = bytes.map_err(|trouble| self.malformed(&name, trouble))?;
            let mut response = Response::new(bytes);
            *response.status_mut() = head.status;
            *response.headers_mut() = told(&head.headers);
            Ok(response)
        };
        timeout(limit, exchange).await.unwrap_or_else(|_late| {
            let what = format!("{name}: no complete answer within {}", format_duration(limit));
            Err(Error::new(Kind::Timeout, what))
        })
    }

    fn passed(
        &self,
        base: &str,
        request: Request<Bytes>,
        token: PassedToken,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let mut sent =
            Request::builder().method(head.method).uri(format!("{base}{path}")).body(Full::new(body))?;
        let headers = sent.headers_mut();
        for name in [header::ACCEPT, header::CONTENT_TYPE, TOKEN] {
            if let Some(value) = head.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        if token == PassedToken::OrOurs
            && !headers.contains_key(&TOKEN)
            && let Some(own) = self.token.load_full()
        {
            headers.insert(TOKEN, own.header());
        }
        if token == PassedToken::OrOurs
            && let Some(pair) = &self.basic_auth
        {
            headers.insert(header::AUTHORIZATION, pair.header());
        }
        Ok(sent)
    }
}

/// What of an answer's headers is about its contents.
fn told(headers: &HeaderMap) -> HeaderMap {
    let kept = |name: &HeaderName| *name == header::CONTENT_TYPE || name.as_str().starts_with("x-consul-");
    let pairs = headers.iter().filter(|(name, _)| kept(name));
    pairs.map(|(name, value): (&HeaderName, &HeaderValue)| (name.clone(), value.clone())).collect()
}
