//! The names of all metrics, from the files that name them. PURE.
//!
//! In:  `telemetry.rs` of the library and of the registry. Out: all names.

use std::collections::BTreeSet;

use super::Texts;

const FILE: &str = "crates/portolan/src/telemetry.rs";
/// The registry has names of its own.
const SERVER: &str = "crates/portolan-server/src/telemetry.rs";

/// The names of all metrics: the texts that begin with `portolan_`.
pub(super) fn names(texts: &Texts) -> Result<BTreeSet<String>, String> {
    let text = texts.get(FILE).ok_or_else(|| format!("{FILE} is not there"))?;
    let all = [text.as_str(), texts.get(SERVER).map(String::as_str).unwrap_or_default()];
    let literals = all.iter().flat_map(|text| text.split('"').skip(1).step_by(2));
    let names = literals.filter(|text| text.starts_with("portolan_") && !text.contains(' '));
    Ok(names.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_texts_that_begin_as_ours() {
        let file = "/// Picks.\npub const A: &str = \"portolan_a_total\";\nconst B: &str = \"portolan has words\";\n";
        let texts = [(FILE.to_owned(), file.to_owned())].into();
        assert_eq!(names(&texts).unwrap(), ["portolan_a_total".to_owned()].into());
    }
}
