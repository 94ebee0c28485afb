//! What each finding makes of the whole, and which code says so.

use std::time::Duration;

use super::*;

const ALL: [Status; 3] = [Status::Passing, Status::Warning, Status::Critical];

fn part(name: &str, weight: Weight, status: Status) -> Part {
    let finding = match status {
        Status::Passing => Finding::passing(),
        Status::Warning => Finding::warning("slow"),
        Status::Critical | Status::Maintenance => Finding::critical("gone"),
    };
    let at = tokio::time::Instant::now().into_std();
    Part { name: name.into(), weight, taken: Taken { finding, at, time: Duration::ZERO } }
}

fn report(view: HealthView, ready: bool, parts: &[(Weight, Status)]) -> HealthReport {
    let seen = parts.iter().filter(|(weight, _)| view.looks_at(*weight));
    let parts = seen.map(|(weight, status)| part("a", *weight, *status)).collect();
    HealthReport::new(view, ready, parts, Arc::default())
}

#[test]
fn a_required_probe_counts_in_full_and_an_informational_one_is_a_warning_at_worst() {
    use Status::{Critical, Passing, Warning};
    for (weight, expected) in [
        (Weight::Informational, [Passing, Warning, Warning]),
        (Weight::Required, [Passing, Warning, Critical]),
        (Weight::Vital, [Passing, Warning, Critical]),
    ] {
        for (status, expected) in ALL.into_iter().zip(expected) {
            for view in [HealthView::Ready, HealthView::Check] {
                let found = report(view, true, &[(weight, status), (Weight::Required, Passing)]).status();
                assert_eq!(found, expected, "{weight:?} {status}");
            }
        }
    }
}

#[test]
fn the_worst_decides_in_any_order() {
    let parts = [
        (Weight::Required, Status::Passing),
        (Weight::Required, Status::Critical),
        (Weight::Informational, Status::Critical),
    ];
    let mut turned = parts;
    turned.reverse();
    for parts in [parts, turned] {
        assert_eq!(report(HealthView::Check, true, &parts).status(), Status::Critical);
    }
    assert_eq!(report(HealthView::Check, true, &[]).status(), Status::Passing, "nothing is wrong");
}

#[test]
fn a_program_that_is_not_ready_fails_but_lives() {
    let parts = [(Weight::Required, Status::Passing), (Weight::Vital, Status::Passing)];
    for (view, code) in [(HealthView::Live, 200), (HealthView::Ready, 503), (HealthView::Check, 503)] {
        assert_eq!(report(view, false, &parts).code(), code, "{view:?}");
        assert_eq!(report(view, true, &parts).code(), 200, "{view:?}");
    }
}

#[test]
fn only_a_vital_probe_makes_a_program_dead() {
    for status in ALL {
        for weight in [Weight::Informational, Weight::Required] {
            assert_eq!(
                report(HealthView::Live, true, &[(weight, status)]).code(),
                200,
                "{weight:?} {status}"
            );
        }
    }
    assert_eq!(report(HealthView::Live, true, &[(Weight::Vital, Status::Critical)]).code(), 503);
}

#[test]
fn the_code_is_as_consul_and_orchestrators_read_it() {
    for (view, codes) in [
        (HealthView::Live, [200, 200, 503]),
        (HealthView::Ready, [200, 200, 503]),
        (HealthView::Check, [200, 429, 503]),
    ] {
        for (status, code) in ALL.into_iter().zip(codes) {
            assert_eq!(report(view, true, &[(Weight::Vital, status)]).code(), code, "{view:?} {status}");
        }
    }
}

#[test]
fn a_probe_is_found_by_its_name_where_the_question_looks_at_it() {
    let parts = || vec![part("disk", Weight::Required, Status::Warning)];
    let check = HealthReport::new(HealthView::Check, true, parts(), Arc::default());
    assert_eq!(check.probe("disk").map(Finding::output), Some("slow"));
    assert_eq!(check.probe("none"), None);
}
