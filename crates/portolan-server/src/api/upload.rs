//! The body of a request, read within its limit, its time, and the room that all bodies share.
//!
//! In:  a request. Out: its bytes, with the room that they take; a refusal in Consul's words.
//!
//! Never: keeps more than is allowed, however it is cut into pieces; reads on what is too large already; waits for room, so
//! that who holds it slowly holds up nobody.
//!
//! Words from Consul: agent/http.go `PUT` handlers of kv and txn (413), agent/consul/rate/handler.go (429).

use std::sync::Arc;

use axum::{body::Body, extract::Request};
use bytes::{Bytes, BytesMut};
use http::{StatusCode, header};
use http_body_util::BodyExt;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::reply::Refusal;
use crate::core::Core;

/// Room is given in pieces of so many bytes.
const PIECE: usize = 1024;

/// A body of at most `most` bytes, as `setting` says, and its room.
pub(super) async fn read(
    core: &Core,
    (most, setting): (usize, &'static str),
    request: Request,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refusal> {
    let told =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if let Some(told) = told.filter(|told: &u64| usize::try_from(*told).map_or(true, |told| told > most)) {
        return Err(too_large(&format!("Request body({told} bytes)"), most, setting));
    }
    let limit = core.config.limits.body_timeout;
    timeout(limit, collect(core, (most, setting), request.into_body())).await.unwrap_or_else(|_late| {
        let text = format!("Request body did not arrive within {}", portolan::format_duration(limit));
        Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, text))
    })
}

async fn collect(
    core: &Core,
    (most, setting): (usize, &'static str),
    mut body: Body,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refusal> {
    // Copied into one buffer: pieces of a few bytes would each keep what they were read into.
    let mut whole = BytesMut::new();
    let mut room: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|failed| Refusal::bad(format!("Request body could not be read: {failed}")))?;
        let Ok(piece) = frame.into_data() else { continue };
        let length = whole.len().saturating_add(piece.len());
        if length > most {
            return Err(too_large("Request body", most, setting));
        }
        let held = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = u32::try_from(length.div_ceil(PIECE).saturating_sub(held)).unwrap_or(u32::MAX);
        let more = Arc::clone(&core.room).try_acquire_many_owned(wanted).map_err(|_full| {
            let text =
                "rate limit exceeded, try again later or against a different server: max_bodies is in use";
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, text)
        })?;
        match &mut room {
            Some(room) => room.merge(more),
            None => room = Some(more),
        }
        whole.extend_from_slice(&piece);
    }
    Ok((whole.freeze(), room))
}

fn too_large(what: &str, most: usize, setting: &str) -> Refusal {
    let text = format!("{what} too large, max size: {most} bytes. See {setting}.");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text)
}
