//! From figures to tables and rows: what is compared with what, and the targets.
//!
//! In:  measured groups. Out: a table for each, a list of rows, and which targets are not met. PURE.
//!
//! On one thread the figure of a case is its least over all rounds: on a machine that others use too, all else is
//! their noise. On two it is the median: what holds up one thread frees the other of contention, so that there the
//! least would flatter.

use std::fmt::Write as _;

use serde::Serialize;

use crate::measure::{Figure, Group, Kind, Measured, Scope};

/// One figure, with what it is compared with and what it should be.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    name: String,
    value: f64,
    unit: &'static str,
    /// What `peer_value` is of; a limit is named as one.
    peer: Option<String>,
    peer_value: Option<f64>,
    /// `value / peer_value`: under 1 is better than the peer.
    ratio: Option<f64>,
    /// At most this.
    target: Option<f64>,
    met: Option<bool>,
}

/// What is called flat: at most this ratio. A lock or a shared counter costs three times as much on two threads, and
/// a list that is searched a thousand times as much among 10,000; less than half more is caches, and noise.
const FLAT: f64 = 1.5;

/// What Portolan's case is to be compared with: first a peer, then the limit.
fn compared(case: &str) -> [&'static str; 2] {
    match case {
        "warm" => ["DashMap", "plain map (foldhash)"],
        "warm + peek" => ["DashMap + slice, p2c", "plain map (foldhash)"],
        "peek, round robin" => ["pingora select, round robin", "arc-swap load + slice, p2c"],
        "pick, round robin" => ["pingora select, round robin", "arc-swap load + p2c, counted"],
        "pick by key, maglev" => ["pingora select, consistent", "arc-swap load + p2c, counted"],
        "request, peak ewma" => ["two clock reads", "two clock reads"],
        peek if peek.starts_with("peek") => ["pingora select, random", "arc-swap load + slice, p2c"],
        _ => ["pingora select, random", "arc-swap load + p2c, counted"],
    }
}

/// Nanoseconds that a case may take; `None` where no figure is asked of it.
fn target(case: &str, scope: Scope, threads: u32) -> Option<f64> {
    match (case, scope, threads) {
        ("warm", _, 1) => Some(30.0),
        (peek, Scope::Handle(_), 1) if peek.starts_with("peek") => Some(15.0),
        ("pick by key, maglev", Scope::Handle(_), _) => Some(60.0),
        (pick, Scope::Handle(instances), threads) if pick.starts_with("pick") => {
            let few = if instances <= 100 { 1.0 } else { 2.0 };
            Some(30.0 * few * f64::from(threads))
        }
        _ => None,
    }
}

/// Whether the second thread may not slow the first.
fn flat_in_threads(case: &str) -> bool {
    case == "warm" || case.starts_with("peek")
}

impl Row {
    fn new(name: String, value: f64, unit: &'static str) -> Self {
        Self { name, value, unit, peer: None, peer_value: None, ratio: None, target: None, met: None }
    }

    /// A figure beside one other of the same unit.
    pub(crate) fn beside_one(
        name: String,
        value: f64,
        unit: &'static str,
        peer: &str,
        peer_value: f64,
        target: Option<f64>,
    ) -> Self {
        let (peer, ratio) = (Some(peer.to_owned()), (peer_value > 0.0).then(|| rounded(value / peer_value)));
        let row = Self { peer, peer_value: Some(rounded(peer_value)), ratio, ..Self::new(name, value, unit) };
        row.at_most(target)
    }

    fn beside(mut self, peer: Option<(&Measured, f64)>) -> Self {
        if let Some((peer, value)) = peer {
            let limit = if peer.kind == Kind::Limit { "limit: " } else { "" };
            self.peer = Some(format!("{limit}{}", peer.name));
            self.peer_value = Some(rounded(value));
            self.ratio = (value > 0.0).then(|| rounded(self.value / value));
        }
        self
    }

    /// Judged as measured, not as rounded.
    fn at_most(mut self, target: Option<f64>) -> Self {
        self.target = target;
        self.met = target.map(|target| self.value <= target);
        self.value = rounded(self.value);
        self
    }
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Everything measured, as rows with a name of its own each.
pub(crate) fn rows(groups: &[Group]) -> Vec<Row> {
    let mut rows = Vec::new();
    for group in groups {
        for case in &group.cases {
            if case.kind == Kind::Portolan {
                judged(&mut rows, group, case);
            } else {
                for (number, threads) in THREADS {
                    let name = format!("{}, {}, {threads}", case.name, group.scope);
                    rows.extend(figure(case, number).map(|value| Row::new(name, value, "ns").at_most(None)));
                }
            }
        }
    }
    flat_in_instances(&mut rows, groups);
    rows
}

/// The figures of a case; the header of this file says why not the same of both.
fn figure(case: &Measured, threads: u32) -> Option<f64> {
    if threads == 1 { case.one.map(|figure| figure.least) } else { case.two.map(|figure| figure.median) }
}

/// How rows call so many threads.
const THREADS: [(u32, &str); 2] = [(1, "1 thread"), (2, "2 threads")];

fn judged(rows: &mut Vec<Row>, group: &Group, case: &Measured) {
    let find = |name: &str| group.cases.iter().find(|other| other.name == name);
    let [peer, limit] = compared(&case.name).map(find);
    let about = format!("{}, {}", case.name, group.scope);
    for (number, threads) in THREADS {
        let [peer, limit] =
            [peer, limit].map(|other| other.and_then(|other| Some((other, figure(other, number)?))));
        let name = format!("{about}, {threads}");
        let against = format!("{name}, against the limit");
        let target = target(&case.name, group.scope, number);
        let Some(value) = figure(case, number) else { continue };
        rows.push(Row::new(name, value, "ns").beside(peer.or(limit)).at_most(target));
        rows.push(Row::new(against, value, "ns").beside(limit).at_most(None));
    }
    let peer = peer.or(limit).map(|other| (other, other.allocations));
    let name = format!("{about}, allocations");
    rows.push(Row::new(name, case.allocations, "allocations").beside(peer).at_most(Some(0.0)));
    if let (true, Some(one), Some(two)) = (flat_in_threads(&case.name), case.one, case.two) {
        let name = format!("{about}, 2 threads over 1");
        rows.push(Row::new(name, two.median / one.median, "ratio").at_most(Some(FLAT)));
    }
}

/// Each peek among the most instances over the same among the fewest, beside the limit's own growth: memory that no
/// longer fits a cache is slower for everyone.
fn flat_in_instances(rows: &mut Vec<Row>, groups: &[Group]) {
    let handles: Vec<(u16, &Group)> = groups
        .iter()
        .filter_map(|group| match group.scope {
            Scope::Handle(instances) => Some((instances, group)),
            Scope::Names(_) => None,
        })
        .collect();
    let (Some((few, first)), Some((many, last))) = (handles.first(), handles.last()) else { return };
    if few == many {
        return;
    }
    for case in last.cases.iter().filter(|case| case.name.starts_with("peek")) {
        let growth = |name: &str| {
            let find = |group: &Group| figure(group.cases.iter().find(|case| case.name == name)?, 1);
            Some(find(last)? / find(first)?)
        };
        let [_, limit] = compared(&case.name);
        let limit_case = last.cases.iter().find(|case| case.name == limit);
        if let Some(value) = growth(&case.name) {
            let name = format!("{}, {many} instances over {few}", case.name);
            rows.push(
                Row::new(name, value, "ratio").beside(limit_case.zip(growth(limit))).at_most(Some(FLAT)),
            );
        }
    }
}

/// A table in Markdown of rows that belong to no group.
pub(crate) fn plain_table(title: &str, rows: &[Row]) -> String {
    let mut text = format!("### {title}\n\n| what | figure | beside | its figure | ratio | target |\n");
    text += "| --- | --- | --- | --- | --- | --- |\n";
    for Row { name, value, unit, peer, peer_value, ratio, target, .. } in rows {
        let number = |number: &Option<f64>| number.map_or("-".to_owned(), |number| number.to_string());
        let (beside, ratio, target) = (peer.as_deref().unwrap_or("-"), number(ratio), number(target));
        let peer_value = number(peer_value);
        let _infallible =
            writeln!(text, "| {name} | **{value} {unit}** | {beside} | {peer_value} | {ratio} | {target} |");
    }
    text
}

/// A table in Markdown.
pub(crate) fn table(group: &Group) -> String {
    let mut text = format!("### {}\n\n", group.scope);
    text += "| case | kind | 1 thread: least, median (slices) | 2 threads: least, median (slices) | allocations |\n";
    text += "| --- | --- | --- | --- | --- |\n";
    for case in &group.cases {
        let kind = match case.kind {
            Kind::Portolan => "**Portolan**",
            Kind::Peer => "peer",
            Kind::ByHand => "by hand",
            Kind::Limit => "limit",
        };
        let cell = |figure: Option<Figure>| {
            figure.map_or("too busy".to_owned(), |figure| {
                format!("{:.1}, {:.1} ({})", figure.least, figure.median, figure.rounds)
            })
        };
        let (one, two) = (cell(case.one), cell(case.two));
        let _infallible =
            writeln!(text, "| {} | {kind} | {one} | {two} | {} |", case.name, rounded(case.allocations));
    }
    text
}

/// How many targets are met, and each that is not.
pub(crate) fn verdict(rows: &[Row]) -> String {
    let judged = rows.iter().filter(|row| row.met.is_some()).count();
    let missed: Vec<&Row> = rows.iter().filter(|row| row.met == Some(false)).collect();
    let mut text = format!("{} of {judged} targets met\n", judged - missed.len());
    for row in missed {
        let (value, unit, target) = (row.value, row.unit, row.target.unwrap_or_default());
        let _infallible = writeln!(text, "not met: {}: {value:.2} {unit}, at most {target}", row.name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, kind: Kind, one: f64, two: f64) -> Measured {
        let figure = |least| Some(Figure { least, median: least * 1.5, rounds: 1 });
        Measured { name: name.to_owned(), kind, one: figure(one), two: figure(two), allocations: 0.0 }
    }

    fn peeks(instances: u16, portolan: f64, peer: f64) -> Group {
        let cases = vec![
            case("peek, p2c", Kind::Portolan, portolan, portolan * 1.1),
            case("pingora select, random", Kind::Peer, peer, peer * 2.0),
        ];
        Group { scope: Scope::Handle(instances), cases }
    }

    fn row<'a>(rows: &'a [Row], name: &str) -> &'a Row {
        rows.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("no row {name:?} in {rows:#?}"))
    }

    #[test]
    fn a_figure_is_judged_by_its_target_and_compared_with_the_peer_of_the_same_threads() {
        let rows = rows(&[peeks(3, 14.0, 140.0), peeks(10_000, 15.1, 140.0)]);
        let few = row(&rows, "peek, p2c, 3 instances, 2 threads");
        assert_eq!((few.peer_value, few.ratio, few.met), (Some(420.0), Some(0.06), None));
        assert_eq!(row(&rows, "peek, p2c, 3 instances, 1 thread").met, Some(true));
        assert_eq!(row(&rows, "peek, p2c, 10000 instances, 1 thread").met, Some(false));
        assert_eq!(row(&rows, "peek, p2c, 10000 instances over 3").met, Some(true));
        assert_eq!(row(&rows, "peek, p2c, 3 instances, 2 threads over 1").met, Some(true));
    }

    #[test]
    fn what_grows_with_instances_or_threads_is_not_flat() {
        let mut groups = [peeks(3, 5.0, 140.0), peeks(10_000, 8.0, 140.0)];
        groups[0].cases[0].two = Some(Figure { least: 7.6, median: 12.0, rounds: 1 });
        let rows = rows(&groups);
        for name in ["peek, p2c, 10000 instances over 3", "peek, p2c, 3 instances, 2 threads over 1"] {
            assert_eq!(row(&rows, name).met, Some(false), "{name}");
        }
        assert!(
            verdict(&rows).contains("not met: peek, p2c, 10000 instances over 3: 1.60 ratio, at most 1.5")
        );
    }

    #[test]
    fn a_pick_by_key_is_judged_by_one_figure_everywhere() {
        let group = |instances| {
            let cases = vec![case("pick by key, maglev", Kind::Portolan, 59.0, 30.0)];
            Group { scope: Scope::Handle(instances), cases }
        };
        let rows = rows(&[group(3), group(10_000)]);
        for instances in [3, 10_000] {
            let name = |threads| format!("pick by key, maglev, {instances} instances, {threads}");
            for threads in ["1 thread", "2 threads"] {
                let row = row(&rows, &name(threads));
                assert_eq!((row.target, row.met), (Some(60.0), Some(true)), "{}", row.name);
            }
        }
    }

    #[test]
    fn no_two_rows_have_the_same_name() {
        let rows = rows(&[peeks(3, 1.0, 1.0), peeks(100, 1.0, 1.0), peeks(10_000, 1.0, 1.0)]);
        let mut names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:#?}");
    }
}
