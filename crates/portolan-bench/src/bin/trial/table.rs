//! What a trial found: a table as BENCHMARKS.md has them, and what did not hold. PURE.

use std::{fmt, time::Duration};

/// Rows of figures, and every promise that was broken.
#[derive(Debug)]
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
    broken: Vec<String>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        let head = head.iter().map(|&name| name.to_owned()).collect();
        Self { head, rows: Vec::new(), notes: Vec::new(), broken: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// A line below the table.
    pub(crate) fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }

    /// Notes a promise that must hold.
    pub(crate) fn must(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            self.broken.push(what.into());
        }
    }

    /// Whether everything that must hold did.
    pub(crate) fn holds(&self) -> bool {
        self.broken.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = vec!["---".to_owned(); self.head.len()];
        for row in [&self.head, &rule].into_iter().chain(&self.rows) {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        for note in &self.notes {
            writeln!(f, "\n{note}")?;
        }
        for broken in &self.broken {
            writeln!(f, "\nBROKEN: {broken}")?;
        }
        Ok(())
    }
}

/// Seconds, or milliseconds when it is short.
pub(crate) fn time(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        return format!("{:.1} ms", duration.as_secs_f64() * 1e3);
    }
    format!("{:.1} s", duration.as_secs_f64())
}

/// The same, or a dash where there is none.
pub(crate) fn perhaps(duration: Option<Duration>) -> String {
    duration.map_or_else(|| "-".to_owned(), time)
}

/// The middle one.
pub(crate) fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_reads_as_markdown_and_tells_what_was_broken() {
        let mut table = Table::new(&["what", "time"]);
        table.row(["a cut".to_owned(), time(Duration::from_millis(12))]);
        table.must(true, "fine");
        assert!(table.holds());
        table.must(false, "a lookup failed");
        let text = "| what | time |\n| --- | --- |\n| a cut | 12.0 ms |\n\nBROKEN: a lookup failed\n";
        assert_eq!((table.to_string().as_str(), table.holds()), (text, false));
        assert_eq!([perhaps(None), perhaps(Some(Duration::from_secs(90)))], ["-", "90.0 s"]);
    }

    #[test]
    fn the_median_is_the_middle_one() {
        let times = [5, 1, 9].map(Duration::from_secs).to_vec();
        assert_eq!(median(times), Some(Duration::from_secs(5)));
        assert_eq!(median(Vec::new()), None);
    }
}
