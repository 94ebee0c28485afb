//! What a resolver picks from: built once for each snapshot, never changed, read without a lock.
//!
//! In:  a snapshot and what the caller asked for. Out: the usable instances with the policy's tables, or the typed
//! answer why there is none; and every other instance with its reason.
//!
//! Never: empty without a reason; a held instance while a confirmed one is usable.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::sync::{Arc, atomic::AtomicU64};

use super::{
    endpoint::{Endpoint, Loads},
    none::{LeftOut, NoInstance},
    pick::Picker,
    select::{Exclusion, Select},
};
use crate::{
    model::Instance,
    snapshot::{Hidden, Snapshot},
};

/// A choice, ready to be made.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) endpoints: Box<[Arc<Endpoint>]>,
    pub(super) picker: Picker,
    pub(super) left_out: Arc<[LeftOut]>,
    pub(super) mark: Mark,
    /// The answer when `endpoints` is empty.
    pub(super) none: Option<NoInstance>,
}

/// Whether the picks from a selection are ordinary ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mark {
    /// They are.
    Ordinary,
    /// No confirmed instance is usable; these are held: the registry no longer names them, and is in doubt.
    Held,
    /// All weights are 0; each gets the same share.
    AllWeightsZero,
}

/// What outlives a selection: the loads of the view, and where a rotation stands.
#[derive(Clone, Debug)]
pub(super) struct Carried {
    pub(super) loads: Arc<Loads>,
    pub(super) turn: Arc<AtomicU64>,
}

impl Selection {
    pub(super) fn build(snapshot: &Snapshot, select: &Select, carried: &Carried) -> Self {
        let mut left_out = Vec::new();
        let mut usable = sift(&snapshot.instances, select, &mut left_out);
        let mut mark = Mark::Ordinary;
        if usable.is_empty() {
            usable = sift(&snapshot.held, select, &mut left_out);
            if !usable.is_empty() {
                mark = Mark::Held;
            }
        } else {
            left_out.extend(snapshot.held.iter().map(|held| left(held, Exclusion::Held)));
        }
        let mut weights: Vec<u16> = usable.iter().map(|instance| instance.weight()).collect();
        if weights.iter().all(|weight| *weight == 0) {
            if !usable.is_empty() && mark == Mark::Ordinary {
                mark = Mark::AllWeightsZero;
            }
            weights.fill(1);
        } else {
            usable.retain(|instance| {
                let zero = instance.weight() == 0;
                if zero {
                    left_out.push(left(instance, Exclusion::WeightZero));
                }
                !zero
            });
            weights.retain(|weight| *weight > 0);
        }
        let loads = carried.loads.of(usable.iter());
        let endpoint = |(instance, load)| Arc::new(Endpoint::new(instance, &snapshot.freshness, load));
        let endpoints: Box<[_]> = usable.iter().zip(loads).map(endpoint).collect();
        let left_out: Arc<[LeftOut]> = left_out.into();
        let none = endpoints.is_empty().then(|| why_none(snapshot, &left_out));
        Self { picker: Picker::new(select.policy, &weights, &carried.turn), endpoints, left_out, mark, none }
    }
}

fn sift(instances: &[Arc<Instance>], select: &Select, left_out: &mut Vec<LeftOut>) -> Vec<Arc<Instance>> {
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
