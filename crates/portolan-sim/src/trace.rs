//! What happened in a run, line by line with its virtual time: for a person, and as a hash by which two runs compare.
//!
//! Never: names anything that differs between two runs of one seed, such as an address in memory or the wall clock.

use std::fmt::{self, Write as _};

use tokio::time::Instant;

/// The lines of one run.
#[derive(Debug)]
pub(crate) struct Trace {
    start: Instant,
    hash: u64,
    line: String,
    /// Only kept when somebody will read them.
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(crate) fn new(keep: bool) -> Self {
        let lines = keep.then(Vec::new);
        Self { start: Instant::now(), hash: 0xCBF2_9CE4_8422_2325, line: String::new(), lines }
    }

    pub(crate) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.line.clear();
        let at = self.start.elapsed();
        let _always_fits = write!(self.line, "{:>6}.{:06} ", at.as_secs(), at.subsec_micros());
        let _always_fits = self.line.write_fmt(what);
        for byte in self.line.as_bytes() {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
        if let Some(lines) = &mut self.lines {
            lines.push(self.line.clone());
        }
    }

    /// Equal for two runs in which the same happened.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// Takes the lines out.
    pub(crate) fn take(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}
