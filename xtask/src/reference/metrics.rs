//! The page of metrics and spans, from the one file that names them. PURE.
//!
//! In:  `telemetry.rs` of the library and of the registry. Out: a table for each kind; all names.

use std::collections::BTreeSet;

use super::{Texts, item};

const FILE: &str = "crates/portolan/src/telemetry.rs";
/// The registry has names of its own.
const SERVER: &str = "crates/portolan-server/src/telemetry.rs";

/// A metric or a span, with its documentation.
struct Named {
    name: String,
    what: String,
    span: bool,
}

/// The names of all metrics: the texts that begin with `portolan_`.
pub(super) fn names(texts: &Texts) -> Result<BTreeSet<String>, String> {
    let text = texts.get(FILE).ok_or_else(|| format!("{FILE} is not there"))?;
    let all = [text.as_str(), texts.get(SERVER).map(String::as_str).unwrap_or_default()];
    let literals = all.iter().flat_map(|text| text.split('"').skip(1).step_by(2));
    let names = literals.filter(|text| text.starts_with("portolan_") && !text.contains(' '));
    Ok(names.map(str::to_owned).collect())
}

/// All of the library that have documentation, in the order of the file: `/// …` and then `NAME = "…"`, as a constant or in
/// the table of a macro.
fn read(texts: &Texts) -> Vec<Named> {
    let mut found = Vec::new();
    let mut doc: Vec<&str> = Vec::new();
    for line in texts.get(FILE).map(String::as_str).unwrap_or_default().lines().map(str::trim) {
        if let Some(said) = line.strip_prefix("///") {
            doc.push(said.trim());
            continue;
        }
        let said = std::mem::take(&mut doc).join(" ");
        let Some((before, (name, _))) =
            line.split_once(" = \"").and_then(|(before, after)| Some((before, after.split_once('"')?)))
        else {
            continue;
        };
        let span = before.contains("_SPAN");
        if !said.is_empty() && (span || name.starts_with("portolan_")) {
            found.push(Named { name: name.to_owned(), what: said, span });
        }
    }
    found
}

/// The page.
pub(super) fn page(texts: &Texts) -> String {
    let all = read(texts);
    let rows = |span: bool| {
        let rows = all.iter().filter(|named| named.span == span);
        rows.map(|Named { name, what, .. }| format!("| `{name}` | {} |\n", item::cell(what)))
            .collect::<String>()
    };
    format!(
        "# Metrics and spans\n\n\
         The library records by the `metrics` and `tracing` facades; your program decides where they go. A name that ends in\n\
         `_total` is a counter, one in `_seconds` a histogram, the others are gauges. No label holds an instance.\n\n\
         ## Metrics\n\n| name | what, labels, and when to look |\n| --- | --- |\n{}\n\
         ## Spans\n\n| name | what, and its fields |\n| --- | --- |\n{}",
        rows(false),
        rows(true)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_constant_with_a_text_is_a_row() {
        let file = "/// Picks,\n/// all.\npub const A: &str = \"portolan_a_total\";\n/// One try.\npub const B_SPAN: &str = \"b\";\nconst N: u8 = 1;\n";
        let texts = [(FILE.to_owned(), file.to_owned())].into();
        let page = page(&texts);
        let (metrics, spans) = page.split_once("## Spans").unwrap();
        assert!(
            metrics.contains("| `portolan_a_total` | Picks, all. |") && !metrics.contains("`b`"),
            "{page}"
        );
        assert_eq!(names(&texts).unwrap(), ["portolan_a_total".to_owned()].into());
        assert!(spans.contains("| `b` | One try. |"), "{page}");
    }
}
