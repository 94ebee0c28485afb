//! What the command line and the environment say: which registry, how much to log, whether to colour.
//!
//! In:  flags, and the environment that Consul's own command reads. Out: a checked configuration of the library.
//!
//! Never: lets the environment win over a flag; writes a log line on stdout; shows a token.

use std::{
    ffi::{OsStr, OsString},
    io::IsTerminal,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use clap::{ArgAction, Args, ValueEnum};
use portolan::{
    Config, Discovery, Registry,
    registry::consul::{Consul, ConsulConfig},
};
use tokio::runtime::Handle;
use tracing_subscriber::filter::{ParseError, Targets};

use crate::{
    exit::Usage,
    log::{self, Form, Log},
};

pub(crate) mod file;
pub(crate) mod layers;
pub(crate) mod load;
pub(crate) mod settings;

/// Flags that every subcommand takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Log more: once for what happens, twice for each request, three times for everything.
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Output")]
    verbose: u8,
    /// Log errors only, and leave out hints.
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Output")]
    quiet: bool,
    /// The form of the log, which goes to stderr.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT", help_heading = "Output")]
    log_format: LogFormat,
    /// When to colour. `auto`: on a terminal, unless `NO_COLOR` is set.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN", help_heading = "Output")]
    color: Color,
    /// A file of settings, over `PORTOLAN_CONFIG`. `portolan config --help` tells of it.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Output")]
    config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// Where the command runs: what it may colour, and whether hints are welcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shell {
    /// Colour stdout.
    pub(crate) color: bool,
    /// Colour stderr.
    color_log: bool,
    /// Stdout is a terminal.
    pub(crate) terminal: bool,
    /// No hints on stderr.
    pub(crate) quiet: bool,
}

impl Shell {
    pub(crate) fn new(global: &Global) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let terminal = std::io::stdout().is_terminal();
        Self {
            color: colored(global.color, terminal, plain),
            color_log: colored(global.color, std::io::stderr().is_terminal(), plain),
            terminal,
            quiet: global.quiet,
        }
    }

    /// A hint on stderr, unless they are unwanted.
    pub(crate) fn hint(&self, line: &str) {
        if !self.quiet {
            crate::exit::say(line);
        }
    }
}

fn colored(wanted: Color, terminal: bool, no_color: bool) -> bool {
    match wanted {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal && !no_color,
    }
}

/// Sends the log to stderr, at the level that `-v`, `-q` or `RUST_LOG` asks for; and traces where the environment says.
///
/// # Errors
/// As [`log::start`].
pub(crate) fn start_log(global: &Global, shell: &Shell, runtime: &Handle) -> anyhow::Result<Log> {
    let asked = global.quiet || global.verbose > 0;
    let environment = std::env::var_os("RUST_LOG").filter(|text| !asked && !text.is_empty());
    let environment = environment.map(|text| text.to_string_lossy().into_owned());
    let (wanted, wrong) = match environment.as_deref().map(wanted_log).transpose() {
        Ok(wanted) => (wanted, None),
        Err(wrong) => (None, Some(wrong)),
    };
    let filter = wanted.unwrap_or_else(|| usual_log(global));
    let form = match global.log_format {
        LogFormat::Text => Form::Text { color: shell.color_log },
        LogFormat::Json => Form::Json,
    };
    let log = log::start(filter, form, runtime)?;
    if let Some(wrong) = wrong {
        tracing::warn!("{wrong}");
    }
    Ok(log)
}

/// What `RUST_LOG` asks for. Levels by target are taken; spans and their fields, as some programs know them, are not.
fn wanted_log(text: &str) -> Result<Targets, String> {
    let wrong = match text.parse() {
        // The parser takes these for a part of a target's name.
        _ if text.contains(['[', '{']) => "it names a span".to_owned(),
        Ok(filter) => return Ok(filter),
        Err::<_, ParseError>(wrong) => wrong.to_string(),
    };
    Err(format!(
        "RUST_LOG: {text:?} is not taken: {wrong}; write LEVEL or TARGET=LEVEL, several with commas between"
    ))
}

/// What is logged where the environment does not say.
fn usual_log(global: &Global) -> Targets {
    use tracing_subscriber::filter::LevelFilter as Level;

    let all = |level| Targets::new().with_default(level);
    let ours = |level, others| all(others).with_targets([("portolan", level), ("portolan_server", level)]);
    match (global.quiet, global.verbose) {
        (true, _) => all(Level::ERROR),
        // The command itself says when reads fail; the log would say it twice.
        (_, 0) => all(Level::WARN).with_target("portolan::sync", Level::ERROR),
        (_, 1) => ours(Level::INFO, Level::WARN),
        (_, 2) => ours(Level::DEBUG, Level::INFO),
        _ => all(Level::TRACE),
    }
}

/// Which registry, and by which token.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RegistryArgs {
    /// The registry's address, over `CONSUL_HTTP_ADDR`, over <http://127.0.0.1:8500>.
    #[arg(long, value_name = "URL", help_heading = "Registry")]
    pub(crate) registry: Option<String>,
    /// The ACL token, over `CONSUL_HTTP_TOKEN`. Other users of this machine can see it; a file is safer.
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file", help_heading = "Registry")]
    token: Option<String>,
    /// A file with the ACL token, over `CONSUL_HTTP_TOKEN_FILE`.
    #[arg(long, value_name = "FILE", help_heading = "Registry")]
    token_file: Option<PathBuf>,
    /// Whether the environment speaks of this registry.
    #[arg(skip)]
    environment: Environment,
}

/// Whether Consul's variables are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Environment {
    #[default]
    Read,
    /// They speak of another registry than the one meant.
    Ignored,
}

impl RegistryArgs {
    /// A registry of ours at `url`: no token, and nothing of what the environment says of another one.
    pub(crate) fn ours(url: &str) -> Self {
        Self { registry: Some(url.to_owned()), environment: Environment::Ignored, ..Self::default() }
    }

    /// Another registry than the one that the environment speaks of.
    pub(crate) fn other(url: &str, token_file: Option<&Path>) -> Self {
        Self { token_file: token_file.map(Path::to_owned), ..Self::ours(url) }
    }

    /// Where the registry is, and how to talk to it. What a flag says, the environment is not asked for: a wrong
    /// variable does no harm then.
    ///
    /// # Errors
    /// Of the configuration, naming the flag or the variable.
    pub(crate) fn consul(&self) -> anyhow::Result<ConsulConfig> {
        let mut config = ConsulConfig::from_vars(|name| self.variable(name))?;
        if let Some(url) = &self.registry {
            config = config.address(url).context("--registry")?;
        }
        if let Some(token) = &self.token {
            config = config.token(token).context("--token")?;
        }
        if let Some(path) = &self.token_file {
            config = config.token_file(path).context("--token-file")?;
        }
        Ok(config)
    }

    fn variable(&self, name: &str) -> Option<String> {
        let by_flag = match name {
            "CONSUL_HTTP_ADDR" => self.registry.is_some(),
            "CONSUL_HTTP_TOKEN" | "CONSUL_HTTP_TOKEN_FILE" => {
                self.token.is_some() || self.token_file.is_some()
            }
            _ => false,
        };
        if by_flag || self.environment == Environment::Ignored {
            None
        } else {
            std::env::var_os(name)?.into_string().ok()
        }
    }

    /// The registry, for questions that are asked once.
    ///
    /// # Errors
    /// Of the configuration.
    pub(crate) fn open(&self) -> anyhow::Result<Arc<dyn Registry>> {
        Ok(Arc::new(self.client()?))
    }

    /// The same, with what only an operator asks.
    ///
    /// # Errors
    /// Of the configuration.
    pub(crate) fn client(&self) -> anyhow::Result<Consul> {
        Ok(Consul::new(self.consul()?))
    }

    /// A discovery on the registry.
    ///
    /// # Errors
    /// Of the configuration.
    pub(crate) fn discovery(&self, config: Config) -> anyhow::Result<Discovery> {
        Ok(Discovery::with_registry(self.open()?, config))
    }

    /// Hands the token to a process of ours, by its environment: a command line can be seen by all.
    pub(crate) fn pass_on(&self, command: &mut tokio::process::Command) {
        if self.environment == Environment::Ignored {
            let names = std::env::vars_os().map(|(name, _)| name);
            for name in names.filter(|name| name.to_string_lossy().starts_with("CONSUL_")) {
                command.env_remove(name);
            }
        }
        if let Some(token) = &self.token {
            command.env("CONSUL_HTTP_TOKEN", token).env_remove("CONSUL_HTTP_TOKEN_FILE");
        }
        if let Some(path) = &self.token_file {
            command.env("CONSUL_HTTP_TOKEN_FILE", path);
        }
    }
}

/// A `KEY=VALUE` of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl std::str::FromStr for Pair {
    type Err = Usage;

    fn from_str(text: &str) -> Result<Self, Usage> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err(Usage("write KEY=VALUE, as in --meta team=web".to_owned())),
        }
    }
}

/// A duration as Go writes it, of the command line.
///
/// # Errors
/// It is not one.
pub(crate) fn duration(text: &str) -> Result<std::time::Duration, portolan::Error> {
    portolan::parse_duration("duration", text)
}

/// A version of the command line.
///
/// # Errors
/// It is not a semantic version.
pub(crate) fn version(text: &str) -> Result<semver::Version, Usage> {
    semver::Version::parse(text)
        .map_err(|cause| Usage(format!("{cause}; write a whole semantic version, as in 1.2.3")))
}

/// Turns `serve -dev`, as Consul's own command writes it, into `serve --dev`.
pub(crate) fn forgive_single_dash(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let mut serves = false;
    for argument in arguments.iter_mut().skip(1) {
        if argument == OsStr::new("--") {
            break;
        }
        if argument == OsStr::new("serve") {
            serves = true;
        } else if serves && argument == OsStr::new("-dev") {
            *argument = OsString::from("--dev");
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_without_no_color() {
        for (wanted, terminal, no_color, expected) in [
            (Color::Auto, true, false, true),
            (Color::Auto, true, true, false),
            (Color::Auto, false, false, false),
            (Color::Always, false, true, true),
            (Color::Never, true, false, false),
        ] {
            assert_eq!(colored(wanted, terminal, no_color), expected, "{wanted:?} {terminal} {no_color}");
        }
    }

    #[test]
    fn the_log_is_what_flags_or_the_environment_ask_for() {
        use tracing::Level;

        let says = |filter: &Targets| {
            [("portolan::a", Level::DEBUG), ("portolan_server", Level::INFO), ("hyper", Level::WARN)]
                .map(|(target, level)| filter.would_enable(target, &level))
        };
        let global = |quiet, verbose| Global {
            quiet,
            verbose,
            log_format: LogFormat::Text,
            color: Color::Auto,
            config: None,
        };
        for (quiet, verbose, expected) in [
            (true, 0, [false, false, false]),
            (false, 0, [false, false, true]),
            (false, 1, [false, true, true]),
            (false, 2, [true, true, true]),
        ] {
            assert_eq!(says(&usual_log(&global(quiet, verbose))), expected, "{quiet} {verbose}");
        }
        for (text, expected) in [
            ("info", [false, true, true]),
            ("portolan=debug", [true, true, false]),
            ("off,portolan_server=INFO", [false, true, false]),
        ] {
            assert_eq!(wanted_log(text).map(|filter| says(&filter)), Ok(expected), "{text}");
        }
        for text in ["[request]=info", "portolan=loud", "a=b=c"] {
            let wrong = wanted_log(text).unwrap_err();
            assert!(wrong.starts_with(&format!("RUST_LOG: {text:?} is not taken: ")), "{wrong}");
        }
    }

    #[test]
    fn a_single_dash_is_forgiven_to_serve_only() {
        let after = |line: &str| {
            let words = line.split(' ').map(OsString::from).collect();
            let words: Vec<String> =
                forgive_single_dash(words).into_iter().map(|word| word.into_string().unwrap()).collect();
            words.join(" ")
        };
        assert_eq!(after("portolan serve -dev"), "portolan serve --dev");
        assert_eq!(after("portolan -v serve --node a -dev"), "portolan -v serve --node a --dev");
        assert_eq!(after("portolan discover -dev"), "portolan discover -dev");
        assert_eq!(after("portolan serve -- -dev"), "portolan serve -- -dev");
    }

    #[test]
    fn a_pair_needs_a_key_and_an_equals_sign() {
        let pair: Pair = "a=b=c".parse().unwrap();
        assert_eq!((pair.key.as_str(), pair.value.as_str()), ("a", "b=c"));
        for text in ["", "a", "=b"] {
            assert!(text.parse::<Pair>().is_err(), "{text:?}");
        }
    }
}
