//! Reads what a Rust file says of its items: documentation as one line, types, constants. PURE: text in, values out.

use syn::{Attribute, Expr, Item, Lit, Meta, spanned::Spanned};

/// The items of a file.
pub(super) fn items(name: &str, text: &str) -> Result<Vec<Item>, String> {
    syn::parse_file(text).map(|file| file.items).map_err(|cause| format!("{name} cannot be read: {cause}"))
}

/// A piece of code as it is written, on one line.
pub(super) fn written(piece: &impl Spanned) -> String {
    piece.span().source_text().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A literal text.
pub(super) fn literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// The documentation for a page: on one line, without examples, sections and links into the code.
pub(super) fn doc(attributes: &[Attribute]) -> String {
    let mut words = Vec::new();
    let mut in_code = false;
    for attribute in attributes {
        let Meta::NameValue(pair) = &attribute.meta else { continue };
        let Some(line) = literal(&pair.value).filter(|_| pair.path.is_ident("doc")) else { continue };
        let line = line.trim();
        let is_target = line.starts_with('[') && line.contains("]: ");
        if line.starts_with("```") {
            in_code = !in_code;
        } else if line.starts_with("# ") {
            break;
        } else if !in_code && !is_target {
            words.extend(line.split_whitespace().map(str::to_owned));
        }
    }
    without_links(&words.join(" "))
}

/// For the cell of a table.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// `[text](target)` and `[text]` as `text`, where the target is a path of the code.
fn without_links(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        shown.push_str(before);
        rest = after;
        let Some((inner, behind)) = after.split_once(']') else {
            shown.push('[');
            continue;
        };
        let target = behind.strip_prefix('(').and_then(|behind| behind.split_once(')'));
        match target {
            Some((target, behind)) if !target.contains("://") => {
                shown.push_str(inner);
                rest = behind;
            }
            None if inner.starts_with('`') && inner.ends_with('`') => {
                shown.push_str(inner);
                rest = behind;
            }
            _ => shown.push('['),
        }
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_becomes_one_line_without_links_into_the_code() {
        let file = "/// How [`long`](Self::long) it [`Waits`] may\n/// take: `a[0]`.\n///\n/// ```\n/// code\n/// ```\n/// See \
                    [it](https://e.org/x).\n///\n/// # Errors\n/// None.\n///\n/// [`Waits`]: crate::Waits\npub struct A;\n";
        let items = items("a.rs", file).unwrap();
        let Some(Item::Struct(found)) = items.first() else { panic!("it is a struct") };
        assert_eq!(doc(&found.attrs), "How `long` it `Waits` may take: `a[0]`. See [it](https://e.org/x).");
    }
}
