//! The log on stderr, and traces for a collector.
//!
//! In:  what is to be logged, and in which form; with the feature `otlp` the variables `OTEL_…`. Out: lines on stderr; spans
//! at the collector. A line in JSON names the trace and the span that it belongs to, where there are traces.
//!
//! Never: a line on stdout; a collector that holds anything up: what it does not take in time is dropped.

use std::io;

use portolan_server::AdoptSpan;
use tokio::runtime::Handle;
use tracing_subscriber::{
    Layer as _, Registry, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

mod json;
#[cfg(feature = "otlp")]
mod otlp;

/// The form of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text { color: bool },
    Json,
}

/// What is to be ended when the command ends.
#[derive(Debug, Default)]
pub(crate) struct Log {
    #[cfg(feature = "otlp")]
    traces: Option<otlp::Traces>,
}

impl Log {
    /// Sends what is left to the collector: it has a few seconds. The runtime must run still.
    pub(crate) fn end(self) {
        #[cfg(feature = "otlp")]
        if let Some(traces) = self.traces {
            traces.end();
        }
    }
}

/// Begins to log, and to trace where that is asked for.
///
/// # Errors
/// The variables ask for what is not spoken here; they are named.
pub(crate) fn start(filter: Targets, form: Form, runtime: &Handle) -> anyhow::Result<Log> {
    let lines = fmt::layer::<Registry>().with_writer(io::stderr);
    let lines = match form {
        Form::Text { color } => lines.with_ansi(color).with_target(false).with_filter(filter).boxed(),
        Form::Json => lines.json().map_event_format(json::Named::new).with_filter(filter).boxed(),
    };
    let log = tracing_subscriber::registry().with(lines);
    #[cfg(feature = "otlp")]
    {
        let traces = otlp::from_env(runtime)?;
        log.with(traces.as_ref().map(otlp::Traces::layer)).init();
        Ok(Log { traces })
    }
    #[cfg(not(feature = "otlp"))]
    {
        let _unused = runtime;
        log.init();
        if asks_for_traces(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())) {
            tracing::warn!(
                "OTEL_EXPORTER_OTLP_ENDPOINT: this portolan sends no traces; build it with --features otlp"
            );
        }
        Ok(Log::default())
    }
}

/// Whether a collector is named.
fn asks_for_traces(is_set: impl Fn(&str) -> bool) -> bool {
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"].into_iter().any(is_set)
}

/// What puts the spans of the registry's requests into their clients' traces.
pub(crate) fn adopt() -> Option<AdoptSpan> {
    #[cfg(feature = "otlp")]
    {
        Some(otlp::adopt)
    }
    #[cfg(not(feature = "otlp"))]
    {
        None
    }
}

/// The trace and the span that are current, in hexadecimal.
fn current_trace() -> Option<(String, String)> {
    #[cfg(feature = "otlp")]
    {
        otlp::current()
    }
    #[cfg(not(feature = "otlp"))]
    {
        None
    }
}
