//! The page of endpoints, from the table that answers them. PURE.
//!
//! In:  `api.rs` of the server. Out: a row for each path, with its methods and whether it can wait for a change.

use std::collections::BTreeMap;

use syn::{Expr, ExprCall, Item, ItemConst};

use super::{Texts, item};

const FILE: &str = "crates/portolan-server/src/api.rs";
/// Where paths stand that have a name.
const NAMED: [(&str, &str); 1] = [("faults :: ENDPOINT", "crates/portolan-server/src/faults.rs")];

/// What one path answers.
#[derive(Default)]
pub(super) struct Answers {
    methods: Vec<&'static str>,
    waits: bool,
}

/// All paths.
pub(super) fn read(texts: &Texts) -> Result<BTreeMap<String, Answers>, String> {
    let text = texts.get(FILE).ok_or_else(|| format!("{FILE} is not there"))?;
    let mut found: BTreeMap<String, Answers> = BTreeMap::new();
    for item in item::items(FILE, text)? {
        let Item::Const(ItemConst { ident, expr, .. }) = item else { continue };
        let (true, Expr::Reference(table)) = (ident == "ENDPOINTS", *expr) else { continue };
        let Expr::Array(rows) = *table.expr else { continue };
        for row in &rows.elems {
            let (method, path, waits) = endpoint(row, texts).ok_or_else(|| {
                format!("{FILE}: `{}` is not understood; teach reference/endpoints.rs", item::written(row))
            })?;
            let answers = found.entry(path).or_default();
            answers.methods.push(method);
            answers.waits |= waits;
        }
    }
    if found.is_empty() { Err(format!("{FILE} has no table ENDPOINTS")) } else { Ok(found) }
}

/// The method, the path, and whether it waits.
fn endpoint(row: &Expr, texts: &Texts) -> Option<(&'static str, String, bool)> {
    match row {
        Expr::Call(call) => called(call, texts),
        // `Endpoint { most: …, ..put("/v1/kv/", kv::put) }`
        Expr::Struct(row) => endpoint(row.rest.as_deref()?, texts),
        _ => None,
    }
}

fn called(call: &ExprCall, texts: &Texts) -> Option<(&'static str, String, bool)> {
    let mut args = call.args.iter();
    let (method, waits) = match item::written(&*call.func).as_str() {
        "get" => ("GET", false),
        "watch" => ("GET", true),
        "put" => ("PUT", false),
        "post" => ("POST", false),
        "delete" => ("DELETE", false),
        "own" => match item::written(args.next()?).as_str() {
            "Verb::Get" => ("GET", false),
            "Verb::Put" => ("PUT", false),
            "Verb::Post" => ("POST", false),
            "Verb::Delete" => ("DELETE", false),
            _ => return None,
        },
        _ => return None,
    };
    let path = args.next()?;
    let path = item::literal(path).or_else(|| named(&item::written(path), texts))?;
    Some((method, path, waits))
}

/// The text of a constant that another file has.
fn named(path: &str, texts: &Texts) -> Option<String> {
    let spaced = path.replace("::", " :: ");
    let (_, file) = NAMED.iter().find(|(name, _)| *name == spaced)?;
    let constant = path.rsplit("::").next()?;
    let items = item::items(file, texts.get(*file)?).ok()?;
    items.into_iter().find_map(|item| match item {
        Item::Const(found) if found.ident == constant => item::literal(&found.expr),
        _ => None,
    })
}

/// The page.
pub(super) fn page(texts: &Texts) -> Result<String, String> {
    let mut rows = String::new();
    for (path, Answers { methods, waits }) in read(texts)? {
        let name = if path.ends_with('/') { "…" } else { "" };
        let waits = if waits { "yes" } else { "" };
        rows.push_str(&format!("| `{path}{name}` | {} | {waits} |\n", methods.join(", ")));
    }
    Ok(format!(
        "# Endpoints\n\n\
         What `portolan serve` answers over HTTP. `…` stands for a name, an id or a key. Where it waits, `?index=N&wait=30s` is a\n\
         blocking query. All but `/v1/portolan/` are Consul's, and answer as Consul 1.21 does; parameters, headers and what differs\n\
         are in [Compatibility](compatibility.md). Any other path is a 404.\n\n\
         | path | methods | waits |\n| --- | --- | --- |\n{rows}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_write_a_row_is_read() {
        let api = r#"
            const ENDPOINTS: &[Endpoint] = &[
                get("/v1/a", x::a),
                watch("/v1/b/", x::b),
                Endpoint { most: x::most, ..put("/v1/b/", x::put) },
                own(Verb::Delete, faults::ENDPOINT, Run::Now(own::clear), of_any),
            ];"#;
        let faults = "pub(crate) const ENDPOINT: &str = \"/v1/f\";";
        let [(_, file)] = NAMED;
        let texts = [(FILE.to_owned(), api.to_owned()), (file.to_owned(), faults.to_owned())].into();
        let page = page(&texts).unwrap();
        for row in ["| `/v1/a` | GET |  |", "| `/v1/b/…` | GET, PUT | yes |", "| `/v1/f` | DELETE |  |"] {
            assert!(page.contains(row), "{row}: {page}");
        }
    }
}
