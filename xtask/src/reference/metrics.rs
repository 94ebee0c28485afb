//! The page of metrics and spans, from the one file that names them. PURE.
//!
//! In:  `telemetry.rs`. Out: a table for each kind.

use syn::{Item, ItemConst};

use super::{Texts, item};

const FILE: &str = "crates/portolan/src/telemetry.rs";

/// A metric or a span.
pub(super) struct Named {
    pub(super) name: String,
    what: String,
    span: bool,
}

/// All of them, in the order of the file.
pub(super) fn read(texts: &Texts) -> Result<Vec<Named>, String> {
    let text = texts.get(FILE).ok_or_else(|| format!("{FILE} is not there"))?;
    let mut found = Vec::new();
    for item in item::items(FILE, text)? {
        let Item::Const(ItemConst { ident, expr, attrs, .. }) = item else { continue };
        let Some(name) = item::literal(&expr) else { continue };
        found.push(Named { name, what: item::doc(&attrs), span: ident.to_string().ends_with("_SPAN") });
    }
    Ok(found)
}

/// The page.
pub(super) fn page(texts: &Texts) -> Result<String, String> {
    let all = read(texts)?;
    let rows = |span: bool| {
        let rows = all.iter().filter(|named| named.span == span);
        rows.map(|Named { name, what, .. }| format!("| `{name}` | {} |\n", item::cell(what)))
            .collect::<String>()
    };
    Ok(format!(
        "# Metrics and spans\n\n\
         The library records by the `metrics` and `tracing` facades; your program decides where they go. A name that ends in\n\
         `_total` is a counter, one in `_seconds` a histogram, the others are gauges. No label holds an instance.\n\n\
         ## Metrics\n\n| name | what, labels, and when to look |\n| --- | --- |\n{}\n\
         ## Spans\n\n| name | what, and its fields |\n| --- | --- |\n{}",
        rows(false),
        rows(true)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_constant_with_a_text_is_a_row() {
        let file = "/// Picks.\npub const A: &str = \"a_total\";\n/// One try.\npub const B_SPAN: &str = \"b\";\nconst N: u8 = 1;\n";
        let texts = [(FILE.to_owned(), file.to_owned())].into();
        let page = page(&texts).unwrap();
        let (metrics, spans) = page.split_once("## Spans").unwrap();
        assert!(metrics.contains("| `a_total` | Picks. |") && !metrics.contains("`b`"), "{page}");
        assert!(spans.contains("| `b` | One try. |"), "{page}");
    }
}
