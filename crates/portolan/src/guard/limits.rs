//! What the guard is set to, with its defaults. PURE: types.
//!
//! In:  the program's settings, checked at the door. Out: numbers for the breakers, the budget and the turns.

use super::budget::Allowance;

/// What the guard is set to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Failures in a row after which a breaker opens.
    pub(crate) open_after: u32,
    /// The budget of all reads.
    pub(crate) reads: Allowance,
    /// Reads a second for those that share places.
    pub(crate) turns_per_second: u32,
    /// Where the chance of its rests comes from.
    pub(crate) seed: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let reads = Allowance { per_second: 500, burst: 100, retries_per_second: 50, retry_percent: 20 };
        Self { open_after: 5, reads, turns_per_second: 50, seed: 0 }
    }
}
