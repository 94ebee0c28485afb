//! Finds `portolan.toml` and puts what it and the environment say behind the command line.
//!
//! In:  the command line. Out: the same with more words, or everything that is wrong with the file.
//!
//! Never: reads a file that nobody named from the directory it is started in: whoever can write there could then send a
//! token elsewhere; does anything where there is no file and no variable.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use clap::{CommandFactory as _, FromArgMatches as _};

use super::{
    Environment, RegistryArgs,
    file::{self, File, Problem, words},
    layers::{self, InForce},
    settings::{self, CLIENT, GLOBAL, SERVE, Section},
};
use crate::{cmd, exit::Usage};

/// The variable that names the file.
const FILE: &str = "PORTOLAN_CONFIG";
/// What it is called in the user's directory of settings.
const NAME: &str = "portolan/portolan.toml";
/// Commands that have a registry of their own unless one is named on their command line.
const OWN_REGISTRY: [&str; 2] = ["demo", "demo-instance"];

/// A file with what it sets.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// `None`: there is no file.
    pub(crate) path: Option<PathBuf>,
    pub(crate) file: File,
}

/// A variable of the environment, as text.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var_os(name)?.into_string().ok()
}

/// The file that is named, or the user's own if there is one.
fn path(line: &[OsString]) -> Option<PathBuf> {
    let mut words = line.iter().skip(1).take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if text == "--config" {
            return words.next().map(PathBuf::from);
        }
        if let Some(path) = text.strip_prefix("--config=") {
            return Some(PathBuf::from(path));
        }
    }
    let named = std::env::var_os(FILE).filter(|path| !path.is_empty()).map(PathBuf::from);
    named.or_else(|| usual().filter(|path| path.is_file()))
}

/// Where it is looked for unless it is named (XDG Base Directory Specification).
pub(crate) fn usual() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let settings = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    Some(settings?.join(NAME))
}

/// Reads the file at `path`.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read(path: &Path, sections: &[Section]) -> anyhow::Result<File> {
    let wrong = |cause: io::Error| {
        anyhow::Error::new(Usage(format!("{}: it cannot be read; name another: {cause}", path.display())))
    };
    let text = fs::read_to_string(path).map_err(wrong)?;
    let mut file = file::read(&text, sections);
    if file.problems.is_empty() {
        file.problems = sections.iter().filter_map(|section| unfit(section, &file)).collect();
        file.problems.sort();
    }
    Ok(file)
}

/// What only the command itself finds wrong with all of a section's settings.
fn unfit(section: &Section, file: &File) -> Option<Problem> {
    let given = |key: &str| file.given.get(&(section.name, key.to_owned()));
    let said =
        section.settings.iter().filter_map(|setting| Some(words(setting, &given(&setting.key)?.values)));
    let said: Vec<String> = said.flatten().collect();
    if said.is_empty() {
        return None;
    }
    let matches = section.command.clone().try_get_matches_from(said).ok()?;
    let wrong = match section.name {
        CLIENT => {
            let args = RegistryArgs::from_arg_matches(&matches).ok()?;
            RegistryArgs { environment: Environment::Ignored, ..args }.consul().err()
        }
        SERVE => cmd::serve::check(&cmd::serve::Args::from_arg_matches(&matches).ok()?).err(),
        _ => None,
    };
    let what = format!("{}: {:#}", section.name, wrong?);
    let names = |key: &str| [':', ' '].iter().any(|end| what.contains(&format!("--{key}{end}")));
    let named = section.settings.iter().filter(|setting| names(&setting.key));
    let line = named.filter_map(|setting| given(&setting.key)).map(|given| given.line).next();
    let first = || section.settings.iter().filter_map(|one| given(&one.key)).map(|given| given.line).min();
    Some(Problem { line: line.or_else(first)?, what })
}

/// The file of this command line, with all that is wrong with it.
///
/// # Errors
/// A file that is named cannot be read.
pub(crate) fn load(line: &[OsString], sections: &[Section]) -> anyhow::Result<Loaded> {
    let Some(path) = path(line) else { return Ok(Loaded::default()) };
    let file = read(&path, sections)?;
    Ok(Loaded { path: Some(path), file })
}

impl Loaded {
    /// # Errors
    /// Something is wrong with the file: the first problem, and how many more there are.
    pub(crate) fn sound(self) -> anyhow::Result<Self> {
        let (Some(path), Some(first)) = (&self.path, self.file.problems.first()) else { return Ok(self) };
        let more = match self.file.problems.len().saturating_sub(1) {
            0 => String::new(),
            more => format!(" (and {more} more: `portolan config check` tells all)"),
        };
        Err(Usage(format!("{}:{}: {}{more}", path.display(), first.line, first.what)).into())
    }

    /// What holds of a section.
    pub(crate) fn in_force(&self, section: &Section, line: &[OsString]) -> Vec<InForce> {
        layers::in_force(section, line, variable, &self.file)
    }
}

/// The name of the subcommand on a command line.
fn subcommand(line: &[OsString]) -> Option<String> {
    let command = crate::Cli::command();
    let mut words = line.iter().skip(1).map(|word| word.to_string_lossy()).take_while(|word| word != "--");
    words.find(|word| command.find_subcommand(&**word).is_some()).map(|word| word.into_owned())
}

/// Which sections a subcommand takes.
fn takes(name: &str) -> Vec<&'static str> {
    let command = crate::Cli::command();
    let asks = command
        .find_subcommand(name)
        .is_some_and(|found| found.get_arguments().any(|arg| arg.get_long() == Some("registry")));
    let mut sections = vec![GLOBAL];
    if asks && !OWN_REGISTRY.contains(&name) {
        sections.push(CLIENT);
    }
    if name == SERVE {
        sections.push(SERVE);
    }
    sections
}

/// The command line with what the environment and the file say besides.
///
/// # Errors
/// A file that is named cannot be read, or something is wrong with it.
pub(crate) fn apply(line: Vec<OsString>) -> anyhow::Result<Vec<OsString>> {
    let file = path(&line);
    let ours = |name: &OsString| name.to_string_lossy().starts_with("PORTOLAN_");
    if file.is_none() && !std::env::vars_os().any(|(name, _)| ours(&name)) {
        return Ok(line);
    }
    let asks_for_help =
        |word: &OsString| word == "--help" || word == "-h" || word == "-V" || word == "--version";
    let Some(name) = subcommand(&line).filter(|name| name != "config" && name != "help") else {
        return Ok(line);
    };
    if line.iter().take_while(|word| *word != "--").any(asks_for_help) {
        return Ok(line);
    }
    let sections = settings::sections();
    let loaded = load(&line, &sections)?.sound()?;
    let wanted = takes(&name);
    let mut more = Vec::new();
    for section in sections.iter().filter(|section| wanted.contains(&section.name)) {
        more.extend(layers::more(section, &loaded.in_force(section, &line)));
    }
    Ok(layers::with(&line, &name, more))
}
