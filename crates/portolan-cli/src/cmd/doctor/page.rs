//! What was found, for a person. PURE.
//!
//! Never: hides a finding; shows more than a few places of one, and then says how many more there are.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{fmt::Write as _, time::Duration};

use portolan::format_duration;

use super::{
    finding::{Finding, Level},
    seen::Seen,
};
use crate::output::{Ink, plain};

/// How many places of a finding are shown.
const PLACES: usize = 8;

pub(super) fn page(seen: &Seen, findings: &[Finding], color: bool) -> String {
    if findings.is_empty() {
        return format!("{} nothing found: {}\n", Ink::Good.on("fine", color), plain(&examined(seen)));
    }
    let mut text = String::new();
    for finding in findings {
        let facts = finding.code.facts();
        let level = ink(facts.level).on(facts.level.as_str(), color);
        let title = Ink::Strong.on(facts.name, color);
        let _infallible = writeln!(text, "{level}  {title}  {}", plain(&finding.what));
        let _infallible = writeln!(text, "  where  {}", plain(&places(&finding.places)));
        let _infallible = writeln!(text, "  why    {}", facts.why);
        let _infallible = writeln!(text, "  mend   {}\n", facts.mend);
    }
    let _infallible = writeln!(text, "{}: {}", counts(findings), plain(&examined(seen)));
    text
}

fn ink(level: Level) -> Ink {
    match level {
        Level::Critical => Ink::Bad,
        Level::Warning => Ink::Doubtful,
        Level::Info => Ink::Faint,
    }
}

fn places(all: &[String]) -> String {
    let mut text = all.iter().take(PLACES).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = all.len().saturating_sub(PLACES);
    if more > 0 {
        let _infallible = write!(text, " and {more} more");
    }
    text
}

fn counts(findings: &[Finding]) -> String {
    let of = |level: Level| findings.iter().filter(|finding| finding.level() == level).count();
    let levels = [Level::Critical, Level::Warning, Level::Info];
    let some = levels.map(|level| (of(level), level.as_str()));
    let words: Vec<String> = some
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, level)| format!("{count} {level}"))
        .collect();
    words.join(", ")
}

/// What was looked at.
fn examined(seen: &Seen) -> String {
    let instances: usize = seen.services.values().map(Vec::len).sum();
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let mut text = format!(
        "{}, {}, {} and {} of {}",
        count(seen.nodes.len(), "node"),
        count(seen.services.len(), "service"),
        count(instances, "instance"),
        count(seen.checks.len(), "check"),
        seen.registry,
    );
    if !seen.watched.time.is_zero() {
        let time = Duration::from_millis(u64::try_from(seen.watched.time.as_millis()).unwrap_or(u64::MAX));
        let _infallible = write!(text, ", watched for {}", format_duration(time));
    }
    text
}
