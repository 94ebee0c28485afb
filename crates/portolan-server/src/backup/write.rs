//! A backup as it is made. Each block is encoded when it is asked for, so that a large registry costs little memory, and a slow
//! reader little more.
//!
//! In:  rows, in the order of their keys. Out: the bytes of the file, a part at a time; they are an HTTP body, too.
//!
//! Never: gives an end mark after a row that could not be encoded.

use std::{
    pin::Pin,
    task::{Context, Poll},
    vec,
};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{END, FULL, MAGIC, PART, ROWS, VERSION};
use crate::{
    state::{FORMAT, Kept, RowKey, State},
    store::Trouble,
};

/// A backup on its way out.
#[derive(Debug)]
pub(crate) struct Writing {
    index: u64,
    rows: vec::IntoIter<(RowKey, Kept)>,
    written: u64,
    next: Next,
    /// Numbers the parts.
    number: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Head,
    Rows,
    Nothing,
}

impl Writing {
    /// All that `state` holds at this moment.
    pub(crate) fn of(state: &State) -> Self {
        Self {
            index: state.last_index(),
            rows: state.rows().into_iter(),
            written: 0,
            next: Next::Head,
            number: 0,
        }
    }

    /// The newest index that the registry had given.
    pub(crate) fn index(&self) -> u64 {
        self.index
    }

    /// The next part; `None` after the end mark.
    pub(crate) fn part(&mut self) -> Result<Option<Bytes>, Trouble> {
        let mut part = Vec::new();
        match self.next {
            Next::Head => {
                part.extend_from_slice(MAGIC);
                part.extend_from_slice(&VERSION.to_le_bytes());
                part.extend_from_slice(&FORMAT.to_le_bytes());
                part.extend_from_slice(&self.index.to_le_bytes());
                self.next = Next::Rows;
            }
            Next::Rows => self.rows(&mut part)?,
            Next::Nothing => return Ok(None),
        }
        let sum = xxh3_64_with_seed(&part, self.number);
        part.extend_from_slice(&sum.to_le_bytes());
        self.number = self.number.saturating_add(1);
        Ok(Some(part.into()))
    }

    fn rows(&mut self, part: &mut Vec<u8>) -> Result<(), Trouble> {
        part.resize(PART, 0);
        let before = self.written;
        while part.len() < FULL
            && let Some((key, row)) = self.rows.next()
        {
            let bytes = row.encode().map_err(|why| Trouble::Disk(format!("{}: {why}", row.describe())))?;
            part.extend_from_slice(&key.0.to_le_bytes());
            part.extend_from_slice(&length(&bytes)?.to_le_bytes());
            part.extend_from_slice(&bytes);
            self.written = self.written.saturating_add(1);
        }
        let mut kind = ROWS;
        if self.written == before {
            kind = END;
            self.next = Next::Nothing;
            part.extend_from_slice(&self.written.to_le_bytes());
        }
        let length = length(part.get(PART..).unwrap_or_default())?;
        part.splice(..PART, std::iter::once(kind).chain(length.to_le_bytes()));
        Ok(())
    }
}

fn length(bytes: &[u8]) -> Result<u32, Trouble> {
    u32::try_from(bytes.len()).map_err(|_too_long| Trouble::Disk("a row is over 4 GiB".to_owned()))
}

impl Body for Writing {
    type Data = Bytes;
    type Error = TroubleInBody;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TroubleInBody>>> {
        match self.part() {
            Ok(part) => Poll::Ready(part.map(|part| Ok(Frame::data(part)))),
            Err(trouble) => {
                self.next = Next::Nothing;
                tracing::error!(%trouble, "a backup could not be written");
                Poll::Ready(Some(Err(TroubleInBody(trouble))))
            }
        }
    }
}

/// Why a body ends without its end mark.
#[derive(Debug)]
pub(crate) struct TroubleInBody(Trouble);

impl std::fmt::Display for TroubleInBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for TroubleInBody {}
