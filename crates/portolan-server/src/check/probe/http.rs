//! HTTP checks.
//!
//! In:  a request and a time limit for it and all that it is redirected to. Out: a verdict by the last answer.
//!
//! Never: reads more of a body than is shown; keeps a connection.
//!
//! Rules from Consul: agent/checks/check.go `CheckHTTP`.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use portolan::registry::consul::Offer;

use super::{Trusted, Verdict, beside, redirect, tls::Stream, within};
use crate::state::{
    OUTPUT_LIMIT,
    rows::{Health, HttpProbe},
};

/// Sends the request: 2xx is passing, 429 is warning, anything else is critical.
pub(super) async fn http(probe: &HttpProbe, limit: Duration, trusted: &Trusted) -> Verdict {
    let (method, url) = (&probe.method, &probe.url);
    match within(limit, follow(probe, trusted)).await {
        Some(Ok(Answer { status, body, .. })) => {
            let reason = status.canonical_reason().unwrap_or_default();
            let output = format!("HTTP {method} {url}: {} {reason} Output: {body}", status.as_u16());
            let status = match status.as_u16() {
                200..=299 => Health::Passing,
                429 => Health::Warning,
                _ => Health::Critical,
            };
            Verdict { status, output }
        }
        Some(Err(failed)) => Verdict::critical(format!("{method} {url:?}: {failed}")),
        None => Verdict::critical(format!(
            "{method} {url:?}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        )),
    }
}

/// As much of an answer as is looked at.
struct Answer {
    status: StatusCode,
    location: Option<String>,
    body: String,
}

/// The answer at the end of all redirects.
async fn follow(probe: &HttpProbe, trusted: &Trusted) -> Result<Answer, String> {
    let mut asked = Cow::Borrowed(probe);
    for _ in 0..redirect::MOST {
        let answer = exchange(&asked, trusted).await?;
        match &answer.location {
            Some(location) if probe.redirects && redirect::is_redirect(answer.status) => {
                asked = Cow::Owned(redirect::next(&asked, answer.status, location)?);
            }
            _ => return Ok(answer),
        }
    }
    Err(format!("stopped after {} redirects", redirect::MOST))
}

async fn exchange(probe: &HttpProbe, trusted: &Trusted) -> Result<Answer, String> {
    let uri: Uri = probe.url.parse().map_err(|bad: http::uri::InvalidUri| bad.to_string())?;
    let host = uri.host().ok_or("no host in the URL")?;
    let tls = (uri.scheme_str() == Some("https")).then_some(&probe.trust);
    let port = uri.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
    let request = request(probe, &uri)?;
    let stream = trusted.open(&format!("{host}:{port}"), tls, Offer::Http1).await?;
    converse(stream, request).await
}

async fn converse(stream: Box<dyn Stream>, request: Request<Full<Bytes>>) -> Result<Answer, String> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|failed| failed.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|failed| failed.to_string())?;
        let status = response.status();
        let location = response.headers().get(header::LOCATION);
        let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Ok(Answer { status, location, body: start_of(response).await })
    };
    beside(connection, answer).await
}

fn request(probe: &HttpProbe, uri: &Uri) -> Result<Request<Full<Bytes>>, String> {
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let mut request = Request::builder().method(&*probe.method).uri(target);
    for (name, values) in &probe.headers {
        for value in values {
            request = request.header(&**name, &**value);
        }
    }
    let given = |name: &str| probe.headers.keys().any(|had| had.eq_ignore_ascii_case(name));
    for (name, value) in [
        (header::HOST, authority),
        (header::USER_AGENT, "Consul Health Check"),
        (header::ACCEPT, "text/plain, text/*, */*"),
        (header::CONNECTION, "close"),
    ] {
        if !given(name.as_str()) {
            request = request.header(name, value);
        }
    }
    request.body(Full::new(Bytes::copy_from_slice(probe.body.as_bytes()))).map_err(|bad| bad.to_string())
}

/// As much of the body as is shown. What comes later is never read.
async fn start_of(response: Response<Incoming>) -> String {
    let mut body = response.into_body();
    let mut start = Vec::new();
    while start.len() < OUTPUT_LIMIT {
        match body.frame().await {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let room = OUTPUT_LIMIT.saturating_sub(start.len());
                    start.extend(data.iter().take(room));
                }
            }
            // A body that breaks off changes no status: the head has said it.
            Some(Err(_)) | None => break,
        }
    }
    String::from_utf8_lossy(&start).into_owned()
}
