//! The rules for every text file: links that lead somewhere, and no path of somebody's machine.
//!
//! In:  the file's name and text. Out: findings. It looks at the disk only to see whether a linked file is there.

use std::path::Path;

use super::Finding;

/// Where people and machines keep their own files. In pieces, so that this file keeps its own rule.
const OF_A_MACHINE: [&str; 3] = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];

/// What is wrong in a file.
pub(super) fn check(root: &Path, file: &str, text: &str) -> Vec<Finding> {
    let mut found = machine_paths(file, text);
    if file.ends_with(".md") {
        found.extend(dead_links(root, file, text));
    }
    found
}

fn machine_paths(file: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        for path in OF_A_MACHINE {
            // `target/NAME/` and `host/NAME/` are paths of something else.
            let inner = |c: char| c.is_alphanumeric() || "_-.~*)]}>".contains(c);
            let mut places = content.match_indices(path).filter_map(|(at, _)| content.get(..at));
            if places.any(|before| !before.ends_with(inner)) {
                let what = format!("has a path of a machine, under {path}; say it relative to the checkout");
                found.push(Finding::new(file, line, what));
            }
        }
    }
    found
}

fn dead_links(root: &Path, file: &str, text: &str) -> Vec<Finding> {
    let dir = root.join(file).parent().unwrap_or(root).to_owned();
    let mut found = Vec::new();
    for (line, link) in links(text) {
        let path = link.split(['#', '?']).next().unwrap_or_default().replace("%20", " ");
        let has_scheme =
            link.split_once(':').is_some_and(|(scheme, _)| scheme.chars().all(char::is_alphanumeric));
        if path.is_empty() || has_scheme || path.starts_with("//") {
            continue;
        }
        let there = match path.strip_prefix('/') {
            Some(from_root) => root.join(from_root),
            None => dir.join(&path),
        };
        if !there.exists() {
            let what = format!("links to {path}, which is not there; correct the link, or add the file");
            found.push(Finding::new(file, line, what));
        }
    }
    found
}

/// The targets of `[text](target)` and `[name]: target`, outside code.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fence: Option<&str> = None;
    for (line, content) in (1..).zip(text.lines()) {
        let start = content.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            _ => {}
        }
        if fence.is_some() || mark.is_some() {
            continue;
        }
        let named = start.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target);
        found.extend(named.map(|target| (line, first_word(target))));
        // Every second piece stands between backticks.
        for piece in content.split('`').step_by(2) {
            let targets = piece.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
            found.extend(targets.map(|target| (line, first_word(target))));
        }
    }
    found
}

/// A target without its title and its angle brackets.
fn first_word(target: &str) -> &str {
    let target = target.trim();
    match target.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((inner, _)) => inner,
        None => target.split_whitespace().next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_machine_is_found() {
        let [home, ..] = OF_A_MACHINE;
        for (text, lines) in [
            (format!("x\nsee {home}me/x"), vec![2]),
            (format!("\"{home}me\" `{home}you`"), vec![1]),
            (format!("file://{home}me"), vec![1]),
            (format!("https://example.com{home}x target{home}y {{root}}{home}z"), vec![]),
        ] {
            let found: Vec<usize> =
                machine_paths("a.txt", &text).iter().map(|finding| finding.line).collect();
            assert_eq!(found, lines, "{text}");
        }
    }

    #[test]
    fn a_link_leads_to_a_file_that_is_there() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("docs")).unwrap();
        std::fs::write(root.path().join("docs/a b.md"), "").unwrap();
        for (file, text, fine) in [
            ("README.md", "[a](docs/a%20b.md#part) and [b](<docs/a b.md> \"title\") ![c](/docs)", true),
            ("docs/x.md", "[a](<a b.md>) [up](../docs)", true),
            ("README.md", "[a](#part) [b](https://example.com/x) [c](mailto:a@example.com)", true),
            ("README.md", "`[a](none.md)`\n```text\n[a](none.md)\n```\n", true),
            ("README.md", "x\n[a](none.md)", false),
            ("README.md", "[a](docs), [b](docs/none.md)", false),
            ("README.md", "[a]: none.md", false),
            ("docs/x.md", "```\n[a](x)\n```\n[a](docs/x)", false),
        ] {
            assert_eq!(dead_links(root.path(), file, text).is_empty(), fine, "{file}: {text}");
        }
    }
}
