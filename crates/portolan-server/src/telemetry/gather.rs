//! All figures at one moment, by name: for `/metrics`, and for whatever tells them in another form.
//!
//! In:  the registry. Out: a [`Family`] for each of [`METRICS`](super::METRICS), in their order.
//!
//! The catalogue is counted under its lock, in one pass that copies nothing. Never: tells an endpoint that was not asked.

use std::{borrow::Cow, time::Duration};

use portolan::telemetry::Metric;

use super::{
    CHECKS, CONNECTIONS, CONNECTIONS_REFUSED, CPU, DISK_BYTES, DISK_FILE, DISK_SECONDS, DISK_WRITES, DNS,
    FILES, INDEX, INFO, INSTANCES, MEMORY, NODES, PROBES, REQUEST_SECONDS, REQUESTS, SERVICES, WAITERS,
    figures::{Count, Figures, OfEndpoint, RCODES, STATUSES},
    process::{self, Process},
};
use crate::{api, core::Core, state::Tally, store};

/// One metric with what there is of it.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) metric: Metric,
    pub(crate) samples: Vec<Sample>,
}

/// One of its values, with those of its labels, in the order of their names.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) labels: Vec<Cow<'static, str>>,
    pub(crate) value: Value,
}

/// A value.
#[derive(Debug)]
pub(crate) enum Value {
    Number(f64),
    /// How many there were up to each bound and above the one before it, the last above all; and their sum.
    Times {
        counts: Vec<u64>,
        seconds: f64,
    },
}

impl Family {
    fn plain(metric: Metric, value: u64) -> Self {
        Self { metric, samples: vec![Sample { labels: Vec::new(), value: Value::Number(value as f64) }] }
    }

    /// By one label.
    fn by(metric: Metric, values: impl IntoIterator<Item = (&'static str, u64)>) -> Self {
        let sample = |(label, value): (&'static str, u64)| Sample {
            labels: vec![label.into()],
            value: Value::Number(value as f64),
        };
        Self { metric, samples: values.into_iter().map(sample).collect() }
    }
}

/// Everything, now.
pub(crate) fn gather(core: &Core) -> Vec<Family> {
    let figures = &core.figures;
    let tally = core.look(crate::state::State::tally);
    let process = process::look();
    let mut families = vec![info(core)];
    families.extend(requests(figures));
    families.extend([
        Family::plain(CONNECTIONS, figures.connections.load(std::sync::atomic::Ordering::Relaxed)),
        Family::plain(CONNECTIONS_REFUSED, figures.refused.get()),
        Family::plain(WAITERS, core.hub.waiting() as u64),
    ]);
    families.extend(catalogue(&tally));
    families.push(Family::by(PROBES, HEALTHS.into_iter().zip(figures.probes.iter().map(Count::get))));
    families.push(dns(figures));
    families.extend(disk(core));
    families.extend(of_process(process));
    families
}

const HEALTHS: [&str; 3] = ["passing", "warning", "critical"];

fn info(core: &Core) -> Family {
    let labels = vec![
        env!("CARGO_PKG_VERSION").into(),
        core.config.datacenter.clone().into(),
        core.config.node.clone().into(),
    ];
    Family { metric: INFO, samples: vec![Sample { labels, value: Value::Number(1.0) }] }
}

fn requests(figures: &Figures) -> [Family; 2] {
    let names = api::endpoints().chain([("", "other")]);
    let (mut counts, mut times) = (Vec::new(), Vec::new());
    for (OfEndpoint { statuses, took }, (method, route)) in figures.endpoints.iter().zip(names) {
        let statuses = statuses.iter().map(Count::get);
        let known = STATUSES.iter().map(|status| Cow::Owned(status.to_string())).chain(["other".into()]);
        let asked = statuses.zip(known).filter(|(count, _)| *count > 0);
        let before = counts.len();
        counts.extend(asked.map(|(count, status)| Sample {
            labels: vec![method.into(), route.into(), status],
            value: Value::Number(count as f64),
        }));
        if counts.len() > before {
            times.push(Sample { labels: vec![method.into(), route.into()], value: took.value() });
        }
    }
    [Family { metric: REQUESTS, samples: counts }, Family { metric: REQUEST_SECONDS, samples: times }]
}

fn catalogue(tally: &Tally) -> [Family; 5] {
    let [passing, warning, critical, maintenance] = tally.instances;
    let instances =
        HEALTHS.into_iter().zip([passing, warning, critical]).chain([("maintenance", maintenance)]);
    [
        Family::plain(INDEX, tally.index),
        Family::plain(NODES, tally.nodes),
        Family::plain(SERVICES, tally.services),
        Family::by(INSTANCES, instances),
        Family::by(CHECKS, HEALTHS.into_iter().zip(tally.checks)),
    ]
}

fn dns(figures: &Figures) -> Family {
    let mut samples = Vec::new();
    for (transport, counts) in ["udp", "tcp"].into_iter().zip(&figures.dns) {
        for (count, rcode) in counts.iter().zip(RCODES.into_iter().chain(["other"])) {
            if count.get() > 0 {
                let labels = vec![transport.into(), rcode.into()];
                samples.push(Sample { labels, value: Value::Number(count.get() as f64) });
            }
        }
    }
    Family { metric: DNS, samples }
}

fn disk(core: &Core) -> [Family; 4] {
    let of = &core.figures.disk;
    let took = Sample { labels: Vec::new(), value: of.took.value() };
    let file = core.config.data_dir.as_deref().map_or(0, store::dir::size);
    [
        Family::by(DISK_WRITES, [("ok", of.written.get()), ("error", of.failed.get())]),
        Family::plain(DISK_BYTES, of.bytes.get()),
        Family { metric: DISK_SECONDS, samples: vec![took] },
        Family::plain(DISK_FILE, file),
    ]
}

fn of_process(process: Process) -> [Family; 3] {
    let Process { memory_bytes, open_files, cpu } = process;
    let family = |metric, value: Option<f64>| {
        let sample = |value| Sample { labels: Vec::new(), value: Value::Number(value) };
        Family { metric, samples: value.map(sample).into_iter().collect() }
    };
    [
        family(MEMORY, memory_bytes.map(|bytes| bytes as f64)),
        family(FILES, open_files.map(|files| files as f64)),
        family(CPU, cpu.as_ref().map(Duration::as_secs_f64)),
    ]
}
