//! `portolan why NAME`: what is known of a service, how fresh it is, and why an instance is left out.
//!
//! In:  the library's own explanation, with the output of the checks. Out: a page for a person, or JSON.
//!
//! Never: another rule than the library's: what it would pick is what is shown.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use clap::Args as ClapArgs;
use portolan::{
    Config, Exclusion, Explanation, Hidden, Instance, LeftOut, Mark, NoInstance, ServiceName, Status, Tier,
    ViewConfig, registry::CheckOutput,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{explain, filter::Filter, near::Near};
use crate::{
    config::{RegistryArgs, Shell},
    exit::Exit,
    output::{
        self, Ink, instance, plain,
        table::{Cell, Table},
    },
};

const EXAMPLES: &str = "\
Examples:
  portolan why web
  portolan why web --tag blue --version '^2'
  portolan why web --prefer zone --prefer priority=rank --zone eu-1
  portolan why web --json | jq '.left_out[] | {id: .instance.id, why}'";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The service's name.
    name: ServiceName,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    near: Near,
    /// An operator's file of splits: a line `web = 95 ^1, 5 ^2` for each service.
    #[arg(long, value_name = "FILE")]
    splits: Option<PathBuf>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    let view = ViewConfig::default().check_output(CheckOutput::Keep);
    let mut config = Config::default().view(view).locality(args.near.locality());
    config.splits = args.splits.clone();
    let discovery = args.registry.discovery(config)?;
    let registry = discovery.registry().describe();
    let begun = Instant::now();
    let select = args.near.prefer(args.filter.select());
    let web = discovery.service_with(args.name.as_str(), select).await;
    let web = web.map_err(|error| explain(error, &registry, begun.elapsed()))?;
    let known = web.explain();
    let age = known.snapshot.freshness().age(Instant::now().into_std());
    let text = if args.json {
        format!("{}\n", object(&known, &registry, age))
    } else {
        page(&known, &registry, age, shell.color)
    };
    output::print(&text)?;
    if let Err(late) = discovery.close(Duration::from_secs(1)).await {
        tracing::debug!(error = late.chain(), "the view did not end in time");
    }
    Ok(Exit::Fine)
}

/// The explanation for a person.
fn page(known: &Explanation, registry: &str, age: Option<Duration>, color: bool) -> String {
    let snapshot = &known.snapshot;
    let total = snapshot.instances().len().saturating_add(snapshot.held().len());
    let count = format!("{} of {total} known instances can be picked", known.usable.len());
    let ink = if known.usable.is_empty() { Ink::Bad } else { Ink::Good };
    let mut text = format!("{}: {}\n", snapshot.service(), ink.on(&count, color));
    let freshness = snapshot.freshness();
    let age = age.map_or("unknown".to_owned(), |age| format!("{} ms", age.as_millis()));
    let _infallible = writeln!(
        text,
        "source {}, age {age}, index {}, from {}",
        freshness.source,
        freshness.index,
        plain(registry)
    );
    if let Some(failure) = snapshot.failure() {
        let _infallible = writeln!(text, "reads fail at present: {}", plain(&failure.text));
    }
    text.push_str(&notes(known));
    if known.mark != Mark::Ordinary {
        let _infallible = writeln!(text, "picks are marked {}", known.mark);
    }
    if !known.usable.is_empty() {
        let usable: Vec<&Instance> = known.usable.iter().map(|one| &**one.instance()).collect();
        text.push_str("\nCan be picked:\n");
        text.push_str(&instance::table(&usable, color));
    }
    if !known.parts.is_empty() {
        text.push_str("\nThe split between versions:\n");
        for part in &known.parts {
            let _infallible = writeln!(text, "{part}");
        }
    }
    if !known.shares.is_empty() {
        text.push_str("\nEach gets of the requests:\n");
        text.push_str(&shares(known, color));
    }
    if !known.picked_anyway.is_empty() {
        text.push_str("\nPicked anyway:\n");
        for one in &known.picked_anyway {
            text.push_str(&left_out(one, color));
        }
    }
    if !known.left_out.is_empty() {
        text.push_str("\nLeft out:\n");
        for one in &known.left_out {
            text.push_str(&left_out(one, color));
        }
    }
    let _infallible =
        write!(text, "\n{}\n", Ink::Strong.on(&format!("What to do: {}", advice(known)), color));
    text
}

/// What each instance gets by the preferences, and the groups that these put it in.
fn shares(known: &Explanation, color: bool) -> String {
    let mut table = Table::new(["ID", "SHARE", "GROUPS"]);
    for (one, share) in known.usable.iter().zip(&known.shares) {
        let group = |tier: &Tier| format!("{} {}", tier.name, percent(tier.part));
        let groups: Vec<String> = share.tiers.iter().map(group).collect();
        table.row(vec![
            Cell::new(&one.identity.id),
            Cell::new(percent(share.part)),
            Cell::new(groups.join("; ")),
        ]);
    }
    table.render(color)
}

fn percent(part: f64) -> String {
    format!("{:.1}%", part * 100.0)
}

/// What is unusual about the answer as a whole.
fn notes(known: &Explanation) -> String {
    let mut text = String::new();
    match known.mark {
        Mark::Held => text.push_str(
            "picks are held instances: the registry no longer names them, in a way that is not believed at once\n",
        ),
        Mark::Override => text.push_str("an operator's file forces these instances; the registry does not count\n"),
        Mark::Panic => text.push_str(
            "so few are healthy that their checks are doubted: picks go to all that are not in maintenance, whatever is preferred\n",
        ),
        Mark::OtherVersion => {
            text.push_str("no instance of the versions that are asked for is healthy: these stand in for them\n");
        }
        Mark::AllWeightsZero => text.push_str("all weights are 0, so that each instance gets the same share\n"),
        _ => {}
    }
    if known.snapshot.hidden() == Hidden::Yes {
        text.push_str("the registry says that the token hides instances\n");
    }
    if let Some(none) = &known.none {
        let _infallible = writeln!(text, "a pick gets: {} ({})", plain(&none.to_string()), name_of(none));
    }
    text
}

fn name_of(none: &NoInstance) -> &'static str {
    match none {
        NoInstance::NeverSeen { .. } => "NeverSeen",
        NoInstance::Gone { .. } => "Gone",
        NoInstance::HiddenByAcl { .. } => "HiddenByAcl",
        NoInstance::NoneUsable { .. } => "NoneUsable",
        NoInstance::Unreachable { .. } => "Unreachable",
        NoInstance::TooOld { .. } => "TooOld",
        _ => "NoInstance",
    }
}

/// An instance that is left out, its reason, and what its unhealthy checks say.
fn left_out(one: &LeftOut, color: bool) -> String {
    let instance = &one.instance;
    let mut text = format!(
        "{}  {}  {}\n",
        plain(&instance.identity.to_string()),
        plain(&instance.authority()),
        Ink::Bad.on(&plain(&one.why.to_string()), color)
    );
    for check in instance.checks.iter().filter(|check| check.status != Status::Passing) {
        let status = Ink::from(check.status).on(check.status.as_str(), color);
        let _infallible = writeln!(text, "  {status}  {} ({})", plain(&check.name), plain(&check.id));
        for line in check.output.lines().filter(|line| !line.trim().is_empty()).take(OUTPUT_LINES) {
            let shown: String = line.chars().take(OUTPUT_WIDTH).collect();
            let _infallible = writeln!(text, "    {}", plain(&shown));
        }
    }
    text
}

/// How much of a check's output is shown: Consul keeps 4 KiB.
const OUTPUT_LINES: usize = 6;
const OUTPUT_WIDTH: usize = 300;

/// The next step, by what stands in the way of most.
fn advice(known: &Explanation) -> String {
    let service = known.snapshot.service();
    match &known.none {
        Some(NoInstance::NeverSeen { .. }) => {
            return format!(
                "check the name with `portolan services`, or register one with `portolan register {service} --port PORT`"
            );
        }
        Some(NoInstance::Gone { .. }) => return "start an instance, or look for why they left".to_owned(),
        Some(NoInstance::HiddenByAcl { .. }) => {
            return "give the token service:read and node:read, or another token with --token-file"
                .to_owned();
        }
        Some(NoInstance::Unreachable { .. }) => return "see whether the registry runs".to_owned(),
        _ => {}
    }
    let count = |want: fn(&Exclusion) -> bool| known.left_out.iter().filter(|one| want(&one.why)).count();
    let sick =
        count(|why| matches!(why, Exclusion::Unhealthy { status: Status::Critical | Status::Warning, .. }));
    let maintained = count(|why| matches!(why, Exclusion::Unhealthy { status: Status::Maintenance, .. }));
    let unasked = count(Exclusion::is_unasked);
    let mut steps = Vec::new();
    if sick > 0 {
        steps.push("look at the checks above, and at the log of those instances");
    }
    if maintained > 0 {
        steps.push("end the maintenance when the work is done");
    }
    if unasked > 0 && known.usable.is_empty() {
        steps.push("ask for other tags, meta or another version, or start instances that have them");
    }
    if steps.is_empty() { "nothing".to_owned() } else { steps.join("; ") }
}

/// The explanation for a program.
fn object(known: &Explanation, registry: &str, age: Option<Duration>) -> Value {
    let snapshot = &known.snapshot;
    let mut usable: Vec<Value> = known.usable.iter().map(|one| instance::json(one.instance())).collect();
    for (one, share) in usable.iter_mut().zip(&known.shares) {
        let tiers: Vec<Value> =
            share.tiers.iter().map(|tier| json!({"group": &*tier.name, "part": tier.part})).collect();
        if let Some(fields) = one.as_object_mut() {
            fields.insert("share".to_owned(), json!({"part": share.part, "groups": tiers}));
        }
    }
    let reasons = |list: &[LeftOut]| -> Vec<Value> {
        list.iter()
            .map(|one| json!({"instance": instance::json(&one.instance), "why": one.why.to_string()}))
            .collect()
    };
    json!({
        "service": snapshot.service().as_str(),
        "registry": registry,
        "source": snapshot.freshness().source.to_string(),
        "age_ms": age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        "index": snapshot.freshness().index,
        "failure": snapshot.failure().map(|failure| failure.text.to_string()),
        "usable": usable,
        "left_out": reasons(&known.left_out),
        "picked_anyway": reasons(&known.picked_anyway),
        "mark": known.mark.as_str(),
        "datacenter": snapshot.datacenter(),
        "split": known.parts.iter().map(output::split::json).collect::<Vec<_>>(),
        "none": known.none.as_ref().map(|none| json!({"kind": name_of(none), "text": none.to_string()})),
        "advice": advice(known),
    })
}

#[cfg(test)]
mod tests;
