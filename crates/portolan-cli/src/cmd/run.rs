//! `portolan run`: a command as an instance of a service, from its start to its end.
//!
//! In:  what `register` takes, and a command. Out: the command's exit code; the registry knows it while it lives.
//!
//! ```text
//! wait for what it needs, registered in maintenance (with --needs)
//! start the child -> register, and keep registered ---- the child ends -----------------> critical, deregistered
//!                       \- SIGTERM, SIGINT -> drain: maintenance, gone from the list, settle
//!                                               -> SIGTERM to the child, up to --drain -> SIGKILL -> deregistered
//! ```
//!
//! Never: keeps the child from starting because the registry is down, unless there is something that it needs; puts a
//! child into service that cannot be started; leaves the child running when it ends, unless it is killed itself; leaves
//! the id behind, unless the registry is down: then deregister-after removes it.

use std::{net::SocketAddr, pin::pin, time::Duration};

use clap::Args as ClapArgs;
use portolan::{
    Check, Config, Discovery, Error, Kind, Registration, RegistrationHandle, ServiceName, Status,
    depend::{Readiness, ReadyConfig},
    registry::Report,
    systemd::Systemd,
};
use tokio::{
    sync::{OnceCell, watch},
    time::{sleep, timeout},
};

use super::{
    dependants,
    instance::{CHECKS, InstanceArgs},
    scrape::Scrape,
};
use crate::{
    config::{RegistryArgs, Shell, duration},
    exit::{self, Exit},
};

mod child;
mod drain;
mod needs;
mod signals;

use child::Child;
use needs::Waited;
use signals::{Signals, Told};

/// How long the removal may take once the child has ended. The keeper has tried it several times by then.
const REMOVAL: Duration = Duration::from_secs(5);
/// How long the word about the child's death may take before the removal begins.
const LAST_WORD: Duration = Duration::from_secs(1);
/// The first and the longest rest between attempts to register where the library does not try by itself.
const RESTS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(15)];
/// As good as without end: the child's end ends it.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

const EXAMPLES: &str = "\
Examples:
  portolan run --name web --port 8080 --check http:/health -- ./web --listen 8080
  portolan run --name worker --port 9000 --ttl 15s --drain 30s -- ./worker
  portolan run --name web --port 8080 --needs 'db@^14,cache?' --needs-timeout 2m -- ./web
  portolan run --name web --port 8080 --wait-healthy --tag blue -- python3 -m http.server 8080

Signals: SIGTERM and SIGINT drain and end: it goes into maintenance until it is gone from the list of the healthy,
then --settle passes for those who still hold the old list, then the command gets SIGTERM, and after --drain SIGKILL.
One more ends it at once. SIGHUP, SIGUSR1 and SIGUSR2 are passed on. The command runs in a process group of its own,
which SIGKILL is for; it gets no terminal to read from, and no NOTIFY_SOCKET: systemd (Type=notify) hears from us.

With --needs the command is started when all is there that it requires: see `portolan deps --help`. Until then the
instance is registered in maintenance, so that everybody sees that it comes; those that need each other in a circle
need not be healthy for each other. What is missing and why is said on stderr; what is lost later too, and that ends
nothing.

Without --check the registry hears from us that the command lives (--ttl), and its death is known at once.

";

fn after_help() -> String {
    format!("{EXAMPLES}{CHECKS}")
}

#[derive(Debug, ClapArgs)]
#[command(after_help = after_help())]
pub(crate) struct Args {
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<std::ffi::OsString>,
    /// The service's name.
    #[arg(long)]
    name: ServiceName,
    /// The port that the command listens on.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// How long the command may take to end after SIGTERM, before SIGKILL.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    drain: Duration,
    /// The pause between the moment it is gone from the list of the healthy and SIGTERM.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1s")]
    settle: Duration,
    /// How long to wait for what --needs names; then it ends with 1, and the command is not started.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5m")]
    needs_timeout: Duration,
    /// Say that it is ready, on stderr and to systemd, once the catalogue shows it as passing. Without it systemd hears so
    /// as soon as the command runs.
    #[arg(long)]
    wait_healthy: bool,
    /// Report that the command lives, by a TTL check. Default 15s, unless there is a --check.
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Checks")]
    ttl: Option<Duration>,
    /// Where to tell what is measured, for Prometheus: `/metrics` at that address. Default: nowhere.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = super::serve::address)]
    metrics_addr: Option<SocketAddr>,
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    fn registration(&mut self) -> anyhow::Result<Registration> {
        let checks = &mut self.instance.checks;
        match self.ttl {
            Some(ttl) => checks.push(Check::ttl(ttl)),
            None if checks.is_empty() => checks.push(Check::ttl(DEFAULT_TTL)),
            None => {}
        }
        let registration = self.instance.registration(self.name.as_str(), self.port)?;
        let waits = !self.instance.needs().is_empty();
        Ok(if waits { registration.in_maintenance(WAITING) } else { registration })
    }
}

/// The note of the maintenance in which it waits.
const WAITING: &str = "waits for what it needs";
/// The code of what a signal ended before there was a command: that of SIGTERM.
const ENDED: u8 = 143;

/// How often, at least, the registry hears that the command lives, unless it is said.
const DEFAULT_TTL: Duration = Duration::from_secs(15);

pub(crate) async fn run(mut args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    // All that can be wrong with the flags is wrong before the child exists.
    let registration = args.registration()?;
    let _until_the_end = match args.metrics_addr {
        Some(addr) => Some(Scrape::open(addr, shell).await?),
        None => None,
    };
    let discovery = args.registry.discovery(Config::default())?;
    let readiness = match args.instance.needs().is_empty() {
        true => None,
        false => Some(discovery.readiness(&registration, ReadyConfig::default())?),
    };
    let mut signals = Signals::listen()?;
    let systemd = Systemd::from_env().unwrap_or_else(|wrong| {
        exit::say(&format!("systemd is told nothing: {}", wrong.chain()));
        Systemd::default()
    });
    let (slot, go) = (OnceCell::new(), watch::Sender::new(readiness.is_none()));
    let healthy = args.wait_healthy.then_some(&systemd);
    let lived = {
        let mut kept = pin!(keep(&discovery, &registration, &slot, go.subscribe(), healthy, shell));
        match begin(&args, readiness.clone(), &mut signals, &mut kept, shell).await {
            Err(exit) => Err(exit),
            Ok(mut child) => {
                let _former = go.send_replace(true);
                discovery.feed_watchdog(&systemd);
                if !args.wait_healthy {
                    told(systemd.ready());
                }
                let ended = live(&mut child, readiness, &mut signals, &mut kept, shell).await;
                Ok((child, ended))
            }
        }
    };
    let (mut child, ended) = match lived {
        Ok(lived) => lived,
        Err(exit) => {
            close(&discovery, &args, shell).await;
            return Ok(exit);
        }
    };
    told(systemd.stopping());
    let handle = slot.into_inner();
    match ended {
        Some(ended) => {
            shell.hint(&format!("{}: the command {ended}", args.name));
            if let Some(handle) = handle {
                died(&discovery, handle, &ended.to_string()).await;
            }
        }
        None => stop(&discovery, handle, &mut child, &mut signals, &args, shell).await,
    }
    close(&discovery, &args, shell).await;
    Ok(Exit::Code(child.ended().await.code()))
}

/// Starts the command, once all is there that it needs.
async fn begin(
    args: &Args,
    readiness: Option<Readiness>,
    signals: &mut Signals,
    kept: &mut (impl Future<Output = ()> + Unpin),
    shell: &Shell,
) -> Result<Child, Exit> {
    if let Some(readiness) = readiness {
        match needs::wait(readiness, args.needs_timeout, signals, kept, shell).await {
            Waited::Ready => {}
            Waited::Late => return Err(Exit::No),
            Waited::Ended => return Err(Exit::Code(ENDED)),
        }
    }
    Child::start(&args.command).map_err(|failed| {
        exit::say(&format!("error: {failed}"));
        Exit::Code(failed.code)
    })
}

/// How the command ended by itself; `None`: it is to be ended.
async fn live(
    child: &mut Child,
    readiness: Option<Readiness>,
    signals: &mut Signals,
    kept: &mut (impl Future<Output = ()> + Unpin),
    shell: &Shell,
) -> Option<child::Ended> {
    let mut follow = pin!(async {
        match readiness {
            Some(readiness) => needs::follow(readiness, shell).await,
            None => std::future::pending().await,
        }
    });
    loop {
        tokio::select! {
            biased;
            ended = child.ended() => return Some(ended),
            told = signals.next() => match told {
                Told::End => return None,
                Told::PassOn(signal) => child.signal(signal),
            },
            () = &mut follow => {}
            // It goes on for as long as the child does.
            () = &mut *kept => {}
        }
    }
}

/// What was not removed yet, or is about to be registered, is removed now.
async fn close(discovery: &Discovery, args: &Args, shell: &Shell) {
    if let Err(late) = discovery.close(REMOVAL).await {
        shell.hint(&format!(
            "{}: {}; what is left of it is removed after --deregister-after",
            args.name,
            late.chain()
        ));
    }
}

/// A word to systemd that did not arrive is no reason to end.
fn told(outcome: Result<(), Error>) {
    if let Err(error) = outcome {
        tracing::warn!(error = error.chain(), "systemd was not told");
    }
}

/// Registers, and says so; puts it into service once `go` says so, where it waits for that; with `healthy`, tells that it
/// is ready once the catalogue shows it as passing. Returns never, for the library keeps the registration from then on.
async fn keep(
    discovery: &Discovery,
    registration: &Registration,
    slot: &OnceCell<RegistrationHandle>,
    mut go: watch::Receiver<bool>,
    healthy: Option<&Systemd>,
    shell: &Shell,
) {
    let handle = register(discovery, registration).await;
    if let Some(handle) = handle {
        let handle = slot.get_or_init(|| async { handle }).await;
        let id = handle.id();
        while let Err(error) = handle.wait_registered(FOREVER).await {
            exit::say(&format!("{id}: not registered yet: {}", error.chain()));
            sleep(RESTS[1]).await;
        }
        shell.hint(&format!("{id}: registered"));
        let started = go.wait_for(|go| *go).await.is_ok();
        if started {
            handle.announce();
        }
        if let Some(systemd) = healthy {
            while let Err(error) = handle.wait_healthy(FOREVER).await {
                exit::say(&format!("{id}: not passing yet: {}", error.chain()));
                sleep(RESTS[1]).await;
            }
            shell.hint(&format!("{id}: ready"));
            told(systemd.ready());
        }
    }
    std::future::pending().await
}

/// The handle, however long that takes; `None` when the registry will never take it.
async fn register(discovery: &Discovery, registration: &Registration) -> Option<RegistrationHandle> {
    let [mut rest, longest] = RESTS;
    loop {
        match discovery.register(registration.clone()).await {
            Ok(handle) => return Some(handle),
            Err(error) if matches!(error.kind(), Kind::Config | Kind::Rejected | Kind::Closed) => {
                exit::say(&format!("not registered, and not tried again: {}", error.chain()));
                return None;
            }
            Err(error) => exit::say(&format!("not registered yet: {}", error.chain())),
        }
        sleep(rest).await;
        rest = (rest * 2).min(longest);
    }
}

/// Tells the registry that the child is dead, so that it is known even where the removal fails.
async fn died(discovery: &Discovery, handle: RegistrationHandle, how: &str) {
    let output = format!("the process {how}");
    if handle.report(Status::Critical, &output).is_ok() {
        let registry = discovery.registry();
        for check in handle.definition().checks.iter().filter(|check| check.check.is_ttl()) {
            let report = Report::new(check.id.clone(), Status::Critical, output.clone());
            match timeout(LAST_WORD, registry.report(&report)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(error = error.chain(), "the last report failed"),
                Err(_late) => tracing::debug!("the last report had no answer in time"),
            }
        }
    }
    // Dropped, it is removed; closing the discovery waits for that.
    drop(handle);
}

/// Drains, and ends the child.
async fn stop(
    discovery: &Discovery,
    handle: Option<RegistrationHandle>,
    child: &mut Child,
    signals: &mut Signals,
    args: &Args,
    shell: &Shell,
) {
    shell.hint(&format!("{}: draining; a second signal ends it at once", args.name));
    let (end, drain) = (child.ending(), args.drain);
    let mut drained = pin!(async move {
        let in_flight = end.asked_to(drain);
        match handle {
            Some(handle) => {
                dependants::warn(discovery, &args.name, handle.id(), shell).await;
                drain::drain(handle, args.settle, drain, in_flight, shell).await;
            }
            None => in_flight.await,
        }
    });
    loop {
        tokio::select! {
            biased;
            told = signals.next() => match told {
                Told::End => break child.kill(),
                Told::PassOn(signal) => child.signal(signal),
            },
            () = &mut drained => break child.kill(),
            // Whether it was asked to or not: there is nothing left to wait for.
            _ended = child.ended() => break,
        }
    }
}
