//! The whole state as data, for a person who asks why: every view, every resolver, and each exclusion with its reason.
//!
//! In:  what is there at the moment. Out: [`Dump`], to look into, as text, or as JSON.
//!
//! Never: waits; changes anything; shows a token.
//!
//! Proof: `dump/tests.rs`.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::Discovery;
use crate::{
    model::Status,
    registry::Registry,
    resolve::{Explanation, LeftOut, OnStale, Resolver, Select, SplitShare, Warning},
    snapshot::{Freshness, Snapshot},
};

/// The state of a [`Discovery`] at one moment. `Display` is a line for each view and resolver, and one for each instance
/// that is left out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Dump {
    /// What the registry is, and where.
    pub registry: String,
    /// When this was taken.
    pub at: Instant,
    /// Every view, by service and datacentre.
    pub views: Vec<ViewDump>,
    /// Every resolver that lives, in the order in which they were made.
    pub resolvers: Vec<ResolverDump>,
}

/// What a view knows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ViewDump {
    /// Its newest snapshot: instances, freshness, and the failure that reads meet.
    pub snapshot: Arc<Snapshot>,
    /// How old the newest proof is; `None` before the first answer.
    pub age: Option<Duration>,
    /// How many resolvers stand on it.
    pub resolvers: usize,
}

/// What a resolver shows, and why.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResolverDump {
    /// What it was asked for.
    pub select: Arc<Select>,
    /// What can be picked, what cannot, and why.
    pub explanation: Explanation,
    /// How old the newest proof of what it shows is; `None` before the first answer, and for a caller's own list.
    pub age: Option<Duration>,
}

impl Discovery {
    /// The whole state as it is now.
    #[must_use]
    pub fn dump(&self) -> Dump {
        let at = super::views::now();
        let (views, resolvers) = self.inner.views.all();
        let view = |(snapshot, resolvers): (Arc<Snapshot>, usize)| {
            let age = snapshot.freshness.age(at);
            ViewDump { snapshot, age, resolvers }
        };
        let resolver = |resolver: Resolver| {
            let explanation = resolver.explain();
            let age = explanation.snapshot.freshness.age(at);
            ResolverDump { select: resolver.select(), explanation, age }
        };
        Dump {
            registry: self.inner.guard.describe(),
            at,
            views: views.into_iter().map(view).collect(),
            resolvers: resolvers.into_iter().map(resolver).collect(),
        }
    }
}

impl Dump {
    /// The same as one JSON object. Keys are added, never renamed.
    #[must_use]
    pub fn to_json(&self) -> String {
        let views: Vec<Value> = self.views.iter().map(ViewDump::json).collect();
        let resolvers: Vec<Value> = self.resolvers.iter().map(ResolverDump::json).collect();
        json!({"registry": self.registry, "views": views, "resolvers": resolvers}).to_string()
    }
}

const STATUSES: [Status; 4] = [Status::Passing, Status::Warning, Status::Critical, Status::Maintenance];

impl ViewDump {
    /// How many instances it knows of this status.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.snapshot.instances().iter().filter(|one| one.status == status).count()
    }

    fn json(&self) -> Value {
        let mut counts: serde_json::Map<String, Value> = STATUSES
            .into_iter()
            .map(|status| (status.as_str().to_owned(), json!(self.count(status))))
            .collect();
        counts.insert("held".to_owned(), json!(self.snapshot.held().len()));
        let failure = self.snapshot.failure();
        let failure = failure.map(|failure| json!({"text": &*failure.text, "count": failure.count}));
        let mut object = freshness(&self.snapshot.freshness, self.age);
        object.insert("service".to_owned(), json!(self.snapshot.service().as_str()));
        object.insert("datacenter".to_owned(), json!(self.snapshot.datacenter()));
        object.insert("instances".to_owned(), Value::Object(counts));
        object.insert("failure".to_owned(), failure.unwrap_or_default());
        object.insert("resolvers".to_owned(), json!(self.resolvers));
        Value::Object(object)
    }
}

impl ResolverDump {
    fn json(&self) -> Value {
        let Explanation { snapshot, usable, left_out, picked_anyway, shares, parts, mark, none } =
            &self.explanation;
        let reasons = |list: &[LeftOut]| -> Vec<Value> {
            let one =
                |one: &LeftOut| json!({"id": one.instance.identity.to_string(), "why": one.why.to_string()});
            list.iter().map(one).collect()
        };
        let usable: Vec<Value> = usable
            .iter()
            .enumerate()
            .map(|(at, one)| {
                let (id, address) = (one.identity.to_string(), one.authority());
                let share = shares.get(at).map(|share| share.part);
                json!({"id": id, "address": address, "in_flight": one.in_flight(), "share": share})
            })
            .collect();
        let mut object = freshness(&snapshot.freshness, self.age);
        let fields = [
            ("service", json!(snapshot.service().as_str())),
            ("datacenter", json!(snapshot.datacenter())),
            ("select", select(&self.select)),
            ("mark", json!(mark.as_str())),
            ("split", json!(parts.iter().map(part).collect::<Vec<_>>())),
            ("usable", json!(usable)),
            ("left_out", json!(reasons(left_out))),
            ("picked_anyway", json!(reasons(picked_anyway))),
            ("none", json!(none.as_ref().map(ToString::to_string))),
        ];
        object.extend(fields.map(|(key, value)| (key.to_owned(), value)));
        Value::Object(object)
    }
}

fn part(of: &SplitShare) -> Value {
    let (weight, versions) = (of.part.weight, of.part.requirement.to_string());
    let now = of.versions.to_string();
    json!({"weight": weight, "versions": versions, "now": now, "usable": of.usable, "share": of.share})
}

fn freshness(freshness: &Freshness, age: Option<Duration>) -> serde_json::Map<String, Value> {
    let fields = [
        ("source", json!(freshness.source.to_string())),
        ("index", json!(freshness.index)),
        ("age_ms", json!(age.map(milliseconds))),
    ];
    fields.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

fn milliseconds(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

fn select(select: &Select) -> Value {
    let tags: Vec<&str> = select.tags.iter().map(AsRef::as_ref).collect();
    let meta: serde_json::Map<String, Value> =
        select.meta.iter().map(|(key, value)| (key.to_string(), json!(&**value))).collect();
    let on_stale = match &select.on_stale {
        OnStale::ServeStale => "serve_stale",
        OnStale::Fail => "fail",
        OnStale::Fallback(_) => "fallback",
    };
    json!({
        "tags": tags,
        "meta": meta,
        "version": select.version.as_ref().map(ToString::to_string),
        "version_fallback": select.version_fallback.as_ref().map(ToString::to_string),
        "split": select.split.as_ref().map(ToString::to_string),
        "allow_warning": select.warning == Warning::Allow,
        "policy": format!("{:?}", select.policy),
        "prefer": select.prefer.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "datacenters": select.datacenters().iter().map(Option::as_deref).collect::<Vec<_>>(),
        "max_age_ms": select.max_age.map(milliseconds),
        "on_stale": on_stale,
    })
}

/// An age for a person, to the millisecond.
fn shown(age: Option<Duration>) -> String {
    age.map_or_else(|| "unknown".to_owned(), |age| format!("{} ms", age.as_millis()))
}

/// A service, and where if it is said.
fn named(snapshot: &Snapshot) -> String {
    match snapshot.datacenter() {
        Some(datacenter) => format!("{} in {datacenter}", snapshot.service()),
        None => snapshot.service().to_string(),
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "registry: {}", self.registry)?;
        self.views.iter().try_for_each(|view| write!(f, "{view}"))?;
        self.resolvers.iter().try_for_each(|resolver| write!(f, "{resolver}"))
    }
}

impl fmt::Display for ViewDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Freshness { source, index, .. } = self.snapshot.freshness();
        let (name, age) = (named(&self.snapshot), shown(self.age));
        write!(f, "view {name}: source {source}, age {age}, index {index}, {} resolvers", self.resolvers)?;
        for status in STATUSES {
            write!(f, ", {} {status}", self.count(status))?;
        }
        write!(f, ", {} held", self.snapshot.held().len())?;
        if let Some(failure) = self.snapshot.failure() {
            write!(f, "; {} reads failed: {}", failure.count, failure.text)?;
        }
        writeln!(f)
    }
}

impl fmt::Display for ResolverDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation { snapshot, usable, left_out, picked_anyway, shares, parts, mark, none } =
            &self.explanation;
        let (name, source, age) = (named(snapshot), snapshot.freshness.source, shown(self.age));
        writeln!(f, "resolver {name}: {} usable, mark {mark}, source {source}, age {age}", usable.len())?;
        if let Some(none) = none {
            writeln!(f, "  a pick gets: {none}")?;
        }
        parts.iter().try_for_each(|part| writeln!(f, "  split: {part}"))?;
        for (one, share) in usable.iter().zip(shares) {
            writeln!(f, "  {} gets {share}", one.identity)?;
        }
        for (what, list) in [("picked anyway", picked_anyway), ("left out", left_out)] {
            list.iter().try_for_each(|one| writeln!(f, "  {what} {}: {}", one.instance.identity, one.why))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
