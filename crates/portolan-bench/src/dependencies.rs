//! The graph of dependencies: what it costs to follow one change, beside building all of it anew.
//!
//! In:  services that need each other. Out: rows. The change is of one instance's health, and of one declaration.
//!
//! And a lookup while another thread does nothing but change the graph, beside one that is alone.
//!
//! Never: lets both ways come to different graphs.
#![expect(clippy::disallowed_methods, reason = "to measure time is what this file is for")]

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::ensure;
use portolan::{
    Identity, Instance, Policy, Status,
    depend::{Graph, ServiceAt},
};

use crate::{fixture::Fixture, handle::peek, report::Row};

/// How many services there are.
pub(crate) const SERVICES: usize = 1_000;
/// How many of the others each needs.
const NEEDS: usize = 5;
/// How many instances each has.
const INSTANCES: usize = 3;
/// How many lookups are timed at once.
const PEEKS: u32 = 20_000;

type Service = (ServiceAt, Vec<Arc<Instance>>);

/// A service with its needs: of services after it, in no order, so that there is no cycle.
fn service(number: usize, shift: usize, status: Status) -> anyhow::Result<Service> {
    let after = SERVICES.saturating_sub(number).saturating_sub(1);
    let need = |place: usize| {
        let step = (place.saturating_mul(131).saturating_add(shift)).checked_rem(after)?;
        Some(format!("s{}@^1", number.saturating_add(step).saturating_add(1)))
    };
    let needs = (1..=NEEDS).filter_map(need).collect::<Vec<_>>().join("; ");
    let instance = |place: usize| {
        let identity = Identity::new("dc1", &format!("node-{place}"), &format!("s{number}-{place}"));
        let one = Instance::new(identity, &format!("s{number}"), "10.0.0.1", 80);
        let mut one = one.with_meta([("portolan-needs", &*needs), ("version", "1.4.2"), ("zone", "a")]);
        one.status = status;
        Arc::new(one)
    };
    Ok((format!("s{number}").parse()?, (0..INSTANCES).map(instance).collect()))
}

fn of(services: &[Service]) -> Graph {
    Graph::of(Some("dc1"), services.iter().map(|(at, all)| (at.clone(), &**all)))
}

/// The median of so many rounds: a change near the end of the chain has less to move than others.
pub(crate) fn rows(fixture: &Fixture, rounds: usize) -> anyhow::Result<Vec<Row>> {
    let mut services =
        (0..SERVICES).map(|n| service(n, 0, Status::Passing)).collect::<Result<Vec<_>, _>>()?;
    let mut graph = of(&services);
    let [mut anew, mut health, mut declaration] = [const { Vec::<Duration>::new() }; 3];
    for round in 1..=rounds {
        let number = round.saturating_mul(37).checked_rem(SERVICES).unwrap_or_default();
        let sick = service(number, 0, Status::Critical)?;
        let other = service(number, round, Status::Passing)?;
        for (changed, times) in [(sick, &mut health), (other, &mut declaration)] {
            let from = Instant::now();
            graph = graph.with(&changed.0, Some(&changed.1));
            times.push(from.elapsed());
            if let Some(place) = services.get_mut(number) {
                *place = changed;
            }
            let from = Instant::now();
            let again = of(&services);
            anew.push(from.elapsed());
            ensure!(again == graph, "the graph after a change is not the one built anew");
        }
    }
    let us = |times| median(times).as_secs_f64() * 1e6;
    let anew = us(anew);
    let row = |what: &str, times: Vec<Duration>| {
        let name =
            format!("{what}, of {SERVICES} services with {NEEDS} needs and {INSTANCES} instances each");
        Row::beside_one(name, us(times), "us", "limit: all built anew", anew, None)
    };
    Ok(vec![
        row("one instance's health changes", health),
        row("one service's needs change", declaration),
        readers(fixture, &graph, rounds)?,
    ])
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// What a lookup costs while the graph changes without a pause.
fn readers(fixture: &Fixture, graph: &Graph, rounds: usize) -> anyhow::Result<Row> {
    let web = fixture.resolver(3, Policy::default())?;
    let lookups = || {
        let from = Instant::now();
        for _ in 0..PEEKS {
            black_box(peek(&web));
        }
        from.elapsed()
    };
    let changes = [service(1, 0, Status::Critical)?, service(1, 0, Status::Passing)?];
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        alone.extend((0..rounds).map(|_| lookups()));
        scope.spawn(|| {
            let mut graph = graph.clone();
            for (at, instances) in changes.iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                graph = black_box(graph.with(at, Some(instances)));
            }
        });
        beside.extend((0..rounds).map(|_| lookups()));
        stop.store(true, Ordering::Relaxed);
    });
    let ns = |times| median(times).as_secs_f64() * 1e9 / f64::from(PEEKS);
    let name = "a peek while another thread changes the graph".to_owned();
    Ok(Row::beside_one(name, ns(beside), "ns", "limit: the same alone", ns(alone), None))
}
