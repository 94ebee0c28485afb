//! `portolan watch NAME`: a line a change, until Ctrl-C.
//!
//! In:  the changes of one view. Out: lines, and with `--exec` a command for the newest state.
//!
//! Never: loses a change because the reader of its output is slow: changes are computed from two snapshots.

use std::{sync::Arc, time::Duration};

use clap::Args as ClapArgs;
use portolan::{Config, Instance, Resolver, Select, ServiceName, Snapshot, Status};
use serde_json::Value;

use super::{
    explain,
    filter::{self, Filter},
    outage::{LOOK, Outage},
    signal::Ending,
};
use crate::{
    config::{RegistryArgs, Shell},
    exit::{self, Exit},
    output::{self, clock, instance},
};

mod exec;
mod line;

use exec::{Exec, State};

const EXAMPLES: &str = "\
Examples:
  portolan watch web
  portolan watch web --json | jq -r '.change + \" \" + .instance.id'
  portolan watch web --exec 'jq -r \".[]|.address\" >/etc/web.hosts && systemctl reload proxy'

Lines:  TIME + id address:port status   a new instance
        TIME ~ id address:port status   it changed
        TIME - id address:port status   it is gone

--exec runs `sh -c CMD` after each change, and once at the start: the healthy instances are on its stdin as a JSON
array; PORTOLAN_SERVICE, PORTOLAN_REGISTRY, PORTOLAN_INDEX and PORTOLAN_HEALTHY (their number) in its environment.
Never two at once: changes that come while it runs lead to one more run with the latest state.";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The service's name.
    name: ServiceName,
    #[command(flatten)]
    filter: Filter,
    /// A JSON object a line.
    #[arg(long)]
    json: bool,
    /// A command to run for each change.
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    let mut ending = Ending::listen()?;
    let discovery = args.registry.discovery(Config::default())?;
    let begun = tokio::time::Instant::now();
    let name = args.name.as_str();
    let web = tokio::select! {
        web = discovery.service_with(name, args.filter.select()) => web,
        asked = ending.asked() => return asked.map(|()| Exit::Fine),
    };
    let tried = discovery.registry().describe();
    let web = web.map_err(|error| explain(error, &tried, begun.elapsed()))?;
    let mut watch = Watch { args, shell: *shell, web, tried, outage: Outage::default() };
    let ended = watch.follow(&mut ending).await;
    // What is left is a watch and its connection; they end with the discovery.
    if let Err(late) = discovery.close(Duration::from_secs(1)).await {
        tracing::debug!(error = late.chain(), "the watch did not end in time");
    }
    ended.map(|()| Exit::Fine)
}

struct Watch {
    args: Args,
    shell: Shell,
    web: Resolver,
    tried: String,
    outage: Outage,
}

impl Watch {
    async fn follow(&mut self, ending: &mut Ending) -> anyhow::Result<()> {
        let mut reader = self.web.watch();
        let mut exec = self.args.exec.clone().map(Exec::new);
        let mut look = tokio::time::interval(LOOK);
        if self.web.snapshot().instances().is_empty() {
            self.shell.hint(&format!("{}: no instance is known yet; waiting for one", self.args.name));
            self.run_exec(exec.as_mut())?;
        }
        loop {
            tokio::select! {
                changes = reader.changed() => {
                    let mut text = String::new();
                    let select = self.select();
                    for entry in line::entries(&changes?, |one| filter::fits(&select, one)) {
                        let time = clock::now();
                        text.push_str(&if self.args.json { entry.json(&time) } else { entry.line(&time, self.shell.color) });
                    }
                    if !text.is_empty() {
                        output::print(&text)?;
                        self.run_exec(exec.as_mut())?;
                    }
                }
                (again, ended) = ended(exec.as_mut()) => {
                    if let Err(error) = ended {
                        exit::say(&format!("{error:#}"));
                    }
                    if again {
                        self.run_exec(exec.as_mut())?;
                    }
                }
                _ = look.tick() => self.outage.look(self.web.snapshot().failure(), &self.shell),
                asked = ending.asked() => {
                    asked?;
                    break;
                }
            }
        }
        if let Some(exec) = exec {
            exec.finish().await;
        }
        Ok(())
    }

    /// What was asked for, among those that are known now.
    fn select(&self) -> Select {
        self.args.filter.select().resolved(self.web.snapshot().instances())
    }

    fn run_exec(&self, exec: Option<&mut Exec>) -> anyhow::Result<()> {
        let Some(exec) = exec else { return Ok(()) };
        let snapshot = self.web.snapshot();
        let healthy: Vec<&Instance> = self.healthy(&snapshot).collect();
        let json = Value::Array(healthy.iter().map(|one| instance::json(one)).collect());
        exec.changed(&State {
            service: self.args.name.to_string(),
            registry: self.tried.clone(),
            index: snapshot.freshness().index,
            healthy: healthy.len(),
            json: format!("{json}\n"),
        })
    }

    fn healthy<'a>(&'a self, snapshot: &'a Arc<Snapshot>) -> impl Iterator<Item = &'a Instance> {
        let all = snapshot.instances().iter().chain(snapshot.held()).map(AsRef::as_ref);
        let select = self.select();
        all.filter(move |one| one.status == Status::Passing && filter::fits(&select, one))
    }
}

async fn ended(exec: Option<&mut Exec>) -> (bool, anyhow::Result<()>) {
    match exec {
        Some(exec) => exec.ended().await,
        None => std::future::pending().await,
    }
}
