//! What every request passes before anything else looks at it: whose name it is asked under, and how many headers it has.
//!
//! In:  a request. Out: it goes on, or is refused; the connection's [`Pulse`] knows of it meanwhile.
//!
//! Never: touches a request that goes on.
//!
//! Proof: `config/hosts/tests.rs` (the rules), `tests/http/hosts.rs` (over sockets).

use std::sync::Arc;

use axum::{body::Body, response::Response};
use http::{HeaderValue, Request, StatusCode, header};
use hyper::{
    body::Incoming,
    service::{Service, service_fn},
};

use super::{paced::paced, wire::Pulse};
use crate::config::Hosts;

/// The rules.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) hosts: Hosts,
    pub(super) max_headers: usize,
}

impl Door {
    fn refusal(&self, request: &Request<Incoming>, certified: Option<&str>) -> Option<Response> {
        let headers = request.headers();
        if headers.len() > self.max_headers {
            return Some(refuse(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "431 Request Header Fields Too Large".to_owned(),
            ));
        }
        let foreign = self.hosts.check(request.version(), request.uri(), headers, certified).err()?;
        tracing::debug!(?foreign, "a request is refused: its Host or Origin is not ours");
        Some(refuse(foreign.status(), foreign.text()))
    }
}

fn refuse(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// The service behind the door. `certified`: the name for which the client verified our certificate.
pub(super) fn front<S>(
    service: S,
    door: Arc<Door>,
    pulse: Arc<Pulse>,
    certified: Option<Box<str>>,
) -> impl Service<Request<Incoming>, Response = Response, Error = S::Error, Future: Send + 'static>
where
    S: Service<Request<Incoming>, Response = Response, Future: Send + 'static>,
    S::Error: std::error::Error + Send + Sync + 'static,
{
    service_fn(move |request: Request<Incoming>| {
        let (serving, pulse) = (pulse.request(), Arc::clone(&pulse));
        let passed = match door.refusal(&request, certified.as_deref()) {
            Some(refused) => Err(refused),
            None => Ok(service.call(request)),
        };
        async move {
            let _until_answered = serving;
            match passed {
                Ok(answer) => answer.await.map(|answer| paced(answer, &pulse)),
                Err(refused) => Ok(refused),
            }
        }
    })
}
