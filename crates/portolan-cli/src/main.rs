//! The command `portolan`: reads the command line, sets up the log, runs one subcommand, turns its end into an exit code.
//!
//! In:  arguments, environment. Out: answers on stdout, everything else on stderr, and a documented exit code.
//!
//! Never: prints a log line on stdout; panics on bad input or a broken pipe. What a subcommand does is in `cmd/`.

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

mod cmd;
mod config;
mod definition;
mod exit;
mod log;
mod output;

use config::{Global, Shell};
use exit::Exit;

/// Service discovery on HashiCorp Consul that keeps working when Consul does not.
#[derive(Debug, Parser)]
#[command(name = "portolan", version, after_help = exit::HELP, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a registry that speaks Consul's HTTP interface, in this process.
    Serve(Box<cmd::serve::Args>),
    /// Show the web page of any registry, on this machine.
    Ui(cmd::ui::Args),
    /// Stand before a real registry and make it misbehave on purpose, to test its clients.
    Faults(cmd::faults::Args),
    /// Write all that a registry of portolan's keeps to a file, while it runs.
    Backup(cmd::backup::BackupArgs),
    /// Put what a backup holds in the place of all that a registry has.
    Restore(cmd::backup::RestoreArgs),
    /// Copy services, checks and keys from a Consul, or from a file.
    Import(cmd::import::Args),
    /// Write services, checks and keys as JSON.
    Export(cmd::export::Args),
    /// Watch services come, die and move while a caller loses no request.
    Demo(cmd::demo::Args),
    /// Run a command as an instance: registered while it lives, drained before it ends.
    #[cfg(unix)]
    Run(Box<cmd::run::Args>),
    /// Register an instance with the agent, once, and print its id.
    Register(Box<cmd::register::Args>),
    /// Remove an instance from the agent.
    Deregister(cmd::register::DeregisterArgs),
    /// Take an instance, or the agent's whole node, out of service for a while, and back.
    Maint(cmd::maint::Args),
    /// Find instances that are dead, and with --yes remove them.
    Gc(cmd::gc::Args),
    /// List the names of all services, with their tags.
    Services(cmd::services::Args),
    /// List the healthy instances of a service.
    Discover(cmd::discover::Args),
    /// List the versions of a service, or of all: instances, health, share of the traffic.
    Versions(cmd::versions::Args),
    /// List the checks of each instance of a service: status, kind, output.
    Checks(cmd::checks::Args),
    /// Print a line for each change of a service, as it happens.
    Watch(cmd::watch::Args),
    /// Examine a registry, and tell what is wrong with it or soon will be.
    Doctor(cmd::doctor::Args),
    /// Show who needs whom, what is missing, and in which order to start.
    Deps(cmd::deps::Args),
    /// Tell what is known of a service, how fresh it is, and why an instance is left out.
    Why(cmd::why::Args),
    /// Tell what is wrong with the file of settings, and which settings hold.
    Config(cmd::config::Args),
    /// Print what makes a shell complete this command's words.
    Completions(cmd::completions::Args),
    /// Print the manual page of this command, or write those of all its commands.
    Man(cmd::man::Args),
    /// One instance of the demo's service.
    #[command(hide = true)]
    DemoInstance(cmd::demo::instance::Args),
}

fn main() -> ExitCode {
    let arguments = config::forgive_single_dash(std::env::args_os().collect::<Vec<OsString>>());
    let arguments = match config::load::apply(arguments) {
        Ok(arguments) => arguments,
        Err(wrong) => return exit::report(&wrong).into(),
    };
    let parsed = Cli::command().try_get_matches_from(arguments).and_then(|m| Cli::from_arg_matches(&m));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(wrong) => return exit::usage(&wrong).into(),
    };
    let shell = Shell::new(&cli.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => {
            return exit::report(&anyhow::Error::new(cause).context("cannot start the runtime")).into();
        }
    };
    let log = match config::start_log(&cli.global, &shell, runtime.handle()) {
        Ok(log) => log,
        Err(error) => return exit::report(&error).into(),
    };
    let ended = runtime.block_on(run(cli.command, &shell));
    log.end();
    // Blocking reads (stdin of a demo instance) must not hold up the end.
    runtime.shutdown_background();
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => exit::report(&error).into(),
    }
}

async fn run(command: Command, shell: &Shell) -> anyhow::Result<Exit> {
    match command {
        Command::Serve(args) => cmd::serve::run(*args, shell).await,
        Command::Ui(args) => cmd::ui::run(args, shell).await,
        Command::Faults(args) => cmd::faults::run(args, shell).await,
        Command::Backup(args) => cmd::backup::backup(args, shell).await,
        Command::Restore(args) => cmd::backup::restore(args, shell).await,
        Command::Import(args) => cmd::import::run(args, shell).await,
        Command::Export(args) => cmd::export::run(args, shell).await,
        Command::Demo(args) => cmd::demo::run(args, shell).await,
        #[cfg(unix)]
        Command::Run(args) => cmd::run::run(*args, shell).await,
        Command::Register(args) => cmd::register::run(*args, shell).await,
        Command::Deregister(args) => cmd::register::deregister(args, shell).await,
        Command::Maint(args) => cmd::maint::run(args, shell).await,
        Command::Gc(args) => cmd::gc::run(args, shell).await,
        Command::Checks(args) => cmd::checks::run(args, shell).await,
        Command::Services(args) => cmd::services::run(args, shell).await,
        Command::Discover(args) => cmd::discover::run(args, shell).await,
        Command::Versions(args) => cmd::versions::run(args, shell).await,
        Command::Watch(args) => cmd::watch::run(args, shell).await,
        Command::Doctor(args) => cmd::doctor::run(args, shell).await,
        Command::Deps(args) => cmd::deps::run(args, shell).await,
        Command::Why(args) => cmd::why::run(args, shell).await,
        Command::Config(args) => cmd::config::run(&args, shell),
        Command::Completions(args) => cmd::completions::run(&args),
        Command::Man(args) => cmd::man::run(&args, shell),
        Command::DemoInstance(args) => cmd::demo::instance::run(args).await,
    }
}
