//! What is listed is what the code records; what spans and events tell.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, PoisonError},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record as Recorded},
};

use super::*;
use crate::model::Identity;

/// One record in the code: its kind, the constant of its name, its labels; and where it is.
#[derive(Debug)]
struct Record {
    kind: String,
    constant: String,
    labels: Vec<String>,
    at: String,
}

fn sources(at: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("tests.rs") {
            found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// What stands between `metrics::…!(` and its end, for each of the file.
fn records(at: &str, text: &str) -> Vec<Record> {
    let begins = text.match_indices("metrics::").filter_map(|(place, word)| text.get(place + word.len()..));
    begins.filter_map(|rest| record(at, rest)).collect()
}

fn record(at: &str, rest: &str) -> Option<Record> {
    let (kind, rest) = rest.split_once("!(")?;
    if !["counter", "gauge", "histogram"].contains(&kind) {
        return None;
    }
    let ends = [".increment(", ".set(", ".record(", ");"].iter().filter_map(|end| rest.find(end));
    let inside = rest.get(..ends.min()?)?;
    let constant = inside.split([',', ')']).next()?.trim().to_owned();
    let labels = inside.split("\" =>").filter_map(|before| before.rsplit_once('"'));
    let mut labels: Vec<String> = labels.map(|(_, label)| label.to_owned()).collect();
    // What follows the last label holds none, unless a value is in quotes.
    labels.truncate(inside.matches("\" =>").count());
    Some(Record { kind: kind.to_owned(), constant, labels, at: at.to_owned() })
}

#[test]
fn each_record_in_the_code_is_listed_with_its_kind_and_its_labels() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let found: Vec<Record> = files.iter().flat_map(|(at, text)| records(at, text)).collect();
    assert!(found.len() > 40, "{} found: is this still how they are written?", found.len());
    let mut recorded = BTreeSet::new();
    for record in &found {
        let Some(constant) = record.constant.strip_prefix("telemetry::") else {
            // The caches name theirs by an argument, the watched files by their kind.
            assert!(["metric", "T::REFUSED"].contains(&record.constant.as_str()), "{record:?}");
            continue;
        };
        let place = CONSTANTS.iter().position(|name| *name == constant).unwrap();
        let listed = METRICS[place];
        assert_eq!(record.kind, listed.kind.as_str(), "{}: {record:?}", record.at);
        assert_eq!(record.labels, listed.labels, "{record:?}");
        recorded.insert(constant);
    }
    for constant in ["CACHE_LOADS", "CACHE_SAVES", "OVERRIDES_REFUSED", "SPLITS_REFUSED"] {
        recorded.insert(constant);
    }
    let never: Vec<_> = CONSTANTS.iter().filter(|name| !recorded.contains(**name)).collect();
    assert!(never.is_empty(), "listed and never recorded: {never:?}");
}

#[test]
fn names_tell_kind_and_unit_and_no_label_holds_an_instance() {
    let mut names = BTreeSet::new();
    for metric in METRICS {
        let is_counter = metric.kind == MetricKind::Counter;
        assert_eq!(is_counter, metric.name.ends_with("_total"), "{metric:?}");
        assert_eq!(metric.kind == MetricKind::Histogram, metric.unit() == Some("seconds"), "{metric:?}");
        assert!(metric.name.starts_with("portolan_") && names.insert(metric.name), "{metric:?}");
        for label in metric.labels {
            assert!(!["instance", "id", "address", "node"].contains(label), "{metric:?}");
            assert!(metric.meaning.contains(&format!("`{label}`")), "{label} is not told of in {metric:?}");
        }
    }
}

#[test]
fn spans_have_the_fields_that_are_listed() {
    let instance = Instance::new(Identity::new("dc1", "n1", "web-1"), "web", "192.0.2.1", 80);
    // Where nobody listens, a span has no fields to look at.
    let spans = tracing::subscriber::with_default(Kept::default(), || {
        [
            request_span("service", &http::Method::GET, "/v1/health/service/web", None),
            call_span(&instance, 1, || ("live", None)),
        ]
    });
    for (span, listed) in spans.iter().zip(TRACED) {
        let fields = span.metadata().unwrap().fields();
        let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
        assert_eq!((span.metadata().unwrap().name(), &names[..]), (listed.name, listed.fields));
    }
}

/// Takes everything, and keeps the fields of spans and events as text.
#[derive(Clone, Default)]
struct Kept {
    #[expect(clippy::disallowed_types, reason = "a test's own")]
    fields: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Visit for Kept {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let mut fields = self.fields.lock().unwrap_or_else(PoisonError::into_inner);
        fields.push(format!("{}={value:?}", field.name()));
    }
}

impl Subscriber for Kept {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        attributes.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Recorded<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn a_lookup_and_a_try_tell_source_and_age_where_somebody_listens() {
    let instance = Instance::new(Identity::new("dc1", "n1", "web-1"), "web", "192.0.2.1", 80);
    let age = Some(Duration::from_secs(3));
    let kept = Kept::default();
    tracing::subscriber::with_default(kept.clone(), || {
        lookup(&instance, "disk", age);
        failed(&call_span(&instance, 2, || ("live", age)), "connect");
    });
    let told = kept.fields.lock().unwrap_or_else(PoisonError::into_inner).join(" ");
    let event = "message=lookup server.address=\"192.0.2.1\" server.port=80 portolan.service=\"web\" \
        portolan.instance=\"web-1\" portolan.source=disk portolan.age=Some(3s)";
    assert!(told.starts_with(event), "{told}");
    for word in
        ["portolan.attempt=2", "portolan.source=live", "error.type=\"connect\"", "otel.status_code=\"ERROR\""]
    {
        assert!(told.contains(word), "{word} in {told}");
    }
}
