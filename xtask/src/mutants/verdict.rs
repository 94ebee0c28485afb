//! Judges how the mutants ended.
//!
//! In:  each mutant's end; `crates/portolan-sim/mutants.toml`, those that are known to survive, each with its reason. Out: a
//! table by the modules at the top, the survivors with their reasons, and whether it is well.
//!
//! Never: counts a mutant that does not build; takes a survivor for explained because another one in its file is.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::{drive::End, list};
use crate::Ending;

/// Of a hundred mutants, so many must be caught.
const SHARE: usize = 95;

const NO_REASON: &str = "NO REASON in crates/portolan-sim/mutants.toml";

/// The survivors with their reasons.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Known {
    #[serde(default)]
    survivor: Vec<Survivor>,
}

/// A mutant that no test can tell, or need not.
#[derive(Debug, Deserialize)]
struct Survivor {
    /// As the tool names it, without line and column: these move.
    mutant: String,
    why: String,
}

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Every pure file: the share counts.
    All,
    /// Some files, by name: one survivor among few says nothing of the share.
    Some,
}

/// So many ended so.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    caught: usize,
    timeout: usize,
    missed: usize,
    unviable: usize,
}

impl Known {
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }
}

impl Counts {
    fn count(&mut self, end: End) {
        let count = match end {
            End::Caught => &mut self.caught,
            End::Timeout => &mut self.timeout,
            End::Missed => &mut self.missed,
            End::Unviable => &mut self.unviable,
        };
        *count = count.saturating_add(1);
    }

    const fn noticed(self) -> usize {
        self.caught.saturating_add(self.timeout)
    }

    const fn viable(self) -> usize {
        self.noticed().saturating_add(self.missed)
    }

    fn row(self, name: &str) -> String {
        let Self { caught, timeout, missed, unviable } = self;
        format!("{name:<12} {caught:>8} {timeout:>8} {missed:>8} {unviable:>8}\n")
    }
}

/// The verdict on these mutants, named with their places: the text to show, and how it ends.
pub(crate) fn conclude(ends: &[(String, End)], known: &Known, scope: Scope) -> (String, Ending) {
    let mut modules: BTreeMap<String, Counts> = BTreeMap::new();
    let mut sum = Counts::default();
    for (name, end) in ends {
        let module = list::module(name.split(':').next().unwrap_or(name));
        let top = module.split("::").next().unwrap_or(&module);
        modules.entry(top.to_owned()).or_default().count(*end);
        sum.count(*end);
    }
    let mut text =
        format!("{:<12} {:>8} {:>8} {:>8} {:>8}\n", "module", "caught", "timeout", "missed", "unviable");
    text.extend(modules.iter().map(|(module, counts)| counts.row(module)));
    text.push_str(&sum.row("all"));
    text.push('\n');

    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Survivor { mutant, why } in &known.survivor {
        reasons.entry(mutant).or_default().push(why);
    }
    let mut unexplained = 0_usize;
    for (name, _) in ends.iter().filter(|(_, end)| *end == End::Missed) {
        // Each reason is for one mutant: of two alike, two are needed.
        let why = reasons.get_mut(&*without_place(name)).and_then(Vec::pop).filter(|why| !why.is_empty());
        unexplained = unexplained.saturating_add(usize::from(why.is_none()));
        let why = why.unwrap_or(NO_REASON);
        let _always_fits = writeln!(text, "survives: {name}\n          {why}");
    }
    // Not a failure: a property may miss one day what it noticed the other.
    for (name, left) in reasons.iter().filter(|(_, left)| scope == Scope::All && !left.is_empty()) {
        let _always_fits = writeln!(text, "has a reason ({}), and is noticed: {name}", left.len());
    }
    let (noticed, viable) = (sum.noticed(), sum.viable());
    let _always_fits =
        writeln!(text, "{noticed} of {viable} mutants noticed; {unexplained} survive without a reason");
    let enough = noticed.saturating_mul(100) >= viable.saturating_mul(SHARE);
    let well = unexplained == 0 && (enough || scope == Scope::Some);
    (text, if well { Ending::Well } else { Ending::Failed })
}

/// `a.rs:20:5: replace …` is `a.rs: replace …`.
fn without_place(line: &str) -> String {
    let Some((place, what)) = line.split_once(": ") else { return line.to_owned() };
    let file = place.split(':').next().unwrap_or(place);
    format!("{file}: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(mutants: &[&str]) -> Known {
        let survivor = |mutant: &&str| Survivor { mutant: (*mutant).to_owned(), why: "equal".to_owned() };
        Known { survivor: mutants.iter().map(survivor).collect() }
    }

    fn ends(caught: usize, missed: &[&str]) -> Vec<(String, End)> {
        let caught = (0..caught).map(|nth| (format!("a.rs:{nth}:1: c"), End::Caught));
        caught.chain(missed.iter().map(|name| ((*name).to_owned(), End::Missed))).collect()
    }

    #[test]
    fn a_survivor_needs_a_reason_of_its_own_and_most_must_be_caught() {
        let well = |ends: &[(String, End)], known: &Known, scope| {
            matches!(conclude(ends, known, scope).1, Ending::Well)
        };
        let (one, two) = (&["a.rs:7:3: x"][..], &["a.rs:7:3: x", "a.rs:8:3: x"][..]);
        let known = known(&["a.rs: x"]);
        assert!(well(&ends(19, one), &known, Scope::All));
        assert!(!well(&ends(18, one), &known, Scope::All), "under 95 %");
        assert!(well(&ends(18, one), &known, Scope::Some), "one file has few");
        assert!(!well(&ends(40, two), &known, Scope::All), "one reason for two");
        assert!(!well(&ends(40, &["a.rs:7:3: y"]), &known, Scope::Some));
    }

    #[test]
    fn the_table_has_a_row_for_each_module_at_the_top() {
        let ends = [
            ("crates/portolan/src/sync/step.rs:1:1: a", End::Caught),
            ("crates/portolan/src/sync.rs:1:1: b", End::Timeout),
            ("crates/portolan/src/backoff.rs:1:1: c", End::Unviable),
            ("crates/portolan/src/backoff.rs:2:1: d", End::Missed),
        ];
        let ends = ends.map(|(name, end)| (name.to_owned(), end));
        let expected = "\
module         caught  timeout   missed unviable
backoff             0        0        1        1
sync                1        1        0        0
all                 1        1        1        1

survives: crates/portolan/src/backoff.rs:2:1: d
          equal
2 of 3 mutants noticed; 0 survive without a reason
";
        assert_eq!(conclude(&ends, &known(&["crates/portolan/src/backoff.rs: d"]), Scope::All).0, expected);
    }

    #[test]
    fn a_reason_that_none_needs_is_told() {
        let text = |scope| conclude(&ends(1, &[]), &known(&["a.rs: x", "a.rs: x"]), scope).0;
        assert!(text(Scope::All).contains("has a reason (2), and is noticed: a.rs: x\n"));
        assert!(!text(Scope::Some).contains("a.rs: x"), "it was not tried");
    }

    #[test]
    fn a_mutant_is_known_wherever_it_moves() {
        assert_eq!(without_place("a/b.rs:20:5: replace f -> u64 with 0"), "a/b.rs: replace f -> u64 with 0");
    }
}
