//! `portolan doctor`: examines a registry, and tells what is wrong with it or soon will be.
//!
//! In:  a registry, read once, and with `--for` watched. Out: findings, the most harmful first, each with what, where,
//! why and how to mend it; what could not be examined on stderr; an exit code.
//!
//! Never: changes anything; passes over in silence what it could not examine.

use std::time::Duration;

use clap::Args as ClapArgs;

use super::signal::Ending;
use crate::{
    config::{RegistryArgs, Shell, duration},
    exit::Exit,
    output,
};

mod answers;
mod catalog;
mod finding;
mod health;
mod names;
mod needs;
mod object;
mod packet;
mod page;
mod read;
mod resolve;
mod seen;
mod sockets;
mod watch;

use finding::{Finding, Level};
use seen::Seen;

const EXAMPLES: &str = "\
Examples:
  portolan doctor
  portolan doctor --for 30s
  portolan doctor --level critical && deploy
  portolan doctor --json | jq -r '.findings[] | [.level, .name, .what] | @tsv'

Ends with 1 when something of the given level or worse was found. docs/doctor.md lists all that can be found.
Without --for nothing is watched: then nothing is known of checks that flap and of late heartbeats. Ctrl-C ends the
watching early, and what was seen until then is told.
An agent tells TTLs and times of removal of checks in its own configuration alone, and what it holds itself: run
doctor at each agent. It needs agent:read, node:read and service:read.";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Watch for so long besides: checks that flap, late heartbeats, indexes that go back.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    time: Option<Duration>,
    /// End with 1 when something of this level, or worse, was found.
    #[arg(long, value_enum, default_value_t = Level::Warning, value_name = "LEVEL")]
    level: Level,
    /// Where DNS is asked. Default: the registry's host, at the port that the agent tells.
    #[arg(long, value_name = "HOST:PORT")]
    dns: Option<String>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    let client = args.registry.client()?;
    let mut ending = Ending::listen()?;
    let reading = async {
        let mut seen = read::registry(&client).await?;
        resolve::compare(&client, &mut seen, args.dns.as_deref()).await;
        anyhow::Ok(seen)
    };
    let mut seen = tokio::select! {
        seen = reading => seen?,
        asked = ending.asked() => {
            asked?;
            shell.hint("interrupted before all was read: nothing is told");
            return Ok(Exit::No);
        }
    };
    if let Some(time) = args.time.filter(|time| !time.is_zero()) {
        let text = portolan::format_duration(time);
        shell.hint(&format!("watching for {text}; Ctrl-C tells what was seen until then"));
        watch::watch(&client, &mut seen, time, &mut ending).await?;
    }
    let findings = judge(&mut seen);
    let text = if args.json {
        format!("{}\n", object::object(&seen, &findings))
    } else {
        page::page(&seen, &findings, shell.color)
    };
    output::print(&text)?;
    if !args.json {
        for one in &seen.unread {
            shell.hint(&format!("not examined: {}: {}", one.what, one.why));
        }
    }
    let bad = findings.iter().any(|finding| finding.level() >= args.level);
    Ok(if bad { Exit::No } else { Exit::Fine })
}

/// All findings, the most harmful first; notes what could not be told.
fn judge(seen: &mut Seen) -> Vec<Finding> {
    let mut found = answers::findings(seen);
    found.extend(health::findings(seen));
    found.extend(catalog::findings(seen));
    found.extend(needs::findings(seen));
    found.extend(names::findings(&seen.disagreements));
    finding::sort(&mut found);
    let more = answers::unread(seen).into_iter().chain(health::unread(seen)).collect::<Vec<_>>();
    seen.unread.extend(more);
    found
}

#[cfg(test)]
mod tests;
