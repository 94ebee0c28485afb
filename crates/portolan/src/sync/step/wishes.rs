//! Who still waits for a read that started after they asked for it. PURE.
//!
//! Wishes are numbered in the order in which they were made; a read serves all that were made before it started, so one
//! flight is enough however many ask.
//!
//! Never: calls a wish served by a read that was under way when it was made, or by a blocking one, whose answer may
//! have been made long before it arrived.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use super::input::Served;
use crate::snapshot::Failure;

/// The wishes of one view, by the highest number of each kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes {
    wanted: u64,
    doubted: u64,
    asked: u64,
    aside: Option<u64>,
    served: u64,
}

impl Wishes {
    /// Wishes up to `wish` were made.
    pub(super) fn want(&mut self, wish: u64) {
        self.wanted = self.wanted.max(wish);
    }

    /// What is known is out of date until a read serves `wish`.
    pub(super) fn doubt(&mut self, wish: u64) {
        self.doubted = self.doubted.max(wish);
    }

    /// Whether somebody waits.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted > self.served
    }

    /// Whether somebody waits for whom no read is under way beside the open one.
    pub(super) fn is_unattended(&self) -> bool {
        self.is_wanted() && self.aside.is_none()
    }

    /// Whether what is known was called out of date, and not read since.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubted > self.served
    }

    /// A plain read starts now.
    pub(super) fn start(&mut self) {
        self.asked = self.wanted.max(self.doubted);
    }

    /// It ended. Says whom it served.
    pub(super) fn end(&mut self, failure: Option<&Failure>) -> Option<Served> {
        let asked = self.asked;
        self.serve(asked, failure)
    }

    /// A read beside the open one starts now, unless there is one already.
    pub(super) fn start_aside(&mut self) -> bool {
        let free = self.aside.is_none() && self.is_wanted();
        if free {
            self.aside = Some(self.wanted.max(self.doubted));
        }
        free
    }

    /// It ended, and proved what is known, or failed.
    pub(super) fn end_aside(&mut self, failure: Option<&Failure>) -> Option<Served> {
        let asked = self.aside.take()?;
        self.serve(asked, failure)
    }

    /// It ended, and proved nothing.
    pub(super) fn void_aside(&mut self) {
        self.aside = None;
    }

    fn serve(&mut self, wish: u64, failure: Option<&Failure>) -> Option<Served> {
        let news = wish > self.served;
        if failure.is_none() {
            self.served = self.served.max(wish);
        } else if news {
            // Who waited is told of the failure, and waits no longer; but what is known is no newer for it.
            self.wanted = if self.wanted > wish { self.wanted } else { self.served };
        }
        news.then(|| Served { wish, failure: failure.cloned() })
    }
}
