//! Which settings there are, in which section of `portolan.toml`, and by which variable of the environment. PURE.
//!
//! In:  the flags, as the command line knows them. Out: sections of settings, so that no flag is without its setting.
//!
//! Never: keeps a list of its own.

use clap::{ArgAction, Args as _, Command, error::ContextKind, error::ContextValue};

use super::{Global, RegistryArgs};

/// Flags of every command.
pub(crate) const GLOBAL: &str = "global";
/// Flags of the commands that ask a registry.
pub(crate) const CLIENT: &str = "client";
/// Flags of `portolan serve`.
pub(crate) const SERVE: &str = "serve";

/// A section of the file.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    /// A command that takes its flags and nothing else.
    pub(crate) command: Command,
    pub(crate) settings: Vec<Setting>,
}

/// How a flag takes its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One value.
    One,
    /// Any number.
    Many,
    /// It is there, or is not.
    Switch,
    /// How often it is there.
    Count,
}

/// A flag that can stand in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The flag without its dashes.
    pub(crate) key: String,
    pub(crate) short: Option<char>,
    pub(crate) shape: Shape,
    /// The variable of the environment.
    pub(crate) variable: String,
    pub(crate) default: Vec<String>,
    /// Settings that cannot be beside it.
    pub(crate) conflicts: Vec<String>,
}

impl Setting {
    /// Whether its value is never shown.
    pub(crate) fn is_secret(&self) -> bool {
        self.key == "token"
    }
}

/// All sections, in the order in which they are shown.
pub(crate) fn sections() -> Vec<Section> {
    vec![
        section(GLOBAL, Global::augment_args(Command::new(GLOBAL))),
        section(CLIENT, RegistryArgs::augment_args(Command::new(CLIENT))),
        section(SERVE, crate::cmd::serve::Args::augment_args(Command::new(SERVE))),
    ]
}

fn section(name: &'static str, mut command: Command) -> Section {
    command = command.no_binary_name(true).disable_help_flag(true);
    command.build();
    let mut settings: Vec<Setting> =
        command.get_arguments().filter_map(|arg| setting(name, &command, arg)).collect();
    // What one says of the other holds both ways.
    let pairs: Vec<(String, String)> = settings
        .iter()
        .flat_map(|one| one.conflicts.iter().map(|other| (other.clone(), one.key.clone())))
        .collect();
    for one in &mut settings {
        one.conflicts.extend(pairs.iter().filter(|(key, _)| *key == one.key).map(|(_, other)| other.clone()));
        one.conflicts.sort_unstable();
        one.conflicts.dedup();
    }
    Section { name, command, settings }
}

fn setting(section: &str, command: &Command, arg: &clap::Arg) -> Option<Setting> {
    // The file cannot name itself.
    let key = arg.get_long().filter(|key| *key != "config")?.to_owned();
    let shape = match arg.get_action() {
        ArgAction::Set => Shape::One,
        ArgAction::Append => Shape::Many,
        ArgAction::SetTrue => Shape::Switch,
        ArgAction::Count => Shape::Count,
        _ => return None,
    };
    let value = |value: &clap::builder::OsStr| value.to_string_lossy().into_owned();
    let default = match shape {
        Shape::One | Shape::Many => arg.get_default_values().iter().map(value).collect(),
        Shape::Switch | Shape::Count => Vec::new(),
    };
    let conflicts = command.get_arg_conflicts_with(arg);
    let conflicts = conflicts.into_iter().filter_map(|other| Some(other.get_long()?.to_owned())).collect();
    let variable = variable(section, &key);
    Some(Setting { key, short: arg.get_short(), shape, variable, default, conflicts })
}

/// The environment that Consul's own command reads, where there is one.
fn variable(section: &str, key: &str) -> String {
    match (section, key) {
        (CLIENT, "registry") => "CONSUL_HTTP_ADDR".to_owned(),
        (CLIENT, "token") => "CONSUL_HTTP_TOKEN".to_owned(),
        (CLIENT, "token-file") => "CONSUL_HTTP_TOKEN_FILE".to_owned(),
        (GLOBAL, _) => format!("PORTOLAN_{}", upper(key)),
        _ => format!("PORTOLAN_{}_{}", upper(section), upper(key)),
    }
}

fn upper(word: &str) -> String {
    word.replace('-', "_").to_ascii_uppercase()
}

impl Section {
    pub(crate) fn setting(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    /// The key that was meant, by the likeness of names.
    pub(crate) fn meant(&self, key: &str) -> Option<String> {
        meant(&self.command, key)
    }
}

/// The section that was meant, by the likeness of names.
pub(crate) fn section_meant(name: &str) -> Option<String> {
    let flags = [GLOBAL, CLIENT, SERVE].map(|name| clap::Arg::new(name).long(name));
    meant(&Command::new("sections").no_binary_name(true).args(flags), name)
}

fn meant(command: &Command, word: &str) -> Option<String> {
    let wrong = command.clone().try_get_matches_from([format!("--{word}=x")]).err()?;
    match wrong.get(ContextKind::SuggestedArg)? {
        ContextValue::String(found) => Some(found.trim_start_matches('-').to_owned()),
        ContextValue::Strings(found) => Some(found.first()?.trim_start_matches('-').to_owned()),
        _ => None,
    }
}
