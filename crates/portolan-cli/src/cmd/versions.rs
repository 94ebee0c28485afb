//! `portolan versions [NAME]`: which versions there are, how many instances of each, how these are, and which share of the
//! traffic each gets.
//!
//! In:  one read of each service, and an operator's file of splits. Out: a table, or JSON; and every version that cannot be
//! read, with the place where it stands.
//!
//! Never: another rule for the shares than the library's, which is asked here over a list that holds what was read.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use clap::Args as ClapArgs;
use portolan::{
    Config, Discovery, Explanation, GuardConfig, Instance, Registry, Select, ServiceName, Status,
    registry::{CatalogQuery, ServiceQuery, static_list::StaticList},
};
use semver::Version;
use serde_json::{Value, json};

use super::ask;
use crate::{
    config::{RegistryArgs, Shell},
    exit::Exit,
    output::{
        self, plain, split,
        table::{Cell, Table},
    },
};

const EXAMPLES: &str = "\
Examples:
  portolan versions
  portolan versions web --splits /etc/portolan/splits
  portolan versions web --json | jq -r '.[].versions[].version'
  portolan versions --exit-code -q >/dev/null || echo \"a version cannot be read\"

A version stands in meta `version`, or in a tag `v1.2.3` or `version=1.2.3`. SHARE is what a caller that asks for nothing
sends to it, by the weights of its instances and by the split. A line of a file of splits: web = 95 ^1, 5 ^2";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The service's name; without it, all services.
    name: Option<ServiceName>,
    /// An operator's file of splits: a line `web = 95 ^1, 5 ^2` for each service.
    #[arg(long, value_name = "FILE")]
    splits: Option<PathBuf>,
    /// One JSON array, an object for each service.
    #[arg(long)]
    json: bool,
    /// End with 1 when there is no instance, or one with a version that cannot be read.
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    let registry = args.registry.open()?;
    let mut known = StaticList::new();
    let names = names(&args, &registry).await?;
    for name in &names {
        let query = ServiceQuery::new(name.clone());
        let instances = ask(&registry, registry.service(&query)).await?.value;
        known = known.with(name.clone(), instances.into_iter().map(Arc::unwrap_or_clone));
    }
    // Nobody is to be protected from this program here: what is read again is in it already.
    let guard = GuardConfig::default().requests_per_second(100_000).burst(100_000);
    let mut config = Config::default().guard(guard);
    config.splits = args.splits.clone();
    let discovery = Discovery::with_registry(Arc::new(known), config);
    let mut services = Vec::new();
    for name in &names {
        services.push(discovery.service_with(name.as_str(), Select::default()).await?.explain());
    }
    if let Err(late) = discovery.close(Duration::from_secs(1)).await {
        tracing::debug!(error = late.chain(), "the views did not end in time");
    }
    let instances: usize = services.iter().map(|known| known.snapshot.instances().len()).sum();
    if args.json {
        output::print(&format!("{}\n", Value::Array(services.iter().map(object).collect())))?;
    } else if instances > 0 {
        output::print(&page(&services, shell.color))?;
    }
    if instances == 0 {
        shell.hint(&match &args.name {
            Some(name) => {
                format!("{name}: no instance is known to the registry; `portolan services` lists the names")
            }
            None => "no instance is known to the registry".to_owned(),
        });
    }
    let unreadable = services.iter().any(|known| unreadable(known).next().is_some());
    Ok(if args.exit_code && (instances == 0 || unreadable) { Exit::No } else { Exit::Fine })
}

async fn names(args: &Args, registry: &Arc<dyn Registry>) -> anyhow::Result<Vec<ServiceName>> {
    if let Some(name) = &args.name {
        return Ok(vec![name.clone()]);
    }
    let query = CatalogQuery::default();
    let services = ask(registry, registry.services(&query)).await?.value;
    // What cannot be addressed cannot be read: Consul takes such names, and finds them by DNS alone.
    Ok(services.keys().filter_map(|name| ServiceName::new(name).ok()).collect())
}

/// The instances of one version.
#[derive(Default)]
struct Row {
    statuses: BTreeMap<Status, usize>,
    share: f32,
    part: String,
}

impl Row {
    fn instances(&self) -> usize {
        self.statuses.values().sum()
    }

    fn of(&self, status: Status) -> usize {
        self.statuses.get(&status).copied().unwrap_or_default()
    }
}

const STATUSES: [Status; 4] = [Status::Passing, Status::Warning, Status::Critical, Status::Maintenance];

/// By version, the newest last; first those that tell none.
fn rows(known: &Explanation) -> BTreeMap<Option<Version>, Row> {
    let mut rows: BTreeMap<Option<Version>, Row> = BTreeMap::new();
    for one in known.snapshot.instances().iter().filter(|one| one.unreadable_version.is_none()) {
        let row = rows.entry(one.version.clone()).or_default();
        let count = row.statuses.entry(one.status).or_default();
        *count = count.saturating_add(1);
    }
    for one in known.usable.iter().filter(|one| one.unreadable_version.is_none()) {
        let row = rows.entry(one.version.clone()).or_default();
        row.share += one.share();
        row.part = one.part().map(|part| part.requirement.to_string()).unwrap_or_default();
    }
    rows
}

/// Those whose version cannot be read, each with what stands there.
fn unreadable(known: &Explanation) -> impl Iterator<Item = (&Instance, String)> {
    let all = known.snapshot.instances().iter();
    all.filter_map(|one| Some((&**one, one.unreadable_version.as_ref()?.to_string())))
}

fn page(services: &[Explanation], color: bool) -> String {
    let mut table = Table::new([
        "SERVICE",
        "VERSION",
        "INSTANCES",
        "PASSING",
        "WARNING",
        "CRITICAL",
        "MAINTENANCE",
        "SHARE",
        "PART",
    ]);
    let mut after = String::new();
    for known in services {
        let service = known.snapshot.service().as_str();
        for (version, row) in rows(known).iter().rev() {
            let version = version.as_ref().map(ToString::to_string).unwrap_or_default();
            let mut cells = vec![service.into(), version.into(), row.instances().to_string().into()];
            cells.extend(STATUSES.map(|status| {
                let cell = Cell::new(row.of(status).to_string());
                if row.of(status) > 0 { cell.ink(status) } else { cell }
            }));
            cells.extend([format!("{:.1}%", row.share * 100.0).into(), Cell::new(&row.part)]);
            table.row(cells);
        }
        for (one, what) in unreadable(known) {
            let id = &one.identity;
            after.push_str(&plain(&format!("{service}: {id} has no readable version: {what}")));
            after.push('\n');
        }
        for part in &known.parts {
            after.push_str(&plain(&format!("{service}: {part}")));
            after.push('\n');
        }
    }
    let between = if after.is_empty() { "" } else { "\n" };
    format!("{}{between}{after}", table.render(color))
}

fn object(known: &Explanation) -> Value {
    let version = |(version, row): (&Option<Version>, &Row)| {
        let mut object = json!({
            "version": version.as_ref().map(ToString::to_string),
            "instances": row.instances(),
            "share": row.share,
        });
        if let Some(fields) = object.as_object_mut() {
            fields.extend(STATUSES.map(|status| (status.as_str().to_owned(), json!(row.of(status)))));
        }
        object
    };
    let unreadable: Vec<Value> = unreadable(known)
        .map(|(one, what)| json!({"id": &*one.identity.id, "node": &*one.identity.node, "found": what}))
        .collect();
    json!({
        "service": known.snapshot.service().as_str(),
        "versions": rows(known).iter().rev().map(version).collect::<Vec<_>>(),
        "unreadable": unreadable,
        "split": known.parts.iter().map(split::json).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
