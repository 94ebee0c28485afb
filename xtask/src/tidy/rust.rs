//! The rules for one Rust file: its header, its size, what it promises, and what its tests must not do.
//!
//! In:  the file's text and its [`Source`]. Out: findings.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Finding,
    paths::{Named, named},
    source::Source,
};

/// One idea fits in so many lines; tests are not counted.
const MOST_LINES: usize = 400;

/// Parts of `std::net` that only hold an address.
const ADDRESSES: &[&str] =
    &["IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr", "SocketAddrV4", "SocketAddrV6", "AddrParseError"];

/// What a file that says it is pure must not name, and what it has instead.
const IMPURE: &[(&str, &str)] = &[
    ("tokio", "the loop beside it does the waiting"),
    ("std::fs", "the loop beside it does the I/O"),
    ("std::net", "the loop beside it does the I/O"),
    ("std::process", "the loop beside it does the I/O"),
    ("std::thread", "the loop beside it owns the tasks"),
    ("SystemTime", "time comes in as `now`"),
    ("Instant::now", "time comes in as `now`"),
    ("Mutex", "state is owned, and passed as `&mut`"),
    ("RwLock", "state is owned, and passed as `&mut`"),
    ("parking_lot", "state is owned, and passed as `&mut`"),
];

/// The files that hold nothing but tests, by their place or by how they are declared.
pub(super) fn test_files<'a>(sources: &BTreeMap<&'a str, Source>) -> BTreeSet<&'a str> {
    let mut stems = Vec::new();
    for (name, source) in sources {
        let (dir, file) = name.rsplit_once('/').unwrap_or((".", name));
        let stem = file.trim_end_matches(".rs");
        let home = if matches!(stem, "lib" | "main") { dir.to_owned() } else { format!("{dir}/{stem}") };
        stems.extend(source.test_files.iter().map(|module| format!("{home}/{module}")));
    }
    let declared = |name: &str| {
        stems.iter().any(|stem| {
            name.strip_prefix(stem.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        })
    };
    let by_place = |name: &str| name.ends_with("/tests.rs") || name.split('/').any(|part| part == "tests");
    sources.keys().copied().filter(|name| by_place(name) || declared(name)).collect()
}

/// What is wrong in a file; `only_tests` when all of it is for tests.
pub(super) fn check(file: &str, text: &str, source: &Source, only_tests: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    if !text.starts_with("//!") {
        let what = "starts without a `//!` header; say what the file is for (STYLE.md, section 5)";
        found.push(Finding::new(file, 1, what));
    }
    if file.ends_with("/mod.rs") {
        found.push(Finding::new(file, 1, "is a mod.rs; name it after its directory and put it beside that"));
    }
    if !only_tests && source.lines > MOST_LINES {
        let what = format!(
            "has {} lines without its tests, over {MOST_LINES}; split it, or move tests to a tests.rs",
            source.lines
        );
        found.push(Finding::new(file, MOST_LINES, what));
    }
    found.extend(marks(file, source));
    let paths = named(&source.code);
    found.extend(test_habits(file, source, &paths, only_tests));
    if is_pure(text) && !only_tests {
        found.extend(impure(file, &named(&source.outside)));
    }
    found
}

/// Marks of unfinished work.
fn marks(file: &str, source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for (line, comment) in (1..).zip(source.comments.lines()) {
        for mark in ["TODO", "FIXME"] {
            for (before, after) in splits(comment, mark) {
                let whole =
                    !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric);
                let reason = after.strip_prefix('(').and_then(|rest| rest.split_once(')'));
                if whole && reason.is_none_or(|(reason, _)| reason.trim().is_empty()) {
                    let what = format!(
                        "{mark} without a reason; do it, or write `{mark}(issue N): what is missing`"
                    );
                    found.push(Finding::new(file, line, what));
                }
            }
        }
    }
    for (line, code) in (1..).zip(source.code.lines()) {
        if splits(code, "dbg!")
            .iter()
            .any(|(before, _)| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        {
            found.push(Finding::new(file, line, "a dbg! was left; remove it"));
        }
    }
    found
}

/// What tests must not do, wherever they are.
fn test_habits(file: &str, source: &Source, paths: &[Named], only_tests: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    for (line, code) in (1..).zip(source.code.lines()) {
        let conditional = code.contains("cfg_attr") && code.contains("ignore");
        if code.contains("#[ignore") || conditional {
            let what = "a test is ignored, and proves nothing; let it run, or remove it";
            found.push(Finding::new(file, line, what));
        }
        if code.contains("should_panic") {
            found.push(Finding::new(
                file,
                line,
                "should_panic takes any panic; check the error that is returned",
            ));
        }
    }
    let outside: BTreeSet<usize> = named(&source.outside)
        .iter()
        .filter(|path| path.has("thread::sleep"))
        .map(|path| path.line)
        .collect();
    for path in paths.iter().filter(|path| path.has("thread::sleep")) {
        if only_tests || !outside.contains(&path.line) {
            let what = "a test sleeps; pause tokio's clock, or wait for the condition with a deadline";
            found.push(Finding::new(file, path.line, what));
        }
    }
    found
}

/// Whether the header promises it; a quoted word is only a word.
fn is_pure(text: &str) -> bool {
    let header = text.lines().take_while(|line| line.starts_with("//!"));
    header.flat_map(|line| splits(line, "PURE")).any(|(before, after)| {
        let in_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '"' | '`');
        !before.ends_with(in_word) && !after.starts_with(in_word)
    })
}

fn impure(file: &str, paths: &[Named]) -> Vec<Finding> {
    let mut found = Vec::new();
    for path in paths {
        let address = path.starts_with("std::net")
            && path.words.get(2).is_some_and(|it| ADDRESSES.contains(&it.as_str()));
        let rooted = |name: &str| name.starts_with("std::") || matches!(name, "tokio" | "parking_lot");
        let hit = |name: &str| if rooted(name) { path.starts_with(name) } else { path.has(name) };
        let Some((name, instead)) = IMPURE.iter().find(|(name, _)| hit(name) && !address) else { continue };
        let what = format!("names `{name}`, but its header says PURE: {instead}");
        found.push(Finding::new(file, path.line, what));
    }
    found
}

/// What stands before and after each place of `word`.
fn splits<'a>(text: &'a str, word: &'a str) -> Vec<(&'a str, &'a str)> {
    text.match_indices(word)
        .filter_map(|(at, _)| Some((text.get(..at)?, text.get(at.checked_add(word.len())?..)?)))
        .collect()
}

#[cfg(test)]
mod tests;
