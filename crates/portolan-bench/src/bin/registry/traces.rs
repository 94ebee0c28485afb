//! What telemetry costs the registry: a read of ten instances with tracing off, to a log, and to a collector.
//!
//! In:  three registries with the same service. Out: rows.
//!
//! The registries take turns, as in `reads.rs`. The collector is the bare hyper server, which takes everything. Metrics are
//! counted in all three: the registry cannot be without.

use std::net::SocketAddr;

use crate::{
    Bench,
    process::{Process, Storage, What},
    reads::{cost, fill, path},
    row::{Row, median},
};

/// How many instances are read.
const INSTANCES: usize = 10;

/// How a registry traces.
#[derive(Clone, Copy, Debug)]
enum Traces {
    Off,
    /// A line of JSON for what happens at level debug; spans are made for it.
    Log,
    /// Each request is sent to a collector, in batches.
    Collector(SocketAddr),
}

impl Traces {
    fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Log => "to a log (-vv, JSON)",
            Self::Collector(_) => "to a collector (OTLP)",
        }
    }

    async fn start(self, bench: &Bench) -> anyhow::Result<Process> {
        let (flags, environment) = match self {
            Self::Off => (&[][..], Vec::new()),
            Self::Log => (&["-vv", "--log-format", "json"][..], Vec::new()),
            Self::Collector(addr) => {
                (&[][..], vec![("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{addr}"))])
            }
        };
        let command = bench.command.clone();
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Process::start(What::Portolan { command, storage: Storage::Memory, flags, environment, token: None })
            .await
    }
}

/// The rows.
///
/// # Errors
/// When a server or a request fails.
pub(crate) async fn rows(bench: &Bench, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let collector = Process::start(What::Canned { bytes: 0 }).await?;
    let ways = [Traces::Off, Traces::Log, Traces::Collector(collector.addr())];
    let mut servers = Vec::new();
    for way in ways {
        let server = way.start(bench).await?;
        fill(&server, &format!("of-{INSTANCES}"), INSTANCES).await?;
        servers.push((way, server, Vec::new(), Vec::new()));
    }
    for _ in 0..bench.rounds() {
        for (_, server, cpu, each) in &mut servers {
            let (used, took) = cost(server, &path(INSTANCES), bench.slice()).await?;
            cpu.push(used);
            each.push(took);
        }
    }
    let mut off = None;
    for (way, _, cpu, each) in servers {
        let (cpu, each) = (median(cpu), median(each));
        let what = format!("health of {INSTANCES}, traces {}", way.name());
        rows.push(Row::new(format!("{what}: processor time of each"), cpu, "µs").beside("off", off));
        rows.push(Row::new(format!("{what}: time of each"), each, "µs"));
        off.get_or_insert(cpu);
    }
    Ok(())
}
