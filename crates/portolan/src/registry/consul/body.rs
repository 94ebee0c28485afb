//! Reads bodies: whole or not at all, within a limit, decompressed.
//!
//! In:  a body and a limit. Out: its bytes, or why there are none.
//!
//! Never: gives a part of a body for the whole; grows past the limit, however small the compressed form.

use std::io::{self, Read as _};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

/// How much room is made before the first byte is there, at most.
const FIRST_ROOM: u64 = 1024 * 1024;

/// Why there is no body.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The connection ended before the body did.
    Cut(hyper::Error),
    /// It is over the limit.
    TooLarge,
    /// It is compressed, and damaged.
    Gzip(io::Error),
    /// It has an encoding that is not known here.
    Encoding(String),
}

/// Reads a whole body.
pub(super) async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, Trouble> {
    let promised = body.size_hint().lower();
    if promised > limit as u64 {
        return Err(Trouble::TooLarge);
    }
    let mut bytes = BytesMut::with_capacity(usize::try_from(promised.min(FIRST_ROOM)).unwrap_or(0));
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Trouble::Cut)?.into_data() else { continue };
        if data.len() > limit.saturating_sub(bytes.len()) {
            return Err(Trouble::TooLarge);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// Reads what there is of a body, at most `limit` bytes.
pub(super) async fn read_some(mut body: Incoming, limit: usize) -> Bytes {
    let mut bytes = BytesMut::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        let room = limit.saturating_sub(bytes.len());
        bytes.extend_from_slice(data.get(..room).unwrap_or(&data));
        if bytes.len() >= limit {
            break;
        }
    }
    bytes.freeze()
}

/// Undoes the content encoding.
pub(super) fn decode(headers: &HeaderMap, bytes: Bytes, limit: usize) -> Result<Bytes, Trouble> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase());
    match encoding.as_deref() {
        None | Some(b"" | b"identity") => Ok(bytes),
        Some(b"gzip" | b"x-gzip") => gunzip(&bytes, limit),
        Some(other) => Err(Trouble::Encoding(String::from_utf8_lossy(other).chars().take(100).collect())),
    }
}

fn gunzip(bytes: &[u8], limit: usize) -> Result<Bytes, Trouble> {
    let mut plain = Vec::new();
    let read = flate2::bufread::MultiGzDecoder::new(bytes)
        .take((limit as u64).saturating_add(1))
        .read_to_end(&mut plain)
        .map_err(Trouble::Gzip)?;
    if read > limit {
        return Err(Trouble::TooLarge);
    }
    Ok(plain.into())
}
