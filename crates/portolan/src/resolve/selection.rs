//! What a resolver picks from: built once for each list of instances, never changed, read without a lock.
//!
//! In:  a snapshot and what the caller asked for. Out: the usable instances with the policy's tables, or the typed
//! answer why there is none; and every other instance with its reason. Freshness and mark stand beside the instances
//! and are shared by them, so that an answer which only confirms builds nothing.
//!
//! Never: empty without a reason; a held instance while a confirmed one is usable; one in maintenance.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
};

use super::{
    endpoint::{About, Endpoint},
    load::{Load, OPEN},
    loads::Loads,
    none::{LeftOut, NoInstance},
    pick::Picker,
    select::{Exclusion, Select},
};
use crate::{
    model::{Instance, ServiceName, Status},
    snapshot::{Hidden, Snapshot},
};

/// A choice, ready to be made. In this order: what a lookup reads stands together.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Selection {
    pub(super) endpoints: Box<[Arc<Endpoint>]>,
    pub(super) picker: Picker,
    /// How many requests an instance may have in flight.
    cap: u32,
    /// Whether gates do not count, since these are picked though something speaks against them.
    ungated: bool,
    pub(super) left_out: Arc<[LeftOut]>,
    /// Those that are picked though something speaks against them, and what.
    pub(super) picked_anyway: Arc<[LeftOut]>,
    /// What the instances by themselves say of the picks, whatever their age and datacentre.
    pub(super) quality: Mark,
    /// Whether an instance is usable without a panic: else another datacentre comes first.
    pub(super) healthy: bool,
    /// Freshness and mark of every endpoint, changed in place.
    pub(super) about: Arc<About>,
    /// The answer when `endpoints` is empty.
    pub(super) none: Option<NoInstance>,
    /// Those of the ejected, so that what is known of them stays known.
    _ejected: Vec<Arc<Load>>,
}

/// Whether picks are ordinary ones. Where several are true, the first in this order is told; the rest can be seen in
/// the age, in the instance's datacentre, and in [`Explanation`](super::Explanation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Mark {
    /// An operator's file names these instances; what the registry says does not count.
    Override,
    /// Nothing fresh enough is known; these are from the caller's own list.
    Fallback,
    /// Older than the caller's bound, or declared void, and nothing newer is known.
    Stale,
    /// No confirmed instance is usable; these are held: the registry no longer names them, and is in doubt.
    Held,
    /// So few are healthy that their checks are doubted; these are of any health but maintenance.
    Panic,
    /// No datacentre before this one has a usable instance.
    Failover,
    /// All weights are 0; each gets the same share.
    AllWeightsZero,
    /// They are ordinary.
    Ordinary,
}

impl Mark {
    /// The word for it, in output and as a label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Override => "override",
            Self::Fallback => "fallback",
            Self::Stale => "stale",
            Self::Held => "held",
            Self::Panic => "panic",
            Self::Failover => "failover",
            Self::AllWeightsZero => "all_weights_zero",
            Self::Ordinary => "ordinary",
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What outlives a selection: the loads of the view, and where a rotation stands.
#[derive(Clone, Debug)]
pub(super) struct Carried {
    pub(super) loads: Arc<Loads>,
    pub(super) turn: Arc<AtomicU64>,
}

impl Selection {
    pub(super) fn build(snapshot: &Snapshot, select: &Select, carried: &Carried) -> Self {
        let mut gone = Vec::new();
        let Sifted { usable, weights, left_out, picked_anyway, quality, healthy } =
            sift(snapshot, select, |usable| split_ejected(&carried.loads, usable, &mut gone));
        let about = Arc::new(About::new(Arc::clone(&snapshot.freshness), quality));
        let loads = carried.loads.of(usable.iter());
        let endpoint = |(instance, load)| Arc::new(Endpoint::new(instance, &about, load));
        let endpoints: Box<[_]> = usable.iter().zip(loads).map(endpoint).collect();
        let left_out: Arc<[LeftOut]> = left_out.into();
        let none = endpoints.is_empty().then(|| why_none(snapshot, &left_out));
        let picker = Picker::new(select.policy, &weights, &endpoints, &carried.turn);
        Self {
            endpoints,
            picker,
            cap: select.max_in_flight.unwrap_or(OPEN),
            ungated: quality == Mark::Panic,
            left_out,
            picked_anyway: picked_anyway.into(),
            quality,
            healthy,
            about,
            none,
            _ejected: gone,
        }
    }

    /// One that only gives `none`, and shows what this one left out.
    pub(super) fn refusing(&self, none: NoInstance, mark: Mark, turn: &Arc<AtomicU64>) -> Self {
        let about = Arc::new(About::new(self.about.freshness(), mark));
        Self {
            endpoints: Box::default(),
            picker: Picker::new(super::select::Policy::Random, &[], &[], turn),
            cap: OPEN,
            ungated: false,
            left_out: Arc::clone(&self.left_out),
            picked_anyway: Arc::default(),
            quality: mark,
            healthy: false,
            about,
            none: Some(none),
            _ejected: Vec::new(),
        }
    }

    /// Counts a request to this one as in flight, if it may have one more.
    #[inline]
    pub(super) fn admits(&self, endpoint: &Endpoint) -> bool {
        if self.ungated {
            endpoint.load.try_begin_anyway(self.cap)
        } else {
            endpoint.load.try_begin(self.cap)
        }
    }

    /// The same where nothing else is left: one that is ejected, or tried already, is better than none.
    pub(super) fn admits_anyway(&self, endpoint: &Endpoint) -> bool {
        endpoint.load.try_begin_anyway(self.cap)
    }

    /// The answer when each of the endpoints has as much to do as it may.
    pub(super) fn full(&self, service: &ServiceName) -> NoInstance {
        let why = Exclusion::Full { most: self.cap };
        let full = self.endpoints.iter().map(|one| left(one.instance(), why.clone()));
        let left_out = full.chain(self.left_out.iter().cloned()).collect();
        NoInstance::NoneUsable { service: service.clone(), left_out }
    }
}

/// Those that are not ejected, and those that are, whose loads are kept.
fn split_ejected(
    loads: &Loads,
    usable: Vec<Arc<Instance>>,
    gone: &mut Vec<Arc<Load>>,
) -> [Vec<Arc<Instance>>; 2] {
    let of_all = loads.of(usable.iter());
    let mut split = [Vec::with_capacity(usable.len()), Vec::new()];
    let [stay, ejected] = &mut split;
    for (instance, load) in usable.into_iter().zip(of_all) {
        if load.is_ejected() {
            ejected.push(instance);
            gone.push(load);
        } else {
            stay.push(instance);
        }
    }
    split
}

/// Who can be picked, with their weights, and why the others cannot.
struct Sifted {
    usable: Vec<Arc<Instance>>,
    weights: Vec<u32>,
    left_out: Vec<LeftOut>,
    picked_anyway: Vec<LeftOut>,
    quality: Mark,
    healthy: bool,
}

fn sift(
    snapshot: &Snapshot,
    select: &Select,
    split_ejected: impl FnOnce(Vec<Arc<Instance>>) -> [Vec<Arc<Instance>>; 2],
) -> Sifted {
    let mut left_out = Vec::new();
    let mut picked_anyway = Vec::new();
    let [mut usable, ejected] = split_ejected(part(&snapshot.instances, select, &mut left_out));
    let mut quality = Mark::Ordinary;
    let only_ejected = usable.is_empty() && !ejected.is_empty();
    let mut healthy = !usable.is_empty();
    left_out.extend(ejected.iter().map(|one| left(one, Exclusion::Ejected)));
    let sick = left_out.iter().filter(|one| doubted(one)).count();
    // Of those that are left by the filter all may be ejected: then they are better than none.
    if only_ejected || select.panic.doubts(usable.len(), usable.len().saturating_add(sick)) {
        quality = Mark::Panic;
        let doubted = |one: &LeftOut| if only_ejected { one.why == Exclusion::Ejected } else { doubted(one) };
        (picked_anyway, left_out) = left_out.into_iter().partition(doubted);
        usable.extend(picked_anyway.iter().map(|one| Arc::clone(&one.instance)));
    }
    if usable.is_empty() {
        usable = part(&snapshot.held, select, &mut left_out);
        if !usable.is_empty() {
            quality = Mark::Held;
            healthy = true;
        }
    } else {
        left_out.extend(snapshot.held.iter().map(|held| left(held, Exclusion::Held)));
    }
    // In a panic no status is believed, and so none takes weight away.
    let weight =
        |one: &Instance| u32::from(if quality == Mark::Panic { one.weights.passing } else { one.weight() });
    let mut weights: Vec<u32> = usable.iter().map(|instance| weight(instance)).collect();
    if weights.iter().all(|weight| *weight == 0) {
        if !usable.is_empty() && quality == Mark::Ordinary {
            quality = Mark::AllWeightsZero;
        }
        weights.fill(1);
    } else {
        usable.retain(|instance| {
            let zero = weight(instance) == 0;
            if zero {
                left_out.push(left(instance, Exclusion::WeightZero));
            }
            !zero
        });
        picked_anyway.retain(|one| weight(&one.instance) > 0);
        weights.retain(|weight| *weight > 0);
    }
    Sifted { usable, weights, left_out, picked_anyway, quality, healthy }
}

/// Whether it is left out for its health, and not on purpose: what matches no filter is never said to be unhealthy.
fn doubted(one: &LeftOut) -> bool {
    match &one.why {
        Exclusion::Unhealthy { status, .. } => *status != Status::Maintenance,
        why => *why == Exclusion::Ejected,
    }
}

fn part(instances: &[Arc<Instance>], select: &Select, left_out: &mut Vec<LeftOut>) -> Vec<Arc<Instance>> {
    let mut usable = Vec::with_capacity(instances.len());
    for instance in instances {
        match select.refuses(instance) {
            None => usable.push(Arc::clone(instance)),
            Some(why) => left_out.push(left(instance, why)),
        }
    }
    usable
}

fn left(instance: &Arc<Instance>, why: Exclusion) -> LeftOut {
    LeftOut { instance: Arc::clone(instance), why }
}

fn why_none(snapshot: &Snapshot, left_out: &Arc<[LeftOut]>) -> NoInstance {
    let service = snapshot.service.clone();
    if !left_out.is_empty() {
        return NoInstance::NoneUsable { service, left_out: Arc::clone(left_out) };
    }
    if !snapshot.is_known() {
        let error = snapshot.failure.as_ref().map_or_else(|| "".into(), |failure| Arc::clone(&failure.text));
        return NoInstance::Unreachable { service, error };
    }
    match (snapshot.hidden, snapshot.last_seen) {
        (Hidden::Yes, _) => NoInstance::HiddenByAcl { service },
        (_, Some(last_seen)) => NoInstance::Gone { service, last_seen },
        (hidden, None) => NoInstance::NeverSeen { service, maybe_acl: hidden == Hidden::Maybe },
    }
}
