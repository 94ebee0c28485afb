//! Families as Prometheus reads them: its text format, version 0.0.4. PURE.
//!
//! In:  [`Family`]. Out: one text.
//!
//! Never: writes a label that could end its line or its quotes; a family twice.
//!
//! Rules: Prometheus, docs/instrumenting/exposition_formats.md. Proof: `telemetry/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fmt::Write as _;

use super::{
    figures::BOUNDS,
    gather::{Family, Sample, Value},
};

/// What the text is, for `Content-Type`.
pub(crate) const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All families, one after the other.
pub(crate) fn prometheus(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families {
        let (name, kind) = (family.metric.name, family.metric.kind.as_str());
        let meaning = family.metric.meaning.replace('\\', "\\\\").replace('\n', " ");
        put(&mut text, format_args!("# HELP {name} {meaning}\n# TYPE {name} {kind}\n"));
        for sample in &family.samples {
            one(&mut text, family, sample);
        }
    }
    text
}

fn one(text: &mut String, family: &Family, sample: &Sample) {
    let name = family.metric.name;
    match &sample.value {
        Value::Number(value) => {
            let labels = braced(family, sample, None);
            put(text, format_args!("{name}{labels} {value}\n"));
        }
        Value::Times { counts, seconds } => {
            let bounds = BOUNDS.iter().map(|bound| bound.as_secs_f64().to_string());
            let mut so_far: u64 = 0;
            for (count, bound) in counts.iter().zip(bounds.chain(["+Inf".to_owned()])) {
                so_far = so_far.saturating_add(*count);
                let labels = braced(family, sample, Some(&bound));
                put(text, format_args!("{name}_bucket{labels} {so_far}\n"));
            }
            let labels = braced(family, sample, None);
            put(text, format_args!("{name}_sum{labels} {seconds}\n{name}_count{labels} {so_far}\n"));
        }
    }
}

fn braced(family: &Family, sample: &Sample, bound: Option<&str>) -> String {
    let own = family.metric.labels.iter().copied().zip(sample.labels.iter().map(|value| &**value));
    let pairs: Vec<String> = own
        .chain(bound.map(|bound| ("le", bound)))
        .map(|(name, value)| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing into a text cannot fail.
    text.write_fmt(what).unwrap_or_default();
}
