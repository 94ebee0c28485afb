//! `portolan demo`: services come, die, leave and are deployed, the registry goes and returns, and no request fails.
//!
//! In:  how long, which registry. Out: a live picture or plain lines, and a summary of what was measured.
//!
//! ```text
//! script ── acts ──▶ stage ── orders ──▶ fleet (processes), host (registry)
//! caller ── requests ──▶ tally ──▶ screen ──▶ display
//! ```
//!
//! Never: shows a figure that was not measured; leaves a process, or an instance in somebody's registry, behind.

use std::time::Duration;

use clap::Args as ClapArgs;
use portolan::ServiceName;

use super::signal::Ending;
use crate::{
    config::{RegistryArgs, Shell},
    exit::{self, Exit},
    output,
};

mod caller;
mod display;
mod fleet;
mod host;
pub(crate) mod instance;
mod look;
mod screen;
mod script;
mod setting;
mod stage;
mod tally;

use host::Host;
use script::Owner;
use setting::Setting;
use stage::Stage;

const HELP: &str = "\
Examples:
  portolan demo
  portolan demo --keep
  portolan demo --registry http://127.0.0.1:8500

Without --registry the demo starts a registry of its own, whatever CONSUL_HTTP_ADDR says, and stops it for some seconds
in the middle. With it, that
act is left out, the service is called portolan-demo-web-NUMBER, and nothing of it is left in the registry.

It ends with 0 only if no request failed that a live instance could have served, and the caller came to know of
everything that happened; else, and when it is interrupted, with 1.";

#[derive(Debug, ClapArgs)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// Stay after the summary, with everything running, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// How long it takes.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(script::SHORTEST..=script::LONGEST))]
    seconds: u64,
    /// Which instances it happens to; the same number makes the same demo.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    let mut ending = Ending::listen()?;
    let (owner, host, registry, url) = match &args.registry.registry {
        Some(url) => (Owner::Theirs, Host::theirs(), args.registry.clone(), url.clone()),
        None => {
            let host = Host::ours().await?;
            let url = host.url();
            (Owner::Ours, host, RegistryArgs::ours(&url), url)
        }
    };
    // In somebody's registry nothing may meet what is there already.
    let number = std::process::id();
    let (service, ids) = match owner {
        Owner::Ours => ("web".to_owned(), "web".to_owned()),
        Owner::Theirs => (format!("portolan-demo-web-{number}"), format!("demo-{number}")),
    };
    let setting = Setting {
        service: ServiceName::new(service)?,
        ids,
        length: Duration::from_secs(args.seconds),
        seed: args.seed,
        owner,
        registry,
        url,
    };
    let mut stage = Stage::new(setting, host, shell)?;
    let played = tokio::select! {
        played = play(&mut stage, shell) => played,
        asked = ending.asked() => asked.map(|()| End::Interrupted),
    };
    let played = match played {
        Ok(end @ (End::Kept | End::Broken)) if args.keep => stay(&mut stage, &mut ending).await.map(|()| end),
        played => played,
    };
    // Whatever happened: nothing is left behind.
    let cleared = stage.clear().await;
    let end = played?;
    cleared?;
    match end {
        End::Kept => Ok(Exit::Fine),
        End::Broken => Ok(Exit::No),
        End::Interrupted => {
            exit::say("the demo was interrupted; its instances have ended");
            Ok(Exit::No)
        }
    }
}

/// How a demo ends.
#[derive(Debug)]
enum End {
    /// No request was lost.
    Kept,
    Broken,
    Interrupted,
}

async fn play(stage: &mut Stage, shell: &Shell) -> anyhow::Result<End> {
    stage.rise().await?;
    let kept_its_word = stage.play().await?;
    output::print(&stage.summary(shell.color))?;
    Ok(if kept_its_word { End::Kept } else { End::Broken })
}

/// Leaves everything running until the person has seen enough.
async fn stay(stage: &mut Stage, ending: &mut Ending) -> anyhow::Result<()> {
    output::print(&stage.addresses())?;
    tokio::select! {
        gone = stage.linger() => gone,
        asked = ending.asked() => asked,
    }
}
