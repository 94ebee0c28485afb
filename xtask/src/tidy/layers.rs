//! Checks the arrows of `arrows.rs`: modules of the library, doors, and the line of the crates.
//!
//! In:  a file's [`named`](super::paths::named) paths, and what `lib.rs` re-exports. Out: findings. Tests may use
//! whom they like.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Finding,
    arrows::{CRATES, DOORS, FOUNDATIONS, LIBRARY, MODULES},
    paths::Named,
};

/// The names that `lib.rs` re-exports, each with the module it is from.
pub(super) type Exports = BTreeMap<String, String>;

/// What `lib.rs` names is what a user sees: `error::Kind` is `Kind`, from `error`.
pub(super) fn exports(lib: &[Named]) -> Exports {
    let paths = lib.iter().map(|path| path.words.iter().filter(|word| *word != "crate" && *word != "self"));
    paths
        .filter_map(|mut words| Some((words.next()?.clone(), words.next_back()?.clone())))
        .map(|(a, b)| (b, a))
        .collect()
}

/// The arrows that `file` must not draw.
pub(super) fn check(file: &str, paths: &[Named], exports: &Exports) -> Vec<Finding> {
    let mut found = crate_line(file, paths);
    let Some(inner) = file.strip_prefix(LIBRARY) else { return found };
    let place: Vec<&str> = inner.trim_end_matches(".rs").split('/').collect();
    let Some(module) = place.first().copied().filter(|module| *module != "lib") else { return found };
    let Some(allowed) = may_use(module) else {
        let what = format!(
            "module `{module}` has no row in xtask/src/tidy/arrows.rs; add one that says whom it may use"
        );
        found.push(Finding::new(file, 1, what));
        return found;
    };
    for path in paths {
        found.extend(door(file, module, path));
        let Some(other) = target(&place, path, exports) else { continue };
        if other != module && is_module(&other) && !allowed.contains(other.as_str()) {
            let what = format!(
                "`{module}` uses `{}`, which is of `{other}`: DESIGN.md draws no arrow there; pass it in, move it \
                 down, or change xtask/src/tidy/arrows.rs with the design",
                path.text()
            );
            found.push(Finding::new(file, path.line, what));
        }
    }
    found
}

/// All that `module` may use; `None` when the table does not have it.
fn may_use(module: &str) -> Option<BTreeSet<&'static str>> {
    let mut all: BTreeSet<&str> = FOUNDATIONS.iter().copied().collect();
    if all.contains(module) {
        return Some(all);
    }
    let mut open: Vec<&str> = row(module)?.to_vec();
    while let Some(next) = open.pop() {
        if all.insert(next) {
            open.extend(row(next).unwrap_or_default());
        }
    }
    Some(all)
}

fn row(module: &str) -> Option<&'static [&'static str]> {
    MODULES.iter().find(|(name, _)| *name == module).map(|(_, stands_on)| *stands_on)
}

fn is_module(name: &str) -> bool {
    FOUNDATIONS.contains(&name) || row(name).is_some()
}

/// The module that a path leads to, if it leads to one of this crate.
fn target(place: &[&str], path: &Named, exports: &Exports) -> Option<String> {
    let mut words = path.words.iter().map(String::as_str).peekable();
    let mut at: Vec<&str> = match words.next()? {
        "crate" => Vec::new(),
        "self" => place.to_vec(),
        "super" => place.split_last()?.1.to_vec(),
        _ => return None,
    };
    while words.next_if_eq(&"super").is_some() {
        at.pop();
    }
    at.extend(words);
    let first = *at.first()?;
    Some(exports.get(first).cloned().unwrap_or_else(|| first.to_owned()))
}

fn door(file: &str, module: &str, path: &Named) -> Option<Finding> {
    let last = path.words.last()?;
    let door =
        DOORS.iter().find(|door| path.is_dyn && door.name == last && !door.modules.contains(&module))?;
    let what = format!("`{module}` holds a `dyn {last}`: {}", door.instead);
    Some(Finding::new(file, path.line, what))
}

fn crate_line(file: &str, paths: &[Named]) -> Vec<Finding> {
    let Some((home, never)) = CRATES.iter().find(|(home, _)| file.starts_with(home)) else {
        return Vec::new();
    };
    let uses = |path: &&Named| never.iter().any(|name| path.starts_with(&name.replace('-', "_")));
    let finding = |path: &Named| Finding::new(file, path.line, not_below(home, &path.text()));
    paths.iter().filter(uses).map(finding).collect()
}

/// The dependencies of a `Cargo.toml` that the line of the crates forbids. Those for tests are free.
pub(super) fn check_manifest(file: &str, text: &str) -> Vec<Finding> {
    let Some((home, never)) = CRATES.iter().find(|(home, _)| file == format!("{home}Cargo.toml")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut counts = false;
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim();
        if let Some(section) = text.strip_prefix('[') {
            counts = section.contains("dependencies") && !section.contains("dev-dependencies");
        }
        let name = text.trim_start_matches('[').split(['.', ' ', '=', ']']);
        let hit = counts && name.into_iter().any(|word| never.contains(&word));
        if hit {
            found.push(Finding::new(file, line, not_below(home, text)));
        }
    }
    found
}

fn not_below(home: &str, what: &str) -> String {
    let name = home.trim_end_matches('/').rsplit('/').next().unwrap_or(home);
    format!("`{what}`: crate {name} must not use it, the crates stand in a straight line; move the code down")
}

#[cfg(test)]
mod tests;
