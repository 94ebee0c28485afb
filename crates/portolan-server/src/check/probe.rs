//! One run of an HTTP or TCP check.
//!
//! In:  the definition and a time limit. Out: a status, and what is to be shown of it, in Consul's words.
//!
//! Differs from Consul: a redirect is not followed, so it is critical; `https` targets are refused at registration.
//! Never: reads more of a body than is shown; keeps a connection; waits beyond the limit.
//!
//! Rules from Consul: agent/checks/check.go (`CheckHTTP`, `CheckTCP`).

use std::{io, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::state::{
    OUTPUT_LIMIT,
    rows::{Health, HttpProbe},
};

/// What a run found.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) status: Health,
    pub(super) output: String,
}

impl Verdict {
    fn critical(output: String) -> Self {
        Self { status: Health::Critical, output }
    }

    /// For a check that has no probe.
    pub(super) fn nothing_to_run() -> Self {
        Self::critical("this check is not run by the agent".to_owned())
    }
}

/// Opens a connection, and closes it.
pub(super) async fn tcp(target: &str, limit: Duration) -> Verdict {
    match timeout(limit, TcpStream::connect(target)).await {
        Ok(Ok(_)) => Verdict { status: Health::Passing, output: format!("TCP connect {target}: Success") },
        Ok(Err(failed)) => Verdict::critical(format!("dial tcp {target}: {}", plain(&failed))),
        Err(_) => Verdict::critical(format!("dial tcp {target}: i/o timeout")),
    }
}

fn plain(failed: &io::Error) -> String {
    match failed.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset by peer".to_owned(),
        _ => failed.to_string(),
    }
}

/// Sends the request: 2xx is passing, 429 is warning, anything else is critical.
pub(super) async fn http(probe: &HttpProbe, limit: Duration) -> Verdict {
    let (method, url) = (&probe.method, &probe.url);
    match timeout(limit, exchange(probe)).await {
        Ok(Ok((status, body))) => {
            let reason = status.canonical_reason().unwrap_or_default();
            let output = format!("HTTP {method} {url}: {} {reason} Output: {body}", status.as_u16());
            let status = match status.as_u16() {
                200..=299 => Health::Passing,
                429 => Health::Warning,
                _ => Health::Critical,
            };
            Verdict { status, output }
        }
        Ok(Err(failed)) => Verdict::critical(format!("{method} {url:?}: {failed}")),
        Err(_) => Verdict::critical(format!(
            "{method} {url:?}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        )),
    }
}

async fn exchange(probe: &HttpProbe) -> Result<(http::StatusCode, String), String> {
    let uri: Uri = probe.url.parse().map_err(|bad: http::uri::InvalidUri| bad.to_string())?;
    let host = uri.host().ok_or("no host in the URL")?;
    let port = uri.port_u16().unwrap_or(80);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port))
        .await
        .map_err(|failed| format!("dial tcp {host}:{port}: {}", plain(&failed)))?;
    let request = request(probe, &uri)?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|failed| failed.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|failed| failed.to_string())?;
        let status = response.status();
        Ok((status, start_of(response).await))
    };
    // The connection moves the bytes; it is dropped with this future, whatever the answer still has to say.
    tokio::pin!(connection, answer);
    let mut open = true;
    loop {
        tokio::select! {
            found = &mut answer => return found,
            ended = &mut connection, if open => {
                open = false;
                if let Err(failed) = ended {
                    tracing::debug!(%failed, "a checked service broke the connection");
                }
            }
        }
    }
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

#[cfg(test)]
mod tests;
