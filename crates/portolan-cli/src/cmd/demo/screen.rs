//! The demo's live picture and its summary, as text. PURE: from a value to lines.
//!
//! In:  a [`Picture`], the size of the terminal. Out: lines that fit, so that they can be drawn over.
//!
//! Never: asks a clock or a terminal; draws a line wider than the terminal, for then going back up would miss.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::Duration;

use portolan::Status;

use crate::output::{
    Ink, plain,
    table::{Cell, Table},
};

use super::tally::{Story, Subject, Tally};

/// Everything that is on the screen at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    pub(crate) elapsed: Duration,
    pub(crate) length: Duration,
    /// Where the registry is, and whether it is there.
    pub(crate) registry: String,
    pub(crate) registry_state: String,
    /// How fresh the caller's view is.
    pub(crate) view: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) sent: u64,
    pub(crate) served: u64,
    pub(crate) retried: u64,
    pub(crate) lost: u64,
    pub(crate) events: Vec<Event>,
}

/// One instance.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) zone: String,
    pub(crate) version: String,
    pub(crate) process: Process,
    /// What the caller's view says; `None`: not in it.
    pub(crate) status: Option<Status>,
    pub(crate) rate: u64,
    pub(crate) picks: u64,
}

/// What the process of an instance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    Running,
    Leaving,
    Killed,
    Left,
    Died,
}

impl Process {
    /// Whether it can serve a request.
    pub(crate) fn is_alive(self) -> bool {
        matches!(self, Self::Running | Self::Leaving)
    }

    fn cell(self) -> Cell {
        match self {
            Self::Running => Cell::new("running").ink(Ink::Good),
            Self::Leaving => Cell::new("leaving").ink(Ink::Doubtful),
            Self::Killed => Cell::new("killed").ink(Ink::Bad),
            Self::Left => Cell::new("left").ink(Ink::Faint),
            Self::Died => Cell::new("died").ink(Ink::Bad),
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at: Duration,
    pub(crate) text: String,
    pub(crate) ink: Ink,
}

impl Event {
    /// The event as a line, without its end.
    pub(crate) fn line(&self, color: bool) -> String {
        let at = format!("{:>5.1} s", self.at.as_secs_f64());
        format!("{at}  {}", self.ink.on(&plain(&self.text), color))
    }
}

/// The smallest terminal that the picture is drawn on.
pub(crate) const LEAST: (usize, usize) = (60, 20);

/// The lines of the picture, at most `height`, none wider than `width`.
pub(crate) fn frame(picture: &Picture, (width, height): (usize, usize), color: bool) -> Vec<String> {
    let mut lines = vec![
        Ink::Strong.on(
            &format!(
                "portolan demo  {:>4.1} s of {} s",
                picture.elapsed.as_secs_f64(),
                picture.length.as_secs()
            ),
            color,
        ),
        format!("registry  {}  {}", plain(&picture.registry), picture.registry_state),
        format!("view      {}", plain(&picture.view)),
        String::new(),
    ];
    lines.extend(instances(&picture.rows).render(color).lines().map(str::to_owned));
    lines.push(String::new());
    let lost = if picture.lost > 0 { Ink::Bad } else { Ink::Good };
    lines.push(format!(
        "requests  {} sent, {} answered, {} tried again on another instance, {}",
        picture.sent,
        picture.served,
        picture.retried,
        lost.on(&format!("{} failed", picture.lost), color)
    ));
    lines.push(String::new());
    let room = height.saturating_sub(lines.len()).saturating_sub(1);
    let skipped = picture.events.len().saturating_sub(room);
    lines.extend(picture.events.iter().skip(skipped).map(|event| event.line(color)));
    lines.truncate(height.saturating_sub(1));
    lines.iter().map(|line| fit(line, width)).collect()
}

fn instances(rows: &[Row]) -> Table {
    let mut table =
        Table::new(["INSTANCE", "ADDRESS", "ZONE", "VERSION", "PROCESS", "VIEW SAYS", "PICKS/S", "PICKS"]);
    for row in rows {
        let status = match row.status {
            Some(status) => Cell::new(status.as_str()).ink(status),
            None => Cell::new("-").ink(Ink::Faint),
        };
        table.row(vec![
            Cell::new(&row.id),
            Cell::new(&row.address),
            Cell::new(&row.zone),
            Cell::new(&row.version),
            row.process.cell(),
            status,
            row.rate.to_string().into(),
            row.picks.to_string().into(),
        ]);
    }
    table
}

/// The line cut to `width` characters; colours take no room, and are closed.
fn fit(line: &str, width: usize) -> String {
    let mut shown = String::new();
    let mut room = width;
    let mut in_code = false;
    for c in line.chars() {
        if c == '\x1b' {
            in_code = true;
        }
        if in_code {
            shown.push(c);
            in_code = c != 'm';
        } else if let Some(left) = room.checked_sub(1) {
            room = left;
            shown.push(c);
        }
    }
    shown
}

/// The last word: the figures, and what they mean.
pub(crate) fn summary(tally: &Tally, color: bool) -> String {
    let mut text = format!(
        "\n{}\nrequests: {} sent, {} answered, {} tried again on another instance, {} failed\n",
        Ink::Strong.on("Summary", color),
        tally.sent,
        tally.served,
        tally.retried,
        tally.lost.saturating_add(tally.hopeless)
    );
    if tally.hopeless > 0 {
        text.push_str(&format!(
            "{} of the failed ones were sent while no instance was alive\n",
            tally.hopeless
        ));
    }
    for reason in &tally.reasons {
        text.push_str(&format!("failed: {}\n", plain(reason)));
    }
    text.push('\n');
    let mut table =
        Table::new(["WHAT HAPPENED", "AT", "THE VIEW KNEW AFTER", "FAILED TRIES", "FAILED REQUESTS"]);
    for story in &tally.stories {
        table.row(row(story));
    }
    text.push_str(&table.render(color));
    text.push('\n');
    for story in &tally.stories {
        text.push_str(&told(story));
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&verdict(tally, color));
    text
}

fn row(story: &Story) -> Vec<Cell> {
    let what = match &story.subject {
        Subject::Killed(id) => format!("{id} killed (SIGKILL)"),
        Subject::Left(id) => format!("{id} left (SIGTERM)"),
        Subject::Deployed { new, old } => format!("{new} deployed for {old}"),
        Subject::RegistryStopped => "registry stopped".to_owned(),
        Subject::RegistryStarted => "registry started, empty".to_owned(),
    };
    let known = match story.known {
        Some(known) => Cell::new(span(story.at, known)),
        None => Cell::new("never").ink(Ink::Bad),
    };
    let lost = Cell::new(story.lost.to_string()).ink(if story.lost > 0 { Ink::Bad } else { Ink::Good });
    let at = format!("{:.1} s", story.at.as_secs_f64());
    vec![what.into(), at.into(), known, story.failed_tries.to_string().into(), lost]
}

/// A story in a sentence.
fn told(story: &Story) -> String {
    let since = |when: Option<Duration>| when.map(|when| span(story.at, when));
    match &story.subject {
        Subject::Killed(id) => match (since(story.first_failed), since(story.known)) {
            (Some(failed), known) => format!(
                "- {id} died without a word. {failed} later the first try failed there and went to another instance; {}",
                known.map_or("the view never knew.".to_owned(), |known| format!(
                    "{known} after its death its check had failed and the view left it out."
                ))
            ),
            (None, _) => {
                format!("- {id} died without a word, and no try was made there before the view left it out.")
            }
        },
        Subject::Left(id) => format!(
            "- {id} deregistered, served on for a moment, and stopped: {}, and {} tries failed.",
            since(story.last_pick).map_or("it was not picked again".to_owned(), |last| format!(
                "its last pick came {last} after the signal"
            )),
            story.failed_tries
        ),
        Subject::Deployed { new, old } => format!(
            "- {new} got its first request {}; then {old} left, and {} tries failed there.",
            since(story.first_pick)
                .map_or("never".to_owned(), |first| format!("{first} after its process was started")),
            story.failed_tries
        ),
        Subject::RegistryStopped => format!(
            "- While the registry was away, {} requests were answered from the view and {} failed.",
            story.served, story.lost
        ),
        Subject::RegistryStarted => match since(story.known) {
            Some(known) => format!(
                "- It came back knowing nothing. {known} later every running instance had registered itself again, and the view had it from there."
            ),
            None => {
                "- It came back knowing nothing, and the instances did not all return in time.".to_owned()
            }
        },
    }
}

fn verdict(tally: &Tally, color: bool) -> String {
    if tally.kept_its_word() {
        let text = "No request failed that a live instance could have served.";
        return format!("{}\n", Ink::Good.on(text, color));
    }
    let text = if tally.lost > 0 {
        format!("{} requests failed that a live instance could have served.", tally.lost)
    } else if tally.sent == 0 {
        "No request was sent.".to_owned()
    } else {
        "The view did not come to know of everything that happened.".to_owned()
    };
    format!("{}\n", Ink::Bad.on(&format!("The demo failed. {text}"), color))
}

/// The time between two moments, as a person reads it.
pub(crate) fn span(from: Duration, to: Duration) -> String {
    length(to.saturating_sub(from))
}

/// A length of time, as a person reads it.
pub(crate) fn length(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        format!("{} ms", took.as_millis())
    } else {
        format!("{:.1} s", took.as_secs_f64())
    }
}

#[cfg(test)]
mod tests;
