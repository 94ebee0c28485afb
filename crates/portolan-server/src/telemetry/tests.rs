//! What is listed is what is told, and each figure where it belongs.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use http::{Method, StatusCode};

use super::{
    figures::BOUNDS,
    gather::{Family, Sample, Value},
    *,
};
use crate::{config::ServerConfig, core::Core, state::rows::Health};

fn core() -> Arc<Core> {
    Arc::new(Core::new(ServerConfig::default().node("n1")))
}

fn told(core: &Core) -> String {
    prometheus(&gather(core))
}

#[test]
fn what_is_listed_is_told_in_that_order_and_nothing_else() {
    let names: Vec<&str> = gather(&core()).iter().map(|family| family.metric.name).collect();
    let listed: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names, listed);
    assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), listed.len());
}

#[test]
fn each_sample_has_its_labels_and_each_label_is_told_of() {
    let core = core();
    core.figures.answered(Some(0), StatusCode::OK, Some(Duration::from_micros(30)));
    core.figures.told_by_dns(Transport::Udp, &[0, 0, 0x81, 0x83]);
    for Family { metric, samples } in gather(&core) {
        for sample in samples {
            assert_eq!(sample.labels.len(), metric.labels.len(), "{metric:?} {sample:?}");
        }
        for label in metric.labels {
            assert!(metric.meaning.contains(&format!("`{label}`")), "{label} is not told of in {metric:?}");
        }
        assert_eq!(metric.kind == MetricKind::Counter, metric.name.ends_with("_total"), "{metric:?}");
    }
}

#[test]
fn what_happened_is_counted_where_it_belongs() {
    let core = core();
    let figures = &core.figures;
    figures.answered(Some(0), StatusCode::OK, Some(Duration::from_micros(30)));
    figures.answered(Some(0), StatusCode::OK, None);
    figures.answered(Some(0), StatusCode::IM_A_TEAPOT, None);
    figures.answered(None, StatusCode::NOT_FOUND, Some(Duration::from_secs(9)));
    figures.answered(Some(usize::MAX), StatusCode::OK, None);
    let held = (figures.connected(), figures.connected());
    drop(held.0);
    figures.refused();
    figures.probed(Health::Warning);
    figures.told_by_dns(Transport::Udp, &[0, 0, 0x81, 0x83]);
    figures.told_by_dns(Transport::Tcp, &[0]);
    figures.written(100, Duration::from_millis(3), true);
    figures.written(100, Duration::from_millis(3), false);
    let text = told(&core);
    for line in [
        r#"portolan_server_requests_total{http_request_method="GET",http_route="/v1/agent/self",http_response_status_code="200"} 2"#,
        r#"portolan_server_requests_total{http_request_method="GET",http_route="/v1/agent/self",http_response_status_code="other"} 1"#,
        r#"portolan_server_requests_total{http_request_method="",http_route="other",http_response_status_code="404"} 1"#,
        r#"portolan_server_request_seconds_bucket{http_request_method="GET",http_route="/v1/agent/self",le="0.000025"} 0"#,
        r#"portolan_server_request_seconds_bucket{http_request_method="GET",http_route="/v1/agent/self",le="0.00005"} 1"#,
        r#"portolan_server_request_seconds_bucket{http_request_method="",http_route="other",le="5"} 0"#,
        r#"portolan_server_request_seconds_bucket{http_request_method="",http_route="other",le="+Inf"} 1"#,
        r#"portolan_server_request_seconds_sum{http_request_method="",http_route="other"} 9"#,
        "portolan_server_connections 1",
        "portolan_server_connections_refused_total 1",
        r#"portolan_server_probes_total{status="warning"} 1"#,
        r#"portolan_server_dns_answers_total{network_transport="udp",rcode="NXDOMAIN"} 1"#,
        r#"portolan_server_dns_answers_total{network_transport="tcp",rcode="other"} 1"#,
        r#"portolan_server_disk_writes_total{outcome="ok"} 1"#,
        r#"portolan_server_disk_writes_total{outcome="error"} 1"#,
        "portolan_server_disk_written_bytes_total 100",
        r#"portolan_server_disk_write_seconds_bucket{le="0.005"} 1"#,
        "portolan_server_disk_write_seconds_count 1",
        "portolan_server_nodes 1",
        "# TYPE portolan_server_request_seconds histogram",
    ] {
        assert!(text.lines().any(|told| told == line), "{line}\nis not in\n{text}");
    }
    assert_eq!(text.matches("/v1/agent/members").count(), 0, "nobody asked for it");
}

#[test]
fn a_label_cannot_break_its_line() {
    let labels = vec!["a\"b\\c\nd".into()];
    let family = Family { metric: CHECKS, samples: vec![Sample { labels, value: Value::Number(2.5) }] };
    let text = prometheus(&[family]);
    assert!(text.ends_with("portolan_server_checks{status=\"a\\\"b\\\\c\\nd\"} 2.5\n"), "{text}");
    assert_eq!(text.lines().count(), 3);
}

#[test]
fn bounds_and_statuses_are_in_order() {
    assert!(BOUNDS.is_sorted() && figures::STATUSES.is_sorted());
}

/// Listens to everything, and keeps nothing.
struct All;

impl tracing::Subscriber for All {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {}

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn the_span_has_the_fields_that_are_listed() {
    // Where nobody listens, a span has no fields to look at.
    let span = tracing::subscriber::with_default(All, || served_span(&Method::GET, "/v1/kv/", "/v1/kv/a"));
    let metadata = span.metadata().unwrap();
    let names: Vec<&str> = metadata.fields().iter().map(|field| field.name()).collect();
    assert_eq!((metadata.name(), &names[..]), (TRACED[0].name, TRACED[0].fields));
}
