//! Who does worse than it may: by failures in a row, and against the others. PURE.
//!
//! In:  those that serve, with what came of their requests since the last comparison. Out: the suspects, worst first.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use super::{Ejection, Sample, Tally, Why};

/// One that should be ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suspect {
    pub(super) at: usize,
    pub(super) why: Why,
}

/// The suspects: first those that fail always, then those that fail more than the others, then the slow. `compare`:
/// whether an interval is over, so that the others can be compared.
pub(super) fn suspects(
    serving: &[(usize, Sample, Tally)],
    settings: &Ejection,
    compare: bool,
) -> Vec<Suspect> {
    let in_a_row = |&&(_, one, _): &&(usize, Sample, Tally)| one.row >= settings.failures_in_a_row;
    let mut rows: Vec<Suspect> = serving
        .iter()
        .filter(in_a_row)
        .map(|(at, one, _)| Suspect { at: *at, why: Why::Row(one.row) })
        .collect();
    rows.sort_by_key(|suspect| match suspect.why {
        Why::Row(row) => std::cmp::Reverse(row),
        _ => std::cmp::Reverse(0),
    });
    if !compare {
        return rows;
    }
    let rest: Vec<(usize, Tally)> =
        serving.iter().filter(|one| !in_a_row(one)).map(|(at, _, came)| (*at, *came)).collect();
    let failing = failing(&rest, settings);
    let slow = slow(&rest, settings);
    let slow = slow.into_iter().filter(|one| !failing.iter().any(|other| other.at == one.at));
    let slow: Vec<Suspect> = slow.collect();
    rows.into_iter().chain(failing).chain(slow).collect()
}

/// Those of which so many percent more failed than of the others together.
fn failing(serving: &[(usize, Tally)], settings: &Ejection) -> Vec<Suspect> {
    let Some(worse_by) = settings.worse_by_percent else { return Vec::new() };
    let sum = |count: fn(&Tally) -> u32| serving.iter().map(|(_, came)| u64::from(count(came))).sum::<u64>();
    let (all, failed) = (sum(|came| came.outcomes), sum(|came| came.failures));
    let mut found: Vec<(u8, Suspect)> = serving
        .iter()
        .filter(|(_, came)| came.outcomes >= settings.requests)
        .filter_map(|(at, came)| {
            let own = percent(u64::from(came.failures), u64::from(came.outcomes));
            let outcomes = all.saturating_sub(u64::from(came.outcomes));
            let others = percent(failed.saturating_sub(u64::from(came.failures)), outcomes);
            // Without others there is nothing to compare with.
            let is_worse = outcomes >= u64::from(settings.requests) && own >= others.saturating_add(worse_by);
            is_worse.then_some((own, Suspect { at: *at, why: Why::Failing { percent: own, others } }))
        })
        .collect();
    found.sort_by_key(|(own, _)| std::cmp::Reverse(*own));
    found.into_iter().map(|(_, suspect)| suspect).collect()
}

/// Those whose requests took so many times as long as the middle one's.
fn slow(serving: &[(usize, Tally)], settings: &Ejection) -> Vec<Suspect> {
    let Some(slower) = settings.slower_times else { return Vec::new() };
    let means: Vec<(usize, u64)> = serving
        .iter()
        .filter(|(_, came)| came.successes() >= settings.requests)
        .filter_map(|(at, came)| Some((*at, came.spent.checked_div(u64::from(came.successes()))?)))
        .collect();
    let mut ordered: Vec<u64> = means.iter().map(|(_, mean)| *mean).collect();
    ordered.sort_unstable();
    // Of two the quicker one is the middle: else the slow one would be compared with itself.
    let Some(middle) = ordered.get(ordered.len().saturating_sub(1) / 2).copied() else { return Vec::new() };
    // Twice as much at least, so one alone is never slower than itself; below a microsecond nothing is told apart.
    let limit = middle.saturating_mul(u64::from(slower)).max(1);
    let mut found: Vec<(usize, u64)> = means.into_iter().filter(|(_, mean)| *mean >= limit).collect();
    found.sort_by_key(|(_, mean)| std::cmp::Reverse(*mean));
    let suspect = |(at, micros)| Suspect { at, why: Why::Slow { micros, others: middle } };
    found.into_iter().map(suspect).collect()
}

fn percent(part: u64, of: u64) -> u8 {
    let percent = part.saturating_mul(100).checked_div(of).unwrap_or(0);
    u8::try_from(percent).unwrap_or(u8::MAX)
}
