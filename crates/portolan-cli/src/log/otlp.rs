//! Traces for a collector: OTLP, as Protobuf over HTTP, by the variables that OpenTelemetry's specification names.
//!
//! In:  `OTEL_EXPORTER_OTLP_ENDPOINT` (and `…_TRACES_ENDPOINT`, `…_HEADERS`, `…_TIMEOUT`, `…_PROTOCOL`), `OTEL_SERVICE_NAME`,
//! `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_EXPORTER`, `OTEL_TRACES_SAMPLER`, `OTEL_SDK_DISABLED`, `OTEL_BSP_…`. Out: spans.
//!
//! On where an endpoint is named, or `OTEL_TRACES_EXPORTER=otlp`. Metrics are scraped, and logs go to stderr: neither is sent.
//! Without TLS: a collector elsewhere is reached by one on this machine, as OpenTelemetry recommends.
//!
//! Never: sends spans of anything but the project's own crates, which would trace the sending; waits for the collector
//! where a request is served.
//!
//! Rules: OpenTelemetry specification 1.49, configuration/sdk-environment-variables.md, protocol/exporter.md.
//! Proof: `tests/otlp.rs`.

use std::{pin::Pin, time::Duration};

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::{
    KeyValue,
    propagation::TextMapPropagator as _,
    trace::{TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tokio::{runtime::Handle, time::timeout};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    registry::LookupSpan,
};

use crate::exit::Usage;

/// How long one send may take, unless the exporter gives it up sooner.
const SENDING: Duration = Duration::from_secs(10);
/// How much of the collector's answer is read: it says what it did not take.
const ANSWER: usize = 64 << 10;

/// What sends the spans.
#[derive(Debug)]
pub(super) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    {
        let tracer = self.provider.tracer("portolan");
        let ours = ["portolan", "portolan_server"].map(|target| (target, LevelFilter::DEBUG));
        tracing_opentelemetry::layer().with_tracer(tracer).with_filter(Targets::new().with_targets(ours))
    }

    pub(super) fn end(self) {
        if let Err(failed) = self.provider.shutdown() {
            tracing::warn!(%failed, "the last traces may not have reached the collector");
        }
    }
}

/// What the variables ask for; `None`: no traces.
///
/// # Errors
/// They ask for what is not spoken here.
pub(super) fn from_env(runtime: &Handle) -> anyhow::Result<Option<Traces>> {
    let variable = |name: &str| std::env::var_os(name)?.into_string().ok().filter(|value| !value.is_empty());
    if !wanted(variable)? {
        return Ok(None);
    }
    let client =
        Sender { runtime: runtime.clone(), client: Client::builder(TokioExecutor::new()).build_http() };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .build()
        .context("the variables OTEL_EXPORTER_OTLP_… are not understood")?;
    let mut resource = Resource::builder();
    let attributes = variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    if variable("OTEL_SERVICE_NAME").is_none() && !attributes.contains("service.name=") {
        resource = resource.with_service_name("portolan");
    }
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let provider = SdkTracerProvider::builder()
        .with_resource(resource.with_attribute(version).build())
        .with_batch_exporter(exporter)
        .build();
    Ok(Some(Traces { provider }))
}

/// Whether traces are asked for.
fn wanted(variable: impl Fn(&str) -> Option<String>) -> Result<bool, Usage> {
    if variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(false);
    }
    let exporter = variable("OTEL_TRACES_EXPORTER");
    let is_on = match exporter.as_deref() {
        None => super::asks_for_traces(|name| variable(name).is_some()),
        Some("otlp") => true,
        Some("none") => false,
        Some(other) => {
            return Err(Usage(format!("OTEL_TRACES_EXPORTER: {other:?} is not there; write otlp or none")));
        }
    };
    if !is_on {
        return Ok(false);
    }
    for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
        if let Some(other) = variable(name).filter(|value| value != "http/protobuf") {
            return Err(Usage(format!(
                "{name}: {other:?} is not spoken here; write http/protobuf, for which collectors listen at port 4318"
            )));
        }
    }
    for name in ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"] {
        if let Some(other) = variable(name).filter(|value| !value.starts_with("http://")) {
            return Err(Usage(format!(
                "{name}: {other:?} must begin with http://, for a collector on this machine, which may send on by TLS"
            )));
        }
    }
    Ok(true)
}

/// Puts the span of a request into the trace that its headers name.
pub(super) fn adopt(span: &tracing::Span, headers: &http::HeaderMap) {
    if headers.contains_key("traceparent") {
        let parent = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
        if let Err(failed) = span.set_parent(parent) {
            tracing::debug!(?failed, "a request's trace was not taken on");
        }
    }
}

/// The trace and the span that are current.
pub(super) fn current() -> Option<(String, String)> {
    let context = opentelemetry::Context::current();
    let span = context.span().span_context().clone();
    span.is_valid().then(|| (span.trace_id().to_string(), span.span_id().to_string()))
}

/// Sends by the command's own HTTP client, on its runtime: the exporter calls from a thread that has none.
#[derive(Debug)]
struct Sender {
    runtime: Handle,
    client: Client<HttpConnector, Full<Bytes>>,
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Sender {
    fn send_bytes<'life0, 'async_trait>(&'life0 self, request: Request<Bytes>) -> Sent<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let answer = self.client.request(request.map(Full::new));
        let whole = async move {
            let (head, body) = answer.await?.into_parts();
            let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(head, body))
        };
        // The clock of the timeout is the runtime's, so it begins there.
        let sending = self.runtime.spawn(async move { timeout(SENDING, whole).await });
        Box::pin(async move { sending.await?? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_variables_say_is_done_or_refused_by_name() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        for (set, expected) in [
            (vec![], Ok(false)),
            (vec![endpoint], Ok(true)),
            (vec![("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://[::1]:4318/v1/traces")], Ok(true)),
            (vec![("OTEL_TRACES_EXPORTER", "otlp")], Ok(true)),
            (vec![endpoint, ("OTEL_TRACES_EXPORTER", "none")], Ok(false)),
            (vec![endpoint, ("OTEL_SDK_DISABLED", "TRUE")], Ok(false)),
            (vec![endpoint, ("OTEL_SDK_DISABLED", "1")], Ok(true)),
            (vec![endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")], Ok(true)),
            (
                vec![endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
                Err("OTEL_EXPORTER_OTLP_PROTOCOL: \"grpc\""),
            ),
            (vec![("OTEL_TRACES_EXPORTER", "zipkin")], Err("OTEL_TRACES_EXPORTER: \"zipkin\"")),
            (
                vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "https://x")],
                Err("OTEL_EXPORTER_OTLP_ENDPOINT: \"https://x\""),
            ),
            // Off is off: what else is said does not count.
            (vec![("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], Ok(false)),
        ] {
            let variable =
                |name: &str| set.iter().find(|(had, _)| *had == name).map(|(_, value)| (*value).to_owned());
            match (wanted(variable), expected) {
                (Ok(is_on), Ok(expected)) => assert_eq!(is_on, expected, "{set:?}"),
                (Err(Usage(told)), Err(begin)) => assert!(told.starts_with(begin), "{set:?}: {told}"),
                (other, expected) => panic!("{set:?}: {other:?}, and not {expected:?}"),
            }
        }
    }
}
