//! The figures as a picture: bars of the 99th percentile, for each scenario and policy. PURE.
//!
//! In:  figures. Out: an SVG, the same bytes for the same figures. It follows the reader's light or dark ground.
//!
//! Never: a script, a font or a picture from elsewhere.

use std::fmt::Write as _;

use portolan::format_duration;

use super::{
    judge::{Ran, of},
    plan::{Mode, POLICIES, SCENARIOS},
};

const LEFT: usize = 64;
const WIDTH: usize = 1160;
const PANEL: usize = 200;
const PANELS: [(Mode, usize); 2] = [(Mode::Bare, 70), (Mode::Ejecting, 350)];
const HEIGHT: usize = 640;
const BAR: usize = 20;
/// In milliseconds, each with its line.
const LINES: [u32; 7] = [10, 20, 50, 100, 200, 500, 1_000];

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#24292f}\
.title{font-weight:600}\
.line{stroke:#8c959f;stroke-opacity:.35}\
@media (prefers-color-scheme:dark){text{fill:#e6edf3}}";

/// The picture.
pub(super) fn plot(ran: &[Ran]) -> String {
    let mut svg = String::new();
    line(
        &mut svg,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-labelledby=\"name\">"
        ),
    );
    line(
        &mut svg,
        format_args!("<title id=\"name\">The 99th percentile of latency by scenario and policy</title>"),
    );
    line(&mut svg, format_args!("<style>{STYLE}</style>"));
    legend(&mut svg);
    for (mode, top) in PANELS {
        panel(&mut svg, ran, mode, top);
    }
    svg.push_str("</svg>\n");
    svg
}

fn line(svg: &mut String, what: std::fmt::Arguments<'_>) {
    let _always_fits = writeln!(svg, "{what}");
}

fn text(svg: &mut String, (x, y): (usize, usize), anchor: &str, what: &str) {
    line(svg, format_args!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>", escaped(what)));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn legend(svg: &mut String) {
    for (at, contender) in POLICIES.iter().enumerate() {
        let x = LEFT + at * 150;
        let fill = contender.colour;
        line(svg, format_args!("<rect x=\"{x}\" y=\"14\" width=\"14\" height=\"14\" fill=\"{fill}\"/>"));
        text(svg, (x + 20, 26), "start", contender.name);
    }
}

/// The bars of one mode, from `top` on.
fn panel(svg: &mut String, ran: &[Ran], mode: Mode, top: usize) {
    let base = top + PANEL;
    let title = format!("p99, {}: milliseconds, on a logarithmic axis", mode.name());
    line(svg, format_args!("<text class=\"title\" x=\"{LEFT}\" y=\"{}\">{title}</text>", top - 12));
    for ms in LINES {
        let y = base - height(f64::from(ms));
        let right = WIDTH - 10;
        line(svg, format_args!("<path class=\"line\" d=\"M{LEFT} {y}H{right}\"/>"));
        text(svg, (LEFT - 8, y + 4), "end", &ms.to_string());
    }
    let group = (WIDTH - LEFT - 10) / SCENARIOS.len();
    for (at, scenario) in SCENARIOS.iter().enumerate() {
        let start = LEFT + at * group + group.saturating_sub(POLICIES.len() * BAR) / 2;
        text(svg, (LEFT + at * group + group / 2, base + 20), "middle", scenario.name);
        for (bar, contender) in POLICIES.iter().enumerate() {
            let Some(figures) = of(ran, scenario.name, contender.policy, mode) else { continue };
            let tall = height(figures.p99.as_secs_f64() * 1e3);
            let (x, y, wide, fill) = (start + bar * BAR, base - tall, BAR - 3, contender.colour);
            let says = format!("{}, {}: {}", scenario.name, contender.name, format_duration(figures.p99));
            line(
                svg,
                format_args!(
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{tall}\" fill=\"{fill}\"><title>{}</title></rect>",
                    escaped(&says)
                ),
            );
        }
    }
}

/// How tall a bar is: the first line is at 8, each next of ten times as much 96 higher.
fn height(ms: f64) -> usize {
    // By halving steps, and not by a logarithm, whose last digit is another on another machine.
    const TALLEST: usize = PANEL;
    let mut low = 0;
    let mut high = TALLEST;
    while low < high {
        let middle = (low + high) / 2;
        if value_of(middle) < ms { low = middle + 1 } else { high = middle }
    }
    low
}

/// The milliseconds that a height stands for: 9 at the base, and 1.0245 times as much with each unit.
fn value_of(height: usize) -> f64 {
    (0..height).fold(9.0, |ms, _| ms * 1.0245)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cluster::{
        figures::{Figures, Judged},
        plan::cells,
    };

    fn ran() -> Vec<Ran> {
        let figures = |at: u64| {
            let p99 = Duration::from_millis(10 + at * at);
            let judged = Judged::default();
            Figures { requests: 1, p50: p99, p99, p999: p99, failed: 0.0, failed_after: 0.0, judged }
        };
        (0..).zip(cells()).map(|(at, cell)| Ran { cell, figures: figures(at) }).collect()
    }

    /// Every tag is closed by its own, and values are quoted.
    fn is_well_formed(svg: &str) -> bool {
        let mut open = Vec::new();
        for piece in svg.split('<').skip(1) {
            let Some((tag, _)) = piece.split_once('>') else { return false };
            let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
            if tag.starts_with('/') {
                if open.pop() != Some(name) {
                    return false;
                }
            } else if !tag.ends_with('/') {
                open.push(name);
            }
            if tag.matches('"').count() % 2 == 1 || tag.matches('=').count() * 2 != tag.matches('"').count() {
                return false;
            }
        }
        open.is_empty()
    }

    #[test]
    fn the_picture_is_well_formed_the_same_each_time_and_has_all_bars() {
        let svg = plot(&ran());
        assert!(is_well_formed(&svg), "{svg}");
        assert_eq!(svg, plot(&ran()));
        let bars = SCENARIOS.len() * POLICIES.len() * PANELS.len();
        assert_eq!(svg.matches("</rect>").count(), bars);
        assert!(!svg.contains("script") && !svg.contains("NaN") && svg.matches("http").count() == 1);
        assert!(!is_well_formed(&svg.replace("</rect>", "")) && !is_well_formed(&svg.replace("\"/>", "/>")));
    }

    #[test]
    fn heights_are_those_of_a_logarithmic_axis_and_stay_in_their_panel() {
        let tall: Vec<usize> = [0.0, 9.0, 10.0, 100.0, 1_000.0, 1e6].map(height).to_vec();
        assert_eq!(tall, [0, 0, 5, 100, 195, PANEL]);
        assert!(LINES.iter().all(|ms| height(f64::from(*ms)) < PANEL));
    }
}
