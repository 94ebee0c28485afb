//! Figures as rows: beside a Consul's in the same run, and what they must reach. PURE.
//!
//! In:  figures. Out: a table in Markdown, and the rows of `bench.json` as the other benchmarks write them.
//!
//! A target is an upper bound: "twenty times Consul" is a time of at most a twentieth of Consul's.

use std::fmt::Write as _;

use serde::Serialize;

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    name: String,
    value: f64,
    unit: &'static str,
    peer: Option<String>,
    peer_value: Option<f64>,
    ratio: Option<f64>,
    target: Option<f64>,
    met: Option<bool>,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        let name = name.into();
        Self { name, value, unit, peer: None, peer_value: None, ratio: None, target: None, met: None }
    }

    /// The figure of another, where there is one.
    pub(crate) fn beside(mut self, peer: &str, value: Option<f64>) -> Self {
        if let Some(value) = value {
            self.peer = Some(peer.to_owned());
            self.peer_value = Some(value);
            self.ratio = (value > 0.0).then(|| self.value / value);
        }
        self
    }

    /// What it must not exceed.
    pub(crate) fn at_most(mut self, target: f64) -> Self {
        self.target = Some(target);
        self.met = Some(self.value <= target);
        self
    }

    /// This figure over that of another, which it must not exceed by this factor.
    pub(crate) fn over(name: impl Into<String>, value: f64, other: Option<f64>, target: f64) -> Option<Self> {
        let other = other.filter(|other| *other > 0.0)?;
        Some(Self::new(name, value / other, "ratio").at_most(target))
    }
}

/// Three figures are more than a shared machine can promise.
fn short(value: f64) -> String {
    let places = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 4,
    };
    format!("{value:.places$}")
}

/// A table in Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text =
        "| what | figure | beside | its figure | ratio | target | met |\n| --- | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for Row { name, value, unit, peer, peer_value, ratio, target, met } in rows {
        let number = |number: &Option<f64>| number.map_or("-".to_owned(), short);
        let met = met.map_or("-", |met| if met { "yes" } else { "NO" });
        let (peer, value) = (peer.as_deref().unwrap_or("-"), short(*value));
        let [peer_value, ratio, target] = [peer_value, ratio, target].map(number);
        let _infallible = writeln!(
            text,
            "| {name} | **{value} {unit}** | {peer} | {peer_value} | {ratio} | {target} | {met} |"
        );
    }
    text
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_judged_by_its_target_and_compared_with_its_peer() {
        let row = Row::new("write", 20.0, "µs").beside("Consul", Some(1_000.0)).at_most(25.0);
        assert_eq!((row.ratio, row.met), (Some(0.02), Some(true)));
        let share = Row::over("write over Consul", 60.0, Some(1_000.0), 0.05).unwrap();
        assert_eq!(share.met, Some(false));
        assert!(Row::over("no Consul", 60.0, None, 0.05).is_none());
        let shown = table(&[row, share]);
        assert!(shown.contains("| write | **20.0 µs** | Consul | 1000 | 0.0200 | 25.0 | yes |"), "{shown}");
        assert!(
            shown.contains("| write over Consul | **0.0600 ratio** | - | - | - | 0.0500 | NO |"),
            "{shown}"
        );
        assert_eq!(median(vec![3.0, 1.0, 2.0]).total_cmp(&2.0), std::cmp::Ordering::Equal);
    }
}
