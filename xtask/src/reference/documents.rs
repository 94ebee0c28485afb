//! What documents name, looked up: commands, flags, settings, metrics, variables, endpoints. PURE.
//!
//! In:  the Markdown files of the checkout, and what there is. Out: each name that there is not, and each command and page
//! that no document leads to.
//!
//! Never: looks at what tells of the past (the CHANGELOG), or at pages that are made.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Texts, Wrong,
    commands::{self, Command},
    endpoints, metrics, settings, words,
};

/// The kinds of blocks that something looks at; `text` and what is a file of somebody else's is for the eye.
const LANGUAGES: &[&str] =
    &["rust", "rust,no_run", "sh", "console", "text", "ini", "yaml", "dockerfile", "toml", "hcl", "rules"];

/// Flags of Cargo, which documents name without it.
const FOREIGN: &[&str] = &["features"];

/// Where pages are listed whose code is compiled.
const DOCTESTS: [&str; 2] = ["crates/portolan/src/documents.rs", "crates/portolan-server/src/documents.rs"];

/// All that can be named.
pub(super) struct Known {
    commands: BTreeMap<String, Command>,
    settings: settings::Names,
    metrics: BTreeSet<String>,
    endpoints: BTreeSet<String>,
    /// What `cargo xtask` says of itself.
    xtask: String,
}

impl Known {
    pub(super) fn of(texts: &Texts) -> Result<Self, String> {
        Ok(Self {
            commands: commands::read(texts)?,
            settings: settings::names(texts)?,
            metrics: metrics::names(texts)?,
            endpoints: endpoints::read(texts)?.into_keys().collect(),
            xtask: texts.get("xtask/src/main.rs").cloned().unwrap_or_default(),
        })
    }

    /// What is wrong with a command line.
    fn look_at(&self, line: &[String]) -> Option<String> {
        let mut line = line.iter().map(String::as_str);
        // Flags before the subcommand are those that all have.
        let name = line.find(|word| !word.starts_with('-'))?;
        let is_placeholder = name.contains(|c: char| !c.is_ascii_lowercase() && c != '-');
        if is_placeholder || name == "help" {
            return None;
        }
        let Some(mut command) = self.commands.get(name) else {
            return Some(format!("there is no command `portolan {name}`"));
        };
        if command.is_nested() {
            // What it takes is known where there is a page of help for it.
            command = self.commands.get(&format!("{name}-{}", line.next()?))?;
        }
        while let Some(word) = line.next() {
            if word == "--" {
                return None;
            }
            let Some(long) = word.strip_prefix("--") else {
                let short =
                    word.strip_prefix('-').filter(|_| word != "-dev").and_then(|rest| rest.chars().next());
                match short.filter(|short| !command.short.contains(short)) {
                    Some(short) => return Some(format!("`portolan {name}` has no flag -{short}")),
                    None => continue,
                }
            };
            let (flag, given) = long.split_once('=').map_or((long, false), |(flag, _)| (flag, true));
            match command.flags.get(flag) {
                None => return Some(format!("`portolan {name}` has no flag --{flag}")),
                Some(takes) if *takes && !given => drop(line.next()),
                Some(_) => {}
            }
        }
        None
    }

    /// Whether a variable stands for a flag, in place of a file of settings.
    fn is_of_a_flag(&self, variable: &str) -> bool {
        let name = variable.trim_start_matches("PORTOLAN_").trim_start_matches("SERVE_");
        let flag = name.to_lowercase().replace('_', "-");
        self.commands.contains_key("config")
            && self.commands.get("serve").is_some_and(|serve| serve.flags.contains_key(&flag))
    }

    /// What is wrong with a name that stands as code in a sentence.
    fn look_at_span(&self, span: &str) -> Option<String> {
        if let Some(rest) = span.strip_prefix("--") {
            let flag = rest.split([' ', '=', ',']).next().unwrap_or_default();
            let known = self.commands.values().any(|command| command.flags.contains_key(flag));
            let known = known || FOREIGN.contains(&flag) || self.xtask.contains(&format!("{flag} "));
            return (!known && !flag.is_empty()).then(|| format!("no command has a flag --{flag}"));
        }
        let is_variable = span.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        if is_variable && span.starts_with("PORTOLAN_") {
            let of_ours = settings::variables().any(|known| known == span);
            // `watch --exec` gives some to what it runs.
            let told =
                self.commands.get("watch").is_some_and(|watch| watch.says(span)) || self.xtask.contains(span);
            return (!of_ours && !told && !self.is_of_a_flag(span))
                .then(|| format!("nothing reads a variable {span}"));
        }
        if span.starts_with("/v1/") && !span.contains(['*', '…', '?', '{', '<']) {
            let known =
                |path: &String| span == path || (path.ends_with('/') && span.starts_with(path.as_str()));
            let known = self.endpoints.iter().any(known);
            return (!known).then(|| format!("the registry has no endpoint {span}"));
        }
        let is_name = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if span.starts_with("portolan_") && is_name(span) && span != "portolan_server" {
            let known = self.metrics.iter().any(|metric| metric == span);
            return (!known).then(|| format!("there is no metric {span}"));
        }
        let (group, setting) = span.split_once("::").or_else(|| span.split_once('.'))?;
        let setting = setting.split('(').next().unwrap_or_default();
        let there = self.settings.get(group).filter(|_| !setting.is_empty() && is_name(setting))?;
        let of_type = group.starts_with(|c: char| c.is_ascii_uppercase());
        let is_made = of_type
            && (matches!(setting, "default" | "from_env" | "from_vars" | "validate")
                || is_constructor(group));
        (!there.contains(setting) && !is_made).then(|| format!("{group} has no setting {setting}"))
    }
}

/// Structs that are begun by what they are: `Registration::http`, `Check::tcp`.
fn is_constructor(group: &str) -> bool {
    matches!(group, "Registration" | "Check" | "Https" | "Ejection" | "Probe" | "HealthFn")
}

fn is_document(file: &str) -> bool {
    let made =
        ["commands", "settings", "endpoints"].iter().any(|page| file == format!("docs/reference/{page}.md"));
    let ours = file == "README.md"
        || file == "SECURITY.md"
        || file == "CONTRIBUTING.md"
        || file.starts_with("docs/");
    ours && file.ends_with(".md") && !made
}

/// What is wrong in the documents.
pub(super) fn check(texts: &Texts, known: &Known) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut shown = BTreeSet::new();
    for (file, text) in texts.iter().filter(|(file, _)| is_document(file)) {
        for (line, piece) in pieces(text) {
            let (lines, what) = match &piece {
                Piece::Shell(code) => (words::commands(code), None),
                Piece::Span(span) if span.starts_with("portolan ") => (words::commands(span), None),
                Piece::Span(span) => (Vec::new(), known.look_at_span(span)),
            };
            let lines: Vec<&[String]> = lines.iter().filter_map(|words| words::of_portolan(words)).collect();
            shown.extend(lines.iter().filter_map(|line| line.first()).cloned());
            let what = what.into_iter().chain(lines.iter().filter_map(|line| known.look_at(line)));
            wrong.extend(what.map(|what| (file.clone(), line, format!("{what}; correct it"))));
        }
    }
    for name in
        known.commands.keys().filter(|name| !name.is_empty() && !name.contains('-') && !shown.contains(*name))
    {
        let what = format!("no document shows `portolan {name}`; show it in a how-to");
        wrong.push(("docs/SUMMARY.md".to_owned(), 1, what));
    }
    wrong.extend(left_out(texts));
    wrong.extend(untested(texts));
    wrong
}

/// Blocks that nothing looks at: in a language that nobody checks, or of a page that no crate has as a doctest.
fn untested(texts: &Texts) -> Vec<Wrong> {
    let lists = DOCTESTS.iter().filter_map(|file| texts.get(*file)).map(String::as_str).collect::<String>();
    let mut wrong = Vec::new();
    for (file, text) in texts.iter().filter(|(file, _)| is_document(file)) {
        let mut inside = false;
        for (line, content) in (1..).zip(text.lines()) {
            let Some(language) = content.trim_start().strip_prefix("```") else { continue };
            inside = !inside;
            let language = language.trim();
            if inside && !LANGUAGES.contains(&language) {
                let what =
                    format!("`{language}` is no kind of block that is checked: {}", LANGUAGES.join(", "));
                wrong.push((file.clone(), line, what));
            }
            if inside && language.starts_with("rust") && !lists.contains(&format!("{file}\"")) {
                let what = "has code that no doctest compiles: list it in crates/portolan/src/documents.rs"
                    .to_owned();
                wrong.push((file.clone(), line, what));
            }
        }
    }
    wrong
}

/// Pages that the book does not list.
fn left_out(texts: &Texts) -> Vec<Wrong> {
    let summary = texts.get("docs/SUMMARY.md").map(String::as_str).unwrap_or_default();
    let pages =
        texts.keys().filter_map(|file| file.strip_prefix("docs/").filter(|page| page.ends_with(".md")));
    let missing = pages.filter(|page| *page != "SUMMARY.md" && !summary.contains(&format!("]({page})")));
    missing.map(|page| ("docs/SUMMARY.md".to_owned(), 1, format!("does not list {page}; add it"))).collect()
}

/// What is looked at in a document.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    /// A line of a block of shell, or of a file that starts programs.
    Shell(String),
    /// Code in a sentence.
    Span(String),
}

fn pieces(text: &str) -> Vec<(usize, Piece)> {
    let mut found = Vec::new();
    let mut block: Option<String> = None;
    let mut begun: Option<(usize, String)> = None;
    for (line, content) in (1..).zip(text.lines()) {
        if let Some(language) = content.trim_start().strip_prefix("```") {
            block = if block.is_some() { None } else { Some(language.trim().to_owned()) };
            continue;
        }
        let Some(language) = block.as_deref() else {
            let spans = content.split('`').skip(1).step_by(2);
            found.extend(spans.map(|span| (line, Piece::Span(span.to_owned()))));
            continue;
        };
        let code = match language {
            "sh" => content.to_owned(),
            "console" if content.starts_with("$ ") || begun.is_some() => content.to_owned(),
            // `ExecStart=/usr/bin/portolan …`, and lists of words as JSON has them.
            "ini" | "yaml" | "dockerfile" => {
                let at = content.find("portolan").and_then(|at| content.get(at..));
                at.unwrap_or_default().replace(['"', '[', ']', ','], " ")
            }
            _ => continue,
        };
        let (first, whole) =
            begun.take().map_or((line, code.clone()), |(first, before)| (first, before + &code));
        match whole.strip_suffix('\\') {
            Some(before) => begun = Some((first, before.to_owned())),
            None => found.push((first, Piece::Shell(whole))),
        }
    }
    found
}

#[cfg(test)]
mod tests;
