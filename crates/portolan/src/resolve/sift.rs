//! Who of a snapshot can be picked, with which weight, and why the others cannot: filter, ejection, panic, preference. PURE.
//!
//! In:  a snapshot, what the caller asked for, where it is, and who is ejected. Out: the usable instances with their
//! weights, and every other one with its reason.
//!
//! Never: leaves one out without a reason; one in maintenance in; an empty list while a held or an ejected one would do.
//!
//! Proof: `resolve/tests.rs`, `resolve/tests/{panics,prefers,ejection}.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::sync::Arc;

use super::{
    none::LeftOut,
    prefer::{self, Locality, Share},
    select::{Exclusion, Select},
    selection::Mark,
};
use crate::{
    model::{Instance, Status},
    snapshot::Snapshot,
};

/// Who can be picked, with their weights, and why the others cannot.
pub(super) struct Sifted {
    pub(super) usable: Vec<Arc<Instance>>,
    pub(super) weights: Vec<u32>,
    pub(super) shares: Vec<Share>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) passed_over: Vec<(u32, Arc<Instance>)>,
    pub(super) picked_anyway: Vec<LeftOut>,
    pub(super) quality: Mark,
    pub(super) healthy: bool,
}

pub(super) fn sift(
    snapshot: &Snapshot,
    select: &Select,
    here: &Locality,
    split_ejected: impl FnOnce(Vec<Arc<Instance>>) -> [Vec<Arc<Instance>>; 2],
) -> Sifted {
    let mut left_out = Vec::new();
    let mut picked_anyway = Vec::new();
    let [mut usable, ejected] = split_ejected(part(&snapshot.instances, select, &mut left_out));
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

pub(super) fn left(instance: &Arc<Instance>, why: Exclusion) -> LeftOut {
    LeftOut { instance: Arc::clone(instance), why }
}
