//! The figures as a page. PURE.
//!
//! In:  the plan, figures and verdicts. Out: `docs/pickers.md`, the same bytes for the same figures; and a line for each cell.
//!
//! Never: a number that was not measured in this run.

use std::{fmt::Write as _, time::Duration};

use portolan::format_duration;

use super::{
    figures::{Figures, Judged},
    judge::{Ran, Verdict, of},
    plan::{MODES, POLICIES, Plan, SCENARIOS},
};

const CHOICE: &str = include_str!("choice.md");

/// The page.
pub(super) fn page(plan: &Plan, ran: &[Ran], verdicts: &[Verdict]) -> String {
    let mut page = format!("{}\n## The figures\n\n", head(plan));
    page.push_str(
        "Latency is that of all requests, also of those that failed: until their caller knew. In milliseconds; failed in \
         percent of all.\n",
    );
    for scenario in SCENARIOS {
        let _always_fits = write!(page, "\n### {}\n\n{}\n\n", capital(scenario.name), scenario.what);
        page.push_str("| policy | used | p50 | p99 | p99.9 | failed |");
        let outage = scenario.is_outage();
        page.push_str(if outage { " failed after it |\n" } else { "\n" });
        page.push_str(if outage {
            "| --- | --- | ---: | ---: | ---: | ---: | ---: |\n"
        } else {
            "| --- | --- | ---: | ---: | ---: | ---: |\n"
        });
        for mode in MODES {
            for contender in POLICIES {
                let Some(figures) = of(ran, scenario.name, contender.policy, *mode) else { continue };
                let _always_fits = write!(
                    page,
                    "| {} | {} | {} |",
                    contender.name,
                    mode.name(),
                    columns(figures).join(" | ")
                );
                if outage {
                    let _always_fits = write!(page, " {} |", percent(figures.failed_after));
                }
                page.push('\n');
            }
        }
    }
    page.push_str("\n## What is checked\n\n");
    for Verdict { holds, what } in verdicts {
        let _always_fits = writeln!(page, "- {}{what}.", if *holds { "" } else { "**Broken**: " });
    }
    page.push('\n');
    page.push_str(CHOICE);
    page
}

/// The part that says what was simulated: it needs no run.
pub(super) fn head(plan: &Plan) -> String {
    let long = |duration: Duration| format_duration(duration);
    format!(
        "# Pickers compared

Which policy, with what around it? A cluster in virtual time says what each does when an instance is slow, fails, or goes.
`cargo xtask cluster` makes this page again, and fails when a bar below is broken, or when this page or its picture is not
what it computed; `--write` writes both.

![p99 by scenario and policy](pickers.svg)

## What is simulated

The real library, in Tokio's paused time, on one thread; all chance comes from seed {seed}, so a run is the same each time.

- {callers} programs, each a `Discovery` of its own, as processes are: no load, outcome or budget is shared.
- {instances} instances of a service, each with {workers} workers and one queue, first come, first served; a request takes
  {service} of a worker on average, exponentially distributed. What its caller gave up is passed over.
- Requests come whether those before them were answered or not, as a Poisson process: {rate:.0} a second in all, which is
  {load} % of what the instances can do.
- A caller waits {patience} for one try. A refusal, or a quick failure, takes {refusal}. There is no network between them.
- The scene begins after {warm_up} in which all is well. From then on {counted} are counted: also those before anybody noticed.
- *Picks alone*: `Resolver::pick`, each request once, no ejection. *With ejection*: the defaults of `Ejection`, and
  `slower_times(5)`. *With ejection and retries*: `Resolver::call`, idempotent, at most 3 tries, the default budget.
",
        seed = plan.seed,
        callers = plan.callers,
        instances = plan.instances,
        workers = plan.workers,
        service = long(plan.service),
        rate = plan.per_second(),
        load = plan.load_percent,
        patience = long(plan.patience),
        refusal = long(plan.refusal),
        warm_up = long(plan.warm_up),
        counted = long(plan.counted),
    )
}

/// What is printed while it runs.
pub(super) fn row(one: &Ran) -> String {
    let Ran { cell, figures } = one;
    let Judged { probes, .. } = &figures.judged;
    let [p50, p99, p999, failed] = columns(figures);
    let mut row = format!(
        "{:<24} {:<12} {:<26} p50 {p50:>6}  p99 {p99:>6}  p99.9 {p999:>6}  failed {failed:>7} %  probes {probes:>4}",
        cell.scenario.name,
        cell.contender.name,
        cell.mode.name(),
    );
    if cell.scenario.is_outage() {
        let most = figures.judged.loads.iter().map(|load| load.outage.factor()).fold(0.0, f64::max);
        let _always_fits =
            write!(row, "  load {most:.4} times  after it {:>6} %", percent(figures.failed_after));
    }
    row
}

fn columns(figures: &Figures) -> [String; 4] {
    [millis(figures.p50), millis(figures.p99), millis(figures.p999), percent(figures.failed)]
}

fn millis(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms < 100.0 { format!("{ms:.1}") } else { format!("{ms:.0}") }
}

fn percent(share: f64) -> String {
    format!("{:.3}", share * 100.0)
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::plan::{Cell, cells};

    fn ran(cell: Cell) -> Ran {
        let [p50, p99, p999] = [7, 45, 123].map(Duration::from_millis);
        let judged = Judged::default();
        Ran {
            cell,
            figures: Figures { requests: 9, p50, p99, p999, failed: 0.0123, failed_after: 0.5, judged },
        }
    }

    #[test]
    fn the_page_has_a_row_for_each_cell_and_says_what_is_broken() {
        let ran: Vec<Ran> = cells().into_iter().map(ran).collect();
        let verdicts = [(true, "fine"), (false, "bad")];
        let verdicts = verdicts.map(|(holds, what)| Verdict { holds, what: what.to_owned() });
        let page = page(&Plan::default(), &ran, &verdicts);
        assert_eq!(page.matches(" | 7.0 | 45.0 | 123 | 1.230 |").count(), cells().len());
        assert_eq!(page.matches("1.230 | 50.000 |").count(), POLICIES.len() * MODES.len() * 2);
        assert!(page.contains("- fine.\n- **Broken**: bad.\n"), "{page}");
        assert!(page.starts_with(&head(&Plan::default())));
        assert!(page.contains("4800 a second"), "{page}");
        assert!(page.lines().filter(|line| !line.starts_with('|')).all(|line| line.len() < 400));
    }
}
