//! Writes a report down: as lines of text, and as the JSON document of draft-inadarei-api-health-check-06. PURE.
//!
//! In:  the status and the findings. Out: text.
//!
//! Never: writes a time or a duration into the text, which the registry would take for a change of the check's output.
//!
//! Where the two disagree, Consul goes before the draft: a warning of its check is 429, which the draft wants as 2xx.
//! Proof: `document/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use super::combine::Part;
use crate::model::Status;

/// The media type of the document.
pub(super) const HEALTH_JSON: &str = "application/health+json";
/// How much of an output a line of text shows, in bytes: Consul keeps the last 4 KiB of all.
const LINE: usize = 240;
/// What stands for a program that has said so itself.
const NOT_READY: &str = "not ready: the program says so";
/// The last second of the year 9999, which is the last that RFC 3339 can write.
const LAST_SECOND: u64 = 253_402_300_799;

/// What the document says of the program itself.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct About {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    status: &'static str,
    #[serde(flatten)]
    about: &'a About,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'static str>,
    checks: BTreeMap<&'a str, [Detail<'a>; 1]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_unit: Option<&'a str>,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
}

/// The draft's word.
fn word(status: Status) -> &'static str {
    match status {
        Status::Passing => "pass",
        Status::Warning => "warn",
        Status::Critical | Status::Maintenance => "fail",
    }
}

/// The status, and a line for each probe that does not pass.
pub(super) fn text(status: Status, ready: bool, parts: &[Part]) -> String {
    let mut text = format!("{}\n", word(status));
    if !ready {
        text.push_str(NOT_READY);
        text.push('\n');
    }
    for part in parts {
        let finding = &part.taken.finding;
        if finding.status() == Status::Passing {
            continue;
        }
        let output = finding.output().trim();
        let (line, _) = output.split_at_checked(output.floor_char_boundary(LINE)).unwrap_or((output, ""));
        let line = line.replace(char::is_control, " ");
        let (name, word) = (&part.name, word(finding.status()));
        let sep = if line.is_empty() { "" } else { ", " };
        text.push_str(&format!("{name}: {word}{sep}{line}\n"));
    }
    text
}

/// The whole document.
pub(super) fn json(status: Status, ready: bool, parts: &[Part], about: &About) -> String {
    let checks = parts.iter().map(|part| (&*part.name, [detail(part)])).collect();
    let output = (!ready).then_some(NOT_READY);
    let document = Document { status: word(status), about, output, checks };
    // Texts and finite numbers can always be written; if they could not, a status still would have to be told.
    serde_json::to_string(&document).unwrap_or_else(|_| format!("{{\"status\":\"{}\"}}", word(status)))
}

fn detail(part: &Part) -> Detail<'_> {
    let finding = &part.taken.finding;
    let value = finding.value();
    Detail {
        status: word(finding.status()),
        observed_value: value.map(|(value, _)| value),
        observed_unit: value.map(|(_, unit)| unit),
        time: rfc3339(part.taken.time),
        // The draft wants none where all is well.
        output: Some(finding.output()).filter(|said| !said.is_empty() && finding.status() != Status::Passing),
    }
}

/// A time since 1970 as `2026-11-25T14:49:16.000Z`.
#[expect(clippy::arithmetic_side_effects, reason = "all of it is below 2^40, for the seconds are limited")]
fn rfc3339(time: Duration) -> String {
    let seconds = time.as_secs().min(LAST_SECOND);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant, "chrono-compatible low-level date algorithms": a year starts in March, an era has 400 years.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let milli = time.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests;
