//! What the figures must show. PURE.
//!
//! In:  the figures of all cells, or of few. Out: a line for each bar: what was found, and whether it holds. Never: a bar that
//! holds because there was nothing to judge.

use portolan::Policy;

use super::{
    figures::Figures,
    plan::{Cell, FAILING, Mode, SLOW},
};

/// A run with what came of it.
#[derive(Clone, Debug)]
pub(super) struct Ran {
    pub(super) cell: Cell,
    pub(super) figures: Figures,
}

/// One bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) holds: bool,
    pub(super) what: String,
}

/// Retries that an account may hold of what came before: ten seconds of those that are free, and one second's besides.
const SAVED: f64 = 110.0;

pub(super) fn judge(ran: &[Ran]) -> Vec<Verdict> {
    vec![slow(ran), quick_failures(ran), failing(ran), storm(ran), ejected(ran)]
}

/// The figures of a cell, if it was run.
pub(super) fn of<'a>(ran: &'a [Ran], scenario: &str, policy: Policy, mode: Mode) -> Option<&'a Figures> {
    let wanted = |one: &&Ran| {
        one.cell.scenario.name == scenario && one.cell.contender.policy == policy && one.cell.mode == mode
    };
    ran.iter().find(wanted).map(|one| &one.figures)
}

fn slow(ran: &[Ran]) -> Verdict {
    let p99 = |policy| of(ran, SLOW, policy, Mode::Bare).map(|figures| figures.p99.as_secs_f64() * 1e3);
    let pair = p99(Policy::PeakEwma).zip(p99(Policy::RoundRobin));
    let (ewma, robin) = pair.unwrap_or((f64::NAN, f64::NAN));
    Verdict {
        holds: ewma * 5.0 <= robin,
        what: format!(
            "peak EWMA's p99 is at most a fifth of round robin's with one slow instance, both without ejection: \
             {ewma:.1} ms, {robin:.1} ms"
        ),
    }
}

fn failing(ran: &[Ran]) -> Verdict {
    let failed = |mode| of(ran, FAILING, Policy::RoundRobin, mode).map(|figures| figures.failed * 100.0);
    let pair = failed(Mode::Ejecting).zip(failed(Mode::Bare));
    let (with, without) = pair.unwrap_or((f64::NAN, f64::NAN));
    Verdict {
        holds: with * 3.0 <= without,
        what: format!(
            "with ejection at most a third as many requests fail of round robin's with one failing instance: \
             {with:.3} %, {without:.3} %"
        ),
    }
}

/// Without ejection: what fails quickly must not look quick.
fn quick_failures(ran: &[Ran]) -> Verdict {
    let failed = |policy| of(ran, FAILING, policy, Mode::Bare).map(|figures| figures.failed * 100.0);
    let pair = failed(Policy::PeakEwma).zip(failed(Policy::RoundRobin));
    let (ewma, robin) = pair.unwrap_or((f64::NAN, f64::NAN));
    Verdict {
        holds: ewma * 10.0 <= robin,
        what: format!(
            "at most a tenth as many requests fail of peak EWMA's as of round robin's with one failing instance, both \
             without ejection: {ewma:.3} %, {robin:.3} %"
        ),
    }
}

/// Counted for each program, for each has an account of its own.
fn storm(ran: &[Ran]) -> Verdict {
    let outages: Vec<&Ran> =
        ran.iter().filter(|one| one.cell.scenario.is_outage() && one.cell.mode == Mode::Calling).collect();
    let loads = || outages.iter().flat_map(|one| &one.figures.judged.loads);
    let within = loads().all(|load| {
        let life = load.life.reached as f64 <= load.life.allowed(0.0);
        life && load.outage.reached as f64 <= load.outage.allowed(SAVED) && load.outage.offered > 0
    });
    let most = loads().map(|load| load.outage.factor()).fold(0.0, f64::max);
    let over_life = loads().map(|load| load.life.factor()).fold(0.0, f64::max);
    Verdict {
        holds: within && loads().count() > 0,
        what: format!(
            "in a full outage no program sends more than 1.2 times what it is offered and 10 a second: {most:.4} times \
             in the outage, with what it had saved; {over_life:.4} times since it began"
        ),
    }
}

fn ejected(ran: &[Ran]) -> Verdict {
    let sum = |count: fn(&Figures) -> u64| ran.iter().map(|one| count(&one.figures)).sum::<u64>();
    let against = sum(|figures| figures.judged.against_ejection);
    let probes = sum(|figures| figures.judged.probes);
    Verdict {
        holds: against == 0 && probes > 0,
        what: format!(
            "no pick of an ejected instance but its probes, one at a time: {against} picks, {probes} probes"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cluster::{
        figures::{Count, Judged, Load},
        plan::{cells, few_cells},
    };

    fn ran(cells: Vec<Cell>, change: impl Fn(&Cell, &mut Figures)) -> Vec<Ran> {
        let count = Count { offered: 1_000, reached: 1_200, seconds: 10.0 };
        let judged =
            Judged { probes: 3, against_ejection: 0, loads: vec![Load { life: count, outage: count }] };
        let times = Duration::from_millis(50);
        let figures = Figures {
            requests: 1,
            p50: times,
            p99: times,
            p999: times,
            failed: 0.01,
            failed_after: 0.0,
            judged,
        };
        let one = |cell: Cell| {
            let mut figures = figures.clone();
            if cell.contender.policy == Policy::RoundRobin && cell.mode == Mode::Bare {
                figures.p99 = times * 5;
                figures.failed = 0.03;
            }
            if cell.contender.policy == Policy::PeakEwma && cell.mode == Mode::Bare {
                figures.failed = 0.003;
            }
            change(&cell, &mut figures);
            Ran { cell, figures }
        };
        cells.into_iter().map(one).collect()
    }

    fn held(ran: &[Ran]) -> Vec<bool> {
        judge(ran).iter().map(|verdict| verdict.holds).collect()
    }

    #[test]
    fn each_bar_breaks_by_itself_in_the_whole_and_in_the_short_form() {
        for all in [cells, few_cells] {
            assert_eq!(held(&ran(all(), |_, _| {})), [true; 5]);
            let slower = ran(all(), |cell, figures| {
                figures.p99 += Duration::from_millis(u64::from(cell.contender.policy == Policy::PeakEwma));
            });
            assert_eq!(held(&slower), [false, true, true, true, true]);
            let quick = ran(all(), |cell, figures| {
                let ewma = cell.contender.policy == Policy::PeakEwma && cell.mode == Mode::Bare;
                figures.failed += if ewma { 0.001 } else { 0.0 };
            });
            assert_eq!(held(&quick), [true, false, true, true, true]);
            let failing = ran(all(), |cell, figures| {
                figures.failed += if cell.mode == Mode::Ejecting { 0.001 } else { 0.0 };
            });
            assert_eq!(held(&failing), [true, true, false, true, true]);
            for part in 0..2 {
                let storm = ran(all(), |_, figures| {
                    for load in &mut figures.judged.loads {
                        let counts = [&mut load.life, &mut load.outage];
                        counts.into_iter().nth(part).unwrap().reached = 1_411;
                    }
                });
                assert_eq!(held(&storm), [true, true, true, false, true], "{part}");
            }
            let picked = ran(all(), |_, figures| figures.judged.against_ejection = 1);
            assert_eq!(held(&picked), [true, true, true, true, false]);
        }
    }

    #[test]
    fn nothing_to_judge_is_not_well() {
        assert_eq!(held(&[]), [false; 5]);
    }
}
