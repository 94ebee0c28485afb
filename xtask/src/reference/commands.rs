//! What the command takes, from its help as `tests/cmd/` of the command has it; and the page of it. PURE.
//!
//! In:  `help-*.trycmd`, which `cargo test -p portolan-cli --test help` compares with what the command says. Out: each
//! subcommand with its flags.

use std::collections::BTreeMap;

use super::Texts;

const DIR: &str = "crates/portolan-cli/tests/cmd/help-";
/// The help of the command itself.
pub(super) const FIRST: &str = "crates/portolan-cli/tests/cmd/help-portolan.trycmd";
/// The heading of the flags that every subcommand has.
const EVERYWHERE: &str = "Output:";

/// A subcommand.
#[derive(Debug, Default)]
pub(super) struct Command {
    /// All it says.
    help: String,
    /// Its flags, and whether a value follows.
    pub(super) flags: BTreeMap<String, bool>,
    /// Its short flags.
    pub(super) short: Vec<char>,
}

impl Command {
    /// Whether it has subcommands of its own.
    pub(super) fn is_nested(&self) -> bool {
        self.help.contains("\nCommands:\n")
    }

    /// Its flags but those that every command has, and `--help`.
    pub(super) fn own_flags(&self) -> impl Iterator<Item = (&str, bool)> {
        let others = of(&everywhere(&self.help)).flags;
        let own = self.flags.iter().filter(move |(name, _)| *name != "help" && !others.contains_key(*name));
        own.map(|(name, takes)| (name.as_str(), *takes))
    }

    /// Whether its help has this word.
    pub(super) fn says(&self, word: &str) -> bool {
        self.help.contains(word)
    }
}

/// All subcommands by name; the command itself is `""`.
pub(super) fn read(texts: &Texts) -> Result<BTreeMap<String, Command>, String> {
    let mut found = BTreeMap::new();
    for (file, text) in texts.range(DIR.to_owned()..) {
        let Some(name) = file.strip_prefix(DIR).and_then(|name| name.strip_suffix(".trycmd")) else { break };
        let help = help(text).ok_or_else(|| format!("{file} is no page of help"))?;
        let name = if name == "portolan" { "" } else { name };
        found.insert(name.to_owned(), of(&help));
    }
    let listed = listed(&found.get("").ok_or_else(|| format!("{FIRST} is not there"))?.help);
    for name in &listed {
        if !found.contains_key(name) {
            return Err(format!(
                "{DIR}{name}.trycmd is not there; write it, so that the command is in the reference"
            ));
        }
    }
    Ok(found)
}

/// What stands in the page's first block, behind the line of the prompt.
fn help(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("--help\n")?;
    Some(rest.split_once("\n```").map_or(rest, |(help, _)| help).trim_end().to_owned())
}

/// The subcommands that the help lists.
fn listed(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

fn of(help: &str) -> Command {
    let mut command = Command { help: help.to_owned(), ..Command::default() };
    for line in help.lines() {
        let flag = line.trim_start();
        let indent = line.len().saturating_sub(flag.len());
        if !flag.starts_with('-') || !(indent == 2 || indent == 6) {
            continue;
        }
        let names = flag.split_once("  ").map_or(flag, |(names, _)| names);
        let takes = names.contains('<');
        for word in names.split([' ', ',']) {
            let word = word.trim_end_matches("...");
            match (word.strip_prefix("--"), word.strip_prefix('-')) {
                (Some(long), _) if !long.is_empty() => {
                    command.flags.insert(long.to_owned(), takes);
                }
                (None, Some(short)) => command.short.extend(short.chars().next()),
                _ => {}
            }
        }
    }
    command
}

/// The help without the flags that are everywhere.
fn own(help: &str) -> String {
    let Some((before, after)) = help.split_once(&format!("\n{EVERYWHERE}\n")) else { return help.to_owned() };
    match after.split_once("\n\n") {
        Some((_, rest)) => format!("{before}\n{rest}"),
        None => before.trim_end().to_owned(),
    }
}

/// The flags that are everywhere.
fn everywhere(help: &str) -> String {
    let after = help.split_once(&format!("\n{EVERYWHERE}\n")).map_or("", |(_, after)| after);
    after.split_once("\n\n").map_or(after, |(flags, _)| flags).to_owned()
}

/// The page.
pub(super) fn page(texts: &Texts) -> Result<String, String> {
    let commands = read(texts)?;
    let main = commands.get("").map(|command| command.help.clone()).unwrap_or_default();
    let flags = commands.values().map(|command| everywhere(&command.help)).find(|flags| !flags.is_empty());
    let mut page = format!(
        "# Commands\n\n\
         What each says with `--help`. All of them take the flags of the log besides. Those that speak to a registry read Consul's\n\
         variables too: see [Settings](settings.md#environment).\n\n\
         ## portolan\n\n```text\n{}\n```\n\n## Flags of every command\n\n```text\n{}\n```\n",
        own(&main),
        flags.unwrap_or_default()
    );
    for name in listed(&main) {
        if let Some(command) = commands.get(&name) {
            page.push_str(&format!("\n## portolan {name}\n\n```text\n{}\n```\n", own(&command.help)));
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: &str = "```\n$ portolan --help\nIt.\n\nCommands:\n  run  Runs\n         on\n  help  Prints\n\nOptions:\n  -h, --help  Print\n\n```\n";
    const RUN: &str = "```\n$ portolan run --help\nRuns.\n\nOptions:\n      --tag <TAG>  A tag, as\n                   --this\n  -h, --help       Print\n\n\
                       Output:\n  -v, --verbose...  Log more\n\nExamples:\n  portolan run --x\n\n```\n";

    #[test]
    fn flags_are_those_of_the_help_and_nothing_else() {
        let texts: Texts =
            [(FIRST.to_owned(), MAIN.to_owned()), (format!("{DIR}run.trycmd"), RUN.to_owned())].into();
        let commands = read(&texts).unwrap();
        let run = commands.get("run").unwrap();
        let flags: Vec<(&str, bool)> =
            run.flags.iter().map(|(name, takes)| (name.as_str(), *takes)).collect();
        assert_eq!(flags, [("help", false), ("tag", true), ("verbose", false)]);
        assert_eq!(run.short, ['h', 'v']);
        let page = page(&texts).unwrap();
        assert_eq!(page.matches("--verbose").count(), 1, "{page}");
        assert!(page.contains("## portolan run\n\n```text\nRuns.\n"), "{page}");
    }

    #[test]
    fn a_command_without_a_page_of_help_is_named() {
        let error = read(&[(FIRST.to_owned(), MAIN.to_owned())].into()).unwrap_err();
        assert!(error.contains("help-run.trycmd is not there"), "{error}");
    }
}
