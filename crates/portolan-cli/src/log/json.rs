//! A line of the log in JSON, with the trace and the span that it belongs to. Their names are those of OpenTelemetry's log
//! data model in JSON: `trace_id` and `span_id`.
//!
//! In:  an event. Out: one line, an object.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent,
        format::{Format, Json, JsonFields, Writer},
    },
    registry::LookupSpan,
};

/// The common form, with the two names added.
#[derive(Debug)]
pub(super) struct Named(Format<Json>);

impl Named {
    pub(super) fn new(form: Format<Json>) -> Self {
        Self(form)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonFields> for Named {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some((trace, span)) = super::current_trace() else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        writeln!(writer, "{}", named(&line, &trace, &span))
    }
}

/// An object with two more members.
fn named(line: &str, trace: &str, span: &str) -> String {
    match line.trim_end().strip_suffix('}') {
        Some(head) => format!(r#"{head},"trace_id":"{trace}","span_id":"{span}"}}"#),
        None => line.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_gets_two_more_members_and_nothing_else_is_touched() {
        let line = named("{\"level\":\"INFO\",\"fields\":{\"a\":\"}\"}}\n", "0af7", "b7ad");
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&read["trace_id"], &read["span_id"]), (&"0af7".into(), &"b7ad".into()));
        assert_eq!(read["fields"]["a"], "}");
        assert_eq!(named("what is this\n", "0af7", "b7ad"), "what is this");
    }
}
