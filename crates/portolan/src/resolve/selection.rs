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
    endpoint::{About, Endpoint, Loads},
    none::{LeftOut, NoInstance},
    pick::Picker,
    prefer::{self, Locality, Share},
    select::{Exclusion, Select},
};
use crate::{
    model::{Instance, Status},
    snapshot::{Hidden, Snapshot},
};

/// A choice, ready to be made. In this order: what a lookup reads stands together.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Selection {
    pub(super) endpoints: Box<[Arc<Endpoint>]>,
    pub(super) picker: Picker,
    pub(super) left_out: Arc<[LeftOut]>,
    /// Those that are picked though something speaks against them, and what.
    pub(super) picked_anyway: Arc<[LeftOut]>,
    /// What each endpoint gets by the preferences; none without them.
    pub(super) shares: Box<[Share]>,
    /// Those that could be picked were not others preferred, the nearest first: for a retry that has nobody else.
    pub(super) passed_over: Box<[PassedOver]>,
    /// What the instances by themselves say of the picks, whatever their age and datacentre.
    pub(super) quality: Mark,
    /// Whether an instance is usable without a panic: else another datacentre comes first.
    pub(super) healthy: bool,
    /// Freshness and mark of every endpoint, changed in place.
    pub(super) about: Arc<About>,
    /// The answer when `endpoints` is empty.
    pub(super) none: Option<NoInstance>,
}

/// An instance that others are preferred to.
#[derive(Debug)]
pub(super) struct PassedOver {
    rank: u32,
    pub(super) endpoint: Arc<Endpoint>,
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

/// What outlives a selection: the loads of the view, where a rotation stands, and where the caller is.
#[derive(Clone, Debug)]
pub(super) struct Carried {
    pub(super) loads: Arc<Loads>,
    pub(super) turn: Arc<AtomicU64>,
    pub(super) here: Arc<Locality>,
}

impl Selection {
    pub(super) fn build(snapshot: &Snapshot, select: &Select, carried: &Carried) -> Self {
        let sifted = sift(snapshot, select, &carried.here);
        let Sifted { usable, weights, shares, left_out, passed_over, picked_anyway, quality, healthy } =
            sifted;
        let about = Arc::new(About::new(Arc::clone(&snapshot.freshness), quality));
        let all = usable.iter().chain(passed_over.iter().map(|(_, instance)| instance));
        let mut loads = carried.loads.of(all).into_iter();
        let endpoint = |(instance, load)| Arc::new(Endpoint::new(instance, &about, load));
        let endpoints: Box<[_]> = usable.iter().zip(loads.by_ref()).map(endpoint).collect();
        let passed_over = passed_over.iter().zip(loads);
        let passed_over = passed_over
            .map(|((rank, one), load)| PassedOver { rank: *rank, endpoint: endpoint((one, load)) });
        let left_out: Arc<[LeftOut]> = left_out.into();
        let none = endpoints.is_empty().then(|| why_none(snapshot, &left_out));
        let picker = Picker::new(select.policy, &weights, &carried.turn);
        Self {
            endpoints,
            picker,
            left_out,
            picked_anyway: picked_anyway.into(),
            shares: shares.into(),
            passed_over: passed_over.collect(),
            quality,
            healthy,
            about,
            none,
        }
    }

    /// One that only gives `none`, and shows what this one left out.
    pub(super) fn refusing(&self, none: NoInstance, mark: Mark, turn: &Arc<AtomicU64>) -> Self {
        let about = Arc::new(About::new(self.about.freshness(), mark));
        Self {
            endpoints: Box::default(),
            picker: Picker::new(super::select::Policy::Random, &[], turn),
            left_out: Arc::clone(&self.left_out),
            picked_anyway: Arc::default(),
            shares: Box::default(),
            passed_over: Box::default(),
            quality: mark,
            healthy: false,
            about,
            none: Some(none),
        }
    }

    /// One of the nearest that others are preferred to and that is wanted.
    pub(super) fn passed_over(
        &self,
        roll: u64,
        wanted: impl Fn(&Endpoint) -> bool,
    ) -> Option<&Arc<Endpoint>> {
        let nearest = self.passed_over.iter().find(|one| wanted(&one.endpoint))?.rank;
        let alike = || self.passed_over.iter().filter(|one| one.rank == nearest && wanted(&one.endpoint));
        let at = roll.checked_rem(alike().count() as u64)?;
        alike().nth(usize::try_from(at).ok()?).map(|one| &one.endpoint)
    }
}

/// Who can be picked, with their weights, and why the others cannot.
struct Sifted {
    usable: Vec<Arc<Instance>>,
    weights: Vec<u32>,
    shares: Vec<Share>,
    left_out: Vec<LeftOut>,
    passed_over: Vec<(u32, Arc<Instance>)>,
    picked_anyway: Vec<LeftOut>,
    quality: Mark,
    healthy: bool,
}

fn sift(snapshot: &Snapshot, select: &Select, here: &Locality) -> Sifted {
    let mut left_out = Vec::new();
    let mut picked_anyway = Vec::new();
    let mut usable = part(&snapshot.instances, select, &mut left_out);
    let mut quality = Mark::Ordinary;
    let mut healthy = !usable.is_empty();
    let sick: Vec<_> =
        left_out.iter().filter(|one| doubted(one)).map(|one| Arc::clone(&one.instance)).collect();
    let doubts = select.panic.doubts(usable.len(), usable.len().saturating_add(sick.len()));
    if doubts && !prefer::stands_in(&select.prefer, &usable, &sick) {
        quality = Mark::Panic;
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
    let weight = |one: &Instance| if quality == Mark::Panic { one.weights.passing } else { one.weight() };
    let mut weights: Vec<u32> = usable.iter().map(|instance| u32::from(weight(instance))).collect();
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
    let sifted = Sifted {
        usable,
        weights,
        shares: Vec::new(),
        left_out,
        passed_over: Vec::new(),
        picked_anyway,
        quality,
        healthy,
    };
    // In a panic nobody knows which group can do how much.
    if select.prefer.is_empty() || quality == Mark::Panic {
        sifted
    } else {
        sifted.by_preference(select, here, &sick)
    }
}

impl Sifted {
    /// Takes out those that others are preferred to, and gives the rest the weights of their shares.
    fn by_preference(mut self, select: &Select, here: &Locality, sick: &[Arc<Instance>]) -> Self {
        let usable = std::mem::take(&mut self.usable);
        let shares = prefer::shares(&select.prefer, here, &usable, &self.weights, sick);
        self.weights = prefer::weights(&shares);
        for ((one, share), weight) in usable.into_iter().zip(shares).zip(&self.weights) {
            if *weight > 0 {
                self.usable.push(one);
                self.shares.push(share);
            } else {
                self.left_out.push(left(&one, Exclusion::NotPreferred(share.why_nothing())));
                self.passed_over.push((share.rank, one));
            }
        }
        self.weights.retain(|weight| *weight > 0);
        self.passed_over.sort_by_key(|(rank, _)| *rank);
        self
    }
}

/// Whether it is left out for its health, and not on purpose: what matches no filter is never said to be unhealthy.
fn doubted(one: &LeftOut) -> bool {
    matches!(&one.why, Exclusion::Unhealthy { status, .. } if *status != Status::Maintenance)
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
