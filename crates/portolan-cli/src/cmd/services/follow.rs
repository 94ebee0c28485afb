//! `portolan services --watch`: a line for each service that comes, goes, or changes its tags, until Ctrl-C.
//!
//! In:  the changes of the list. Out: lines.
//!
//! Never: loses a change because the reader of its output is slow: changes are computed from two lists.

use std::time::Duration;

use portolan::{Config, Services};

use super::{Args, line};
use crate::{
    cmd::{
        explain,
        outage::{LOOK, Outage},
        signal::Ending,
    },
    config::Shell,
    exit::Exit,
    output::{self, clock},
};

pub(super) async fn run(args: &Args, shell: &Shell) -> anyhow::Result<Exit> {
    let mut ending = Ending::listen()?;
    let discovery = args.registry.discovery(Config::default())?;
    let begun = tokio::time::Instant::now();
    let services = tokio::select! {
        services = discovery.services() => services,
        asked = ending.asked() => return asked.map(|()| Exit::Fine),
    };
    let tried = discovery.registry().describe();
    let services = services.map_err(|error| explain(error, &tried, begun.elapsed()))?;
    let ended = follow(services, args.json, shell, &mut ending).await;
    // What is left is a watch and its connection; they end with the discovery.
    if let Err(late) = discovery.close(Duration::from_secs(1)).await {
        tracing::debug!(error = late.chain(), "the watch did not end in time");
    }
    ended.map(|()| Exit::Fine)
}

async fn follow(
    mut services: Services,
    json: bool,
    shell: &Shell,
    ending: &mut Ending,
) -> anyhow::Result<()> {
    let (mut outage, mut look) = (Outage::default(), tokio::time::interval(LOOK));
    if services.current().services().is_empty() {
        shell.hint("no service is registered yet; waiting for one");
    }
    loop {
        tokio::select! {
            changes = services.changed() => {
                let time = clock::now();
                let entries = line::entries(&changes?);
                let shown = |entry: &line::Entry| match json {
                    true => entry.json(&time),
                    false => entry.line(&time, shell.color),
                };
                output::print(&entries.iter().map(shown).collect::<String>())?;
            }
            _ = look.tick() => outage.look(services.current().failure(), shell),
            asked = ending.asked() => return asked,
        }
    }
}
