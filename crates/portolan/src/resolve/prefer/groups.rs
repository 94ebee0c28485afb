//! How a set is split by one preference, and its groups again by the next. PURE.
//!
//! In:  a set, and what is preferred in it. Out: groups, in the order in which they are preferred, with their parts.
//!
//! Never: a group that is empty and gets something; parts that are not all of the set together.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Arc};

use super::{Locality, Prefer, Share, Tier};
use crate::{model::Instance, resolve::select::has_tag};

/// A level gets all while its healthy instances, times this, are all of them. Envoy: docs/root/intro/arch_overview/
/// upstream/load_balancing/overprovisioning.rst.
const OVERPROVISIONED: f64 = 1.4;
/// What is less than this is a rounding error: no request in a billion.
const NOTHING: f64 = 1e-9;

/// A part of the instances, usable and sick.
#[derive(Clone, Debug, Default)]
pub(super) struct Group<'a> {
    name: Arc<str>,
    /// What it gets of what the set gets that it is part of.
    part: f64,
    /// Places in the list of those that can be picked.
    usable: Vec<usize>,
    sick: Vec<&'a Instance>,
}

impl<'a> Group<'a> {
    pub(super) fn all(usable: &[Arc<Instance>], sick: &'a [Arc<Instance>]) -> Self {
        let sick = sick.iter().map(AsRef::as_ref).collect();
        Self { usable: (0..usable.len()).collect(), sick, ..Self::default() }
    }

    /// Which part of all requests it can do, 0 to 1: of its instances, each counted as one, as Envoy does.
    pub(super) fn health(&self) -> f64 {
        let all = self.usable.len().saturating_add(self.sick.len());
        (OVERPROVISIONED * ratio(self.usable.len() as f64, all as f64)).min(1.0)
    }

    /// The set as one group: the preference says nothing, for this reason.
    fn undivided(&self, why: String) -> Vec<Self> {
        vec![Self { name: why.into(), part: 1.0, ..self.clone() }]
    }
}

/// The set that is split, with the weights that count: a zone that its own callers need has less for others.
pub(super) struct Split<'a> {
    here: &'a Locality,
    instances: &'a [Arc<Instance>],
    weights: Vec<f64>,
    shares: Vec<Share>,
    rank: u32,
}

impl<'a> Split<'a> {
    pub(super) fn new(here: &'a Locality, instances: &'a [Arc<Instance>], weights: Vec<f64>) -> Self {
        let shares = vec![Share::default(); instances.len()];
        Self { here, instances, weights, shares, rank: 0 }
    }

    pub(super) fn shares(mut self, prefer: &[Prefer], all: &Group<'a>) -> Vec<Share> {
        self.divide(prefer, all, 1.0, &[]);
        self.shares
    }

    /// Divides `part` of all requests among `set`, by the preferences that are left. Those are 8 at most.
    fn divide(&mut self, prefer: &[Prefer], set: &Group<'a>, part: f64, tiers: &[Tier]) {
        let Some((first, rest)) = prefer.split_first() else {
            return self.deal(set, part, &tiers.into());
        };
        let groups = by_level(first, self.instances, set).map(|groups| levels(groups, &self.weights));
        for group in groups.or_else(|| self.by_place(first, set)).unwrap_or_default() {
            let tier = Tier { name: Arc::clone(&group.name), part: group.part };
            self.divide(rest, &group, part * group.part, &[tiers, &[tier]].concat());
        }
    }

    /// By weight.
    fn deal(&mut self, set: &Group<'a>, part: f64, tiers: &Arc<[Tier]>) {
        let total = weight(&set.usable, &self.weights);
        for at in &set.usable {
            let own = self.weights.get(*at).copied().unwrap_or(0.0);
            if let Some(share) = self.shares.get_mut(*at) {
                let (part, tiers) = (part * ratio(own, total), Arc::clone(tiers));
                *share = Share { part, tiers, rank: self.rank };
            }
        }
        self.rank = self.rank.saturating_add(1);
    }

    fn by_place(&mut self, prefer: &Prefer, set: &Group<'a>) -> Option<Vec<Group<'a>>> {
        let Locality { node, zone, region } = self.here;
        let place = match prefer {
            Prefer::SameNode => Place {
                kind: "node",
                here: node.as_deref(),
                of: |one| Some(&one.identity.node),
                callers: None,
                among: 1,
                // Which nodes have callers is not known by where the instances are.
                overflow: Overflow::ByWeight,
            },
            Prefer::SameZone { callers, among } => Place {
                kind: "zone",
                here: zone.as_deref(),
                of: |one| one.zone.as_deref(),
                callers: *callers,
                among: *among,
                overflow: Overflow::ByResidue,
            },
            Prefer::SameRegion => Place {
                kind: "region",
                here: region.as_deref(),
                of: |one| one.region.as_deref(),
                callers: None,
                among: 1,
                overflow: Overflow::ByResidue,
            },
            _ => return None,
        };
        Some(places(&place, self.instances, &mut self.weights, set))
    }
}

/// A place that is preferred.
struct Place<'p> {
    kind: &'static str,
    here: Option<&'p str>,
    of: fn(&Instance) -> Option<&str>,
    callers: Option<u8>,
    among: usize,
    overflow: Overflow,
}

/// How those elsewhere share what they get.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overflow {
    ByWeight,
    /// By what their place has left over its own callers.
    ByResidue,
}

/// Those here and those elsewhere: so many requests stay here that no instance gets more than those elsewhere do, when
/// all callers do the same. The weights of those elsewhere become what they have left for others.
///
/// Envoy: source/common/upstream/load_balancer_impl.cc `regenerateLocalityRoutingStructures`; it counts hosts, and knows
/// the callers by a cluster of their own.
fn places<'a>(
    place: &Place<'_>,
    instances: &[Arc<Instance>],
    weights: &mut [f64],
    set: &Group<'a>,
) -> Vec<Group<'a>> {
    let Place { kind, here, of, callers, among, overflow } = place;
    let Some(here) = *here else { return set.undivided(format!("the caller's {kind} is not known")) };
    let mut all: BTreeMap<Option<&str>, f64> = set.sick.iter().map(|one| (of(one), 0.0)).collect();
    let mut healthy = 0usize;
    for (one, weight) in set.usable.iter().filter_map(|at| Some((instances.get(*at)?, *weights.get(*at)?))) {
        *all.entry(of(one)).or_default() += weight;
        healthy = healthy.saturating_add(usize::from(weight > 0.0));
    }
    let Some(near) = all.get(&Some(here)) else { return set.undivided(format!("none in {kind} {here:?}")) };
    if healthy < *among {
        return set.undivided(format!("{healthy} instances are too few for {kind}s; {among} are asked for"));
    }
    let total: f64 = all.values().sum();
    let near = ratio(*near, total);
    let own = callers.map_or(ratio(1.0, all.len() as f64), |percent| f64::from(percent) / 100.0);
    let stays = if near + NOTHING >= own { 1.0 } else { ratio(near, own) };
    let is_here = |one: &Instance| of(one) == Some(here);
    let (usable_here, elsewhere): (Vec<usize>, Vec<usize>) =
        set.usable.iter().partition(|at| instances.get(**at).is_some_and(|one| is_here(one)));
    if *overflow == Overflow::ByResidue && stays < 1.0 {
        let others = ratio(1.0 - own, all.len().saturating_sub(1) as f64);
        let left =
            |weight: f64| Some(ratio(weight, total) - others).filter(|left| *left > NOTHING).unwrap_or(0.0);
        let residues: BTreeMap<Option<&str>, f64> =
            all.iter().map(|(place, weight)| (*place, ratio(left(*weight) * total, *weight))).collect();
        // It is all nothing where there are very many places; then by weight.
        if all.iter().any(|(place, weight)| *place != Some(here) && left(*weight) > 0.0) {
            for at in &elsewhere {
                if let (Some(one), Some(weight)) = (instances.get(*at), weights.get_mut(*at)) {
                    *weight *= residues.get(&of(one)).copied().unwrap_or(0.0);
                }
            }
        }
    }
    let (sick_here, sick_elsewhere) = set.sick.iter().copied().partition(|one| is_here(one));
    let same = Group {
        name: format!("same {kind}, {here:?}").into(),
        part: stays,
        usable: usable_here,
        sick: sick_here,
    };
    let name = format!("another {kind} than {here:?}").into();
    vec![same, Group { name, part: 1.0 - stays, usable: elsewhere, sick: sick_elsewhere }]
}

/// What a preference that makes levels makes of an instance; the lowest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Number(i64),
    Match,
    Other,
}

fn level(prefer: &Prefer, one: &Instance) -> Option<Level> {
    let matches = |it: bool| if it { Level::Match } else { Level::Other };
    Some(match prefer {
        Prefer::Tag(tag) => matches(has_tag(one, tag)),
        Prefer::Meta { key, value } => matches(one.meta.get(key) == Some(value)),
        Prefer::Priority { key } => {
            let number = one.meta.get(key).and_then(|text| text.trim().parse().ok());
            number.map_or(Level::Other, Level::Number)
        }
        Prefer::SameNode | Prefer::SameZone { .. } | Prefer::SameRegion => return None,
    })
}

fn level_name(prefer: &Prefer, level: Level) -> String {
    match (prefer, level) {
        (Prefer::Priority { key }, Level::Number(number)) => format!("{key} {number}"),
        (Prefer::Priority { key }, _) => format!("no number in meta {key:?}"),
        (Prefer::Meta { key, value }, Level::Match) => format!("has meta {key}={value:?}"),
        (Prefer::Meta { key, value }, _) => format!("lacks meta {key}={value:?}"),
        (Prefer::Tag(tag), Level::Other) => format!("lacks the tag {tag:?}"),
        (tag, _) => format!("has {tag}"),
    }
}

/// The groups of a preference that makes levels, in their order; a group that nobody is in is not there.
pub(super) fn by_level<'a>(
    prefer: &Prefer,
    instances: &[Arc<Instance>],
    set: &Group<'a>,
) -> Option<Vec<Group<'a>>> {
    if matches!(prefer, Prefer::SameNode | Prefer::SameZone { .. } | Prefer::SameRegion) {
        return None;
    }
    let mut groups: BTreeMap<Level, Group<'a>> = BTreeMap::new();
    for at in &set.usable {
        groups.entry(level(prefer, instances.get(*at)?)?).or_default().usable.push(*at);
    }
    for one in &set.sick {
        groups.entry(level(prefer, one)?).or_default().sick.push(one);
    }
    let named = |(level, group)| Group { name: level_name(prefer, level).into(), ..group };
    Some(groups.into_iter().map(named).collect())
}

/// Gives each level as much as it is healthy of what those before it left; when all are too sick for all, they share it
/// by their health.
///
/// Envoy: docs/root/intro/arch_overview/upstream/load_balancing/priority.rst, whose formula this is, in fractions.
fn levels<'a>(mut groups: Vec<Group<'a>>, weights: &[f64]) -> Vec<Group<'a>> {
    // What an earlier preference leaves nothing of can take nothing, however healthy it is.
    let health = |group: &Group<'_>| if weight(&group.usable, weights) > 0.0 { group.health() } else { 0.0 };
    let total = groups.iter().map(health).sum::<f64>().min(1.0);
    let mut left = 1.0;
    for group in &mut groups {
        group.part = ratio(health(group), total).min(left);
        left -= group.part;
        if left < NOTHING {
            left = 0.0;
        }
    }
    groups
}

/// The weight of these together.
fn weight(of: &[usize], weights: &[f64]) -> f64 {
    of.iter().filter_map(|at| weights.get(*at)).sum()
}

/// The part that `of` is of `all`; nothing of nothing.
pub(super) fn ratio(of: f64, all: f64) -> f64 {
    if all > 0.0 { of / all } else { 0.0 }
}
