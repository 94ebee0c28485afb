//! gRPC checks: one question to `grpc.health.v1.Health/Check`.
//!
//! In:  `host:port`, a service's name, a time limit. Out: a verdict; serving alone is passing.
//!
//! Never: reads more of an answer than such a message can have; leaves a stream or a connection open.
//!
//! Rules from Consul: agent/checks/grpc.go. From gRPC: doc/PROTOCOL-HTTP2.md, doc/statuscodes.md.

use std::time::Duration;

use bytes::Bytes;
use h2::{RecvStream, client};
use http::{HeaderMap, Method, Request, Version, header};
use portolan::registry::consul::Offer;

use super::{Trusted, Verdict, beside, message, tls::Stream, within};
use crate::state::rows::Trust;

const PATH: &str = "/grpc.health.v1.Health/Check";
/// How many bytes of an answer are read: a status is two.
const ANSWER: usize = 1024;
/// How much of headers and trailers is read.
const HEADERS: u32 = 16 << 10;
/// How much of the other side's text is shown.
const TEXT: usize = 1024;

/// The codes of gRPC, in Go's words.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// Asks whether `service` serves; an empty name asks about the server as a whole.
pub(super) async fn grpc(
    target: &str,
    service: &str,
    tls: Option<&Trust>,
    limit: Duration,
    trusted: &Trusted,
) -> Verdict {
    let shown = if service.is_empty() { target.to_owned() } else { format!("{target}/{service}") };
    let asked = async {
        let stream = trusted.open(target, tls, Offer::Http2).await.map_err(|why| unavailable(&why))?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        converse(stream, &format!("{scheme}://{target}{PATH}"), service).await
    };
    match within(limit, asked).await {
        Some(Ok(1)) => Verdict::passing(format!("gRPC check {shown}: success")),
        Some(Ok(status)) => {
            Verdict::critical(format!("gRPC {shown} serving status: {}", message::word(status)))
        }
        Some(Err(failed)) => Verdict::critical(failed),
        None => Verdict::critical(error("DeadlineExceeded", "context deadline exceeded")),
    }
}

fn error(code: &str, text: &str) -> String {
    format!("rpc error: code = {code} desc = {text}")
}

fn unavailable(why: &str) -> String {
    let what = format!("connection error: desc = \"transport: Error while dialing: {why}\"");
    error("Unavailable", &what)
}

async fn converse(stream: Box<dyn Stream>, uri: &str, service: &str) -> Result<u64, String> {
    let mut builder = client::Builder::new();
    builder.enable_push(false).max_header_list_size(HEADERS);
    let (sender, connection) =
        builder.handshake::<_, Bytes>(stream).await.map_err(|failed| unavailable(&failed.to_string()))?;
    beside(connection, call(sender, uri, service)).await
}

async fn call(sender: client::SendRequest<Bytes>, uri: &str, service: &str) -> Result<u64, String> {
    let broken = |failed: h2::Error| error("Unavailable", &failed.to_string());
    let request = Request::builder()
        .version(Version::HTTP_2)
        .method(Method::POST)
        .uri(uri)
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header(header::USER_AGENT, "Consul Health Check")
        .body(())
        .map_err(|bad| error("Internal", &bad.to_string()))?;
    let mut sender = sender.ready().await.map_err(broken)?;
    let (response, mut body) = sender.send_request(request, false).map_err(broken)?;
    let question = message::question(service).map_err(|why| error("Internal", &why))?;
    body.send_data(question.into(), true).map_err(broken)?;
    let (head, body) = response.await.map_err(broken)?.into_parts();
    if head.status != http::StatusCode::OK {
        let what = format!("unexpected HTTP status code received from server: {}", head.status);
        return Err(error("Unavailable", &what));
    }
    // A call that fails at once has its status in the head.
    status_of(&head.headers)?;
    let answer = read(body).await?;
    message::serving(&answer).map_err(|why| error("Internal", &why))
}

/// The bytes of the one message, once the trailers have said that the call went well.
async fn read(mut body: RecvStream) -> Result<Vec<u8>, String> {
    let broken = |failed: h2::Error| error("Unavailable", &failed.to_string());
    let mut answer = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(broken)?;
        answer.extend_from_slice(&data);
        if answer.len() > ANSWER {
            return Err(error("ResourceExhausted", "the answer is larger than a health status"));
        }
        body.flow_control().release_capacity(data.len()).map_err(broken)?;
    }
    match body.trailers().await.map_err(broken)? {
        Some(trailers) if trailers.contains_key("grpc-status") => status_of(&trailers)?,
        _ => return Err(error("Internal", "server closed the stream without sending trailers")),
    }
    Ok(answer)
}

/// What a `grpc-status` says, where there is one.
fn status_of(headers: &HeaderMap) -> Result<(), String> {
    let Some(code) = headers.get("grpc-status") else { return Ok(()) };
    let code = code.to_str().ok().and_then(|code| code.parse::<usize>().ok());
    if code == Some(0) {
        return Ok(());
    }
    let word = code.and_then(|code| CODES.get(code)).unwrap_or(&"Unknown");
    let text = headers.get("grpc-message").map(|text| decoded(text.as_bytes())).unwrap_or_default();
    Err(error(word, &text))
}

/// A text with `%XX` undone, cut at [`TEXT`] bytes.
fn decoded(text: &[u8]) -> String {
    let mut out = Vec::new();
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let digits = after.split_at_checked(2).and_then(|(hex, rest)| {
            let hex = std::str::from_utf8(hex).ok()?;
            Some((u8::from_str_radix(hex, 16).ok()?, rest))
        });
        match digits {
            Some((byte, after)) if *first == b'%' => {
                out.push(byte);
                rest = after;
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
        if out.len() >= TEXT {
            break;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests;
