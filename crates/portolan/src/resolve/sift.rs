//! Who of a snapshot can be picked, with which weight, and why the others cannot: filter, ejection, panic, preference. PURE.
//!
//! In:  a snapshot, what the caller asked for, the split that holds, where the caller is, and who is ejected. Out: the
//! usable instances with their weights, those of a part of the split together, and every other one with its reason.
//!
//! Never: leaves one out without a reason; one in maintenance in; an empty list while a held or an ejected one would do.
//!
//! Proof: `resolve/tests.rs`, `resolve/tests/{panics,prefers,ejection,versions,splits}.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Arc};

use super::{
    none::{LeftOut, WantedVersion},
    prefer::{self, Locality, Share},
    select::{Exclusion, Select},
    selection::Mark,
    wants::{SplitShare, Wants},
};
use crate::{
    model::{Identity, Instance, Split, Status},
    snapshot::Snapshot,
};

/// Who can be picked, with their weights, and why the others cannot.
#[derive(Default)]
pub(super) struct Sifted {
    pub(super) usable: Vec<Arc<Instance>>,
    pub(super) weights: Vec<u32>,
    pub(super) shares: Vec<Share>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) passed_over: Vec<(u32, Arc<Instance>)>,
    pub(super) picked_anyway: Vec<LeftOut>,
    pub(super) quality: Mark,
    pub(super) healthy: bool,
    /// The parts of the split; the usable stand in their order, and in each as many as it says.
    pub(super) parts: Vec<SplitShare>,
    /// What was asked of versions, where something was.
    pub(super) wanted: Option<Arc<WantedVersion>>,
    /// Those that match, and are left out for their health.
    sick: Vec<Arc<Instance>>,
}

pub(super) fn sift(
    snapshot: &Snapshot,
    select: &Select,
    split: Option<&Split>,
    here: &Locality,
    mut split_ejected: impl FnMut(Vec<Arc<Instance>>) -> [Vec<Arc<Instance>>; 2],
) -> Sifted {
    let mut wants = Wants::new(select.version.as_ref(), split, select, snapshot);
    let mut sifted = filtered(snapshot, select, &wants, &mut split_ejected);
    if !wants.are_none() {
        sifted.wanted = Some(Arc::new(WantedVersion::count(snapshot, select, &wants)));
    }
    if let (false, false, Some(fallback)) = (sifted.healthy, wants.are_none(), &select.version_fallback) {
        let others = Wants::new(Some(fallback), None, select, snapshot);
        let instead = filtered(snapshot, select, &others, &mut split_ejected);
        if instead.healthy || (sifted.usable.is_empty() && !instead.usable.is_empty()) {
            sifted = instead.in_place_of(sifted);
            wants = others;
        }
    }
    sifted.in_parts(&wants, select, here)
}

/// Those that can be picked by filter, health and weight alone.
fn filtered(
    snapshot: &Snapshot,
    select: &Select,
    wants: &Wants,
    split_ejected: &mut impl FnMut(Vec<Arc<Instance>>) -> [Vec<Arc<Instance>>; 2],
) -> Sifted {
    let mut left_out = Vec::new();
    let mut picked_anyway = Vec::new();
    let [mut usable, ejected] = split_ejected(part(&snapshot.instances, select, wants, &mut left_out));
    let mut quality = Mark::Ordinary;
    let only_ejected = usable.is_empty() && !ejected.is_empty();
    let mut healthy = !usable.is_empty();
    left_out.extend(ejected.iter().map(|one| left(one, Exclusion::Ejected)));
    let sick: Vec<_> =
        left_out.iter().filter(|one| doubted(one)).map(|one| Arc::clone(&one.instance)).collect();
    let doubts = select.panic.doubts(usable.len(), usable.len().saturating_add(sick.len()));
    // Of those that are left by the filter all may be ejected: then they are better than none.
    if only_ejected || (doubts && !prefer::stands_in(&select.prefer, &usable, &sick)) {
        quality = Mark::Panic;
        let doubted = |one: &LeftOut| if only_ejected { one.why == Exclusion::Ejected } else { doubted(one) };
        (picked_anyway, left_out) = left_out.into_iter().partition(doubted);
        usable.extend(picked_anyway.iter().map(|one| Arc::clone(&one.instance)));
    }
    if usable.is_empty() {
        usable = part(&snapshot.held, select, wants, &mut left_out);
        if !usable.is_empty() {
            quality = Mark::Held;
            healthy = true;
        }
    } else {
        left_out.extend(snapshot.held.iter().map(|held| left(held, Exclusion::Held)));
    }
    let weights = usable.iter().map(|instance| weight(instance, quality)).collect();
    Sifted { usable, weights, left_out, picked_anyway, quality, healthy, sick, ..Sifted::default() }.weighed()
}

/// In a panic no status is believed, and so none takes weight away.
fn weight(one: &Instance, quality: Mark) -> u32 {
    u32::from(if quality == Mark::Panic { one.weights.passing } else { one.weight() })
}

impl Sifted {
    /// Takes out those of weight 0, where others have more.
    fn weighed(mut self) -> Self {
        let quality = self.quality;
        if self.weights.iter().all(|weight| *weight == 0) {
            if !self.usable.is_empty() && quality == Mark::Ordinary {
                self.quality = Mark::AllWeightsZero;
            }
            self.weights.fill(1);
            return self;
        }
        let left_out = &mut self.left_out;
        self.usable.retain(|instance| {
            let zero = weight(instance, quality) == 0;
            if zero {
                left_out.push(left(instance, Exclusion::WeightZero));
            }
            !zero
        });
        self.picked_anyway.retain(|one| weight(&one.instance, quality) > 0);
        self.weights.retain(|weight| *weight > 0);
        self
    }

    /// These of other versions, in the place of what was asked for. What was, keeps its reasons.
    fn in_place_of(mut self, asked: Self) -> Self {
        let reasons = asked.left_out.into_iter().chain(asked.picked_anyway);
        let reasons = reasons.filter(|one| !one.why.is_by_version());
        let reasons: BTreeMap<Identity, Exclusion> =
            reasons.map(|one| (one.instance.identity.clone(), one.why)).collect();
        for one in self.left_out.iter_mut().filter(|one| one.why.is_by_version()) {
            if let Some(why) = reasons.get(&one.instance.identity) {
                one.why = why.clone();
            }
        }
        self.quality = self.quality.min(Mark::OtherVersion);
        self.wanted = asked.wanted;
        self
    }

    /// Puts the instances in the order of the parts that they belong to, and follows what is preferred in each of them.
    fn in_parts(mut self, wants: &Wants, select: &Select, here: &Locality) -> Self {
        // In a panic nobody knows which group can do how much.
        let prefers = !select.prefer.is_empty() && self.quality != Mark::Panic;
        if wants.parts().is_empty() {
            return if prefers && !self.usable.is_empty() { self.by_preference(select, here) } else { self };
        }
        let all: Vec<_> =
            std::mem::take(&mut self.usable).into_iter().zip(std::mem::take(&mut self.weights)).collect();
        for (at, (part, versions)) in wants.parts().iter().enumerate() {
            let (usable, weights) =
                all.iter().filter(|(one, _)| wants.part_of(one) == Some(at)).cloned().unzip();
            let sick = self.sick.iter().filter(|one| wants.part_of(one) == Some(at)).cloned().collect();
            let mut group = Self { usable, weights, sick, ..Self::default() };
            if prefers && !group.usable.is_empty() {
                group = group.by_preference(select, here);
            }
            self.parts.push(SplitShare {
                part: Arc::clone(part),
                versions: versions.clone(),
                usable: group.usable.len(),
                share: 0.0,
            });
            self.usable.append(&mut group.usable);
            self.weights.append(&mut group.weights);
            self.shares.append(&mut group.shares);
            self.left_out.append(&mut group.left_out);
            self.passed_over.append(&mut group.passed_over);
        }
        self.passed_over.sort_by_key(|(rank, _)| *rank);
        self.share_out();
        self
    }

    /// Says which share each part has now: none for one without an instance.
    fn share_out(&mut self) {
        let weight = |one: &SplitShare| if one.usable > 0 { f64::from(one.part.weight) } else { 0.0 };
        let all: f64 = self.parts.iter().map(weight).sum();
        for part in &mut self.parts {
            part.share = if all > 0.0 { weight(part) / all } else { 0.0 };
        }
        let of_parts = self.parts.iter().flat_map(|part| std::iter::repeat_n(part.share, part.usable));
        for (share, of_part) in self.shares.iter_mut().zip(of_parts) {
            share.part *= of_part;
        }
    }

    /// Takes out those that others are preferred to, and gives the rest the weights of their shares.
    fn by_preference(mut self, select: &Select, here: &Locality) -> Self {
        let usable = std::mem::take(&mut self.usable);
        let shares = prefer::shares(&select.prefer, here, &usable, &self.weights, &self.sick);
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
    match &one.why {
        Exclusion::Unhealthy { status, .. } => *status != Status::Maintenance,
        why => *why == Exclusion::Ejected,
    }
}

fn part(
    instances: &[Arc<Instance>],
    select: &Select,
    wants: &Wants,
    left_out: &mut Vec<LeftOut>,
) -> Vec<Arc<Instance>> {
    let mut usable = Vec::with_capacity(instances.len());
    for instance in instances {
        match select.refuses_by(wants, instance) {
            None => usable.push(Arc::clone(instance)),
            Some(why) => left_out.push(left(instance, why)),
        }
    }
    usable
}

pub(super) fn left(instance: &Arc<Instance>, why: Exclusion) -> LeftOut {
    LeftOut { instance: Arc::clone(instance), why }
}
