//! By hand: read now; and what is known is out of date.
//!
//! In:  a caller's word. Out: a wish to the view's loop, and what it brought.
//!
//! Never: waits without a deadline; makes a second read for callers who ask while the first has not started.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::Resolver;
use crate::{
    error::{Error, Kind},
    snapshot::{Failure, Snapshot, Source},
    sync::{Interest, Mode},
};

impl Resolver {
    /// Reads the service anew, and returns what is known then; picks follow it already.
    ///
    /// The read starts after this call; callers who ask at once share one. An open watch is not disturbed.
    ///
    /// # Errors
    /// The kind of the registry's error when the read failed: what was known is still there, and picks go on.
    /// [`Kind::Timeout`] after `within`; [`Kind::Closed`] once the [`Discovery`](crate::Discovery) is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the read is made all the same.
    pub async fn refresh(&self, within: Duration) -> Result<Arc<Snapshot>, Error> {
        let service = self.service();
        let start = tokio::time::Instant::now();
        // All wishes are made before the first is waited for: the datacentres are read at the same time.
        let wish = |interest: &Arc<Interest>| (Arc::clone(interest), interest.wish());
        let wishes: Vec<_> = self.inner.cell.interests.iter().map(wish).collect();
        let all = async move {
            let mut first: Option<Instant> = None;
            for (interest, wish) in wishes {
                let confirmed = interest.granted(wish).await?.freshness.confirmed;
                first = first.map_or(confirmed, |first| confirmed.map(|next| next.min(first)));
            }
            Ok(first)
        };
        let granted: Result<_, Failure> = tokio::time::timeout(within, all).await.map_err(|late| {
            let what = format!("{service}: it was not read anew within {within:?}; allow more time");
            Error::new(Kind::Timeout, what).caused_by(late)
        })?;
        let first = granted.map_err(|failure| {
            let what = format!("{service}: it could not be read anew: {}", failure.text);
            Error::new(failure.kind, what)
        })?;
        let follows =
            |now: &Snapshot| now.freshness.source != Source::Live || now.freshness.confirmed >= first;
        self.inner.reader.wait_until(follows, within.saturating_sub(start.elapsed())).await
    }

    /// Says that what is known is out of date. It is older than any bound until it has been read anew; nothing is
    /// dropped, however long that takes.
    ///
    /// A view that watches or polls reads at once; one on demand at the next lookup.
    pub fn invalidate(&self) {
        self.inner.cell.interests.iter().for_each(|interest| interest.invalidate());
    }

    /// On demand: has the service read anew first, if what is known is no longer good; waits for that, but not for ever.
    pub(crate) async fn read_if_old(&self, mode: Mode, within: Duration) {
        let is_doubted = || self.inner.cell.interests.iter().any(|interest| interest.is_doubted());
        let doubted = matches!(mode, Mode::OnDemand { .. }) && is_doubted();
        if doubted || !mode.is_good(&self.inner.reader.snapshot(), now()) {
            // Whatever comes of it, what is known is there, and says how old it is.
            drop(self.refresh(within).await);
        }
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
