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
    sync::{Arc, PoisonError, atomic::AtomicU64},
    time::Instant,
};

use super::{
    endpoint::{About, Endpoint, Pick},
    load::{Load, OPEN},
    loads::Loads,
    none::{LeftOut, NoInstance, WantedVersion},
    pick::Picker,
    prefer::{Locality, Share},
    rising::{Rising, WHOLE},
    select::{Exclusion, Select},
    sift::{Sifted, left, sift},
    wants::SplitShare,
};
use crate::{
    model::{Instance, ServiceName, Split, SplitPart},
    snapshot::{Hidden, Snapshot},
};

/// A choice, ready to be made. In this order: what a lookup reads stands together.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Selection {
    pub(super) endpoints: Box<[Arc<Endpoint>]>,
    /// Those of the endpoints, so that two can be compared without a look at the endpoints.
    pub(super) loads: Box<[Arc<Load>]>,
    pub(super) picker: Picker,
    /// How many requests an instance may have in flight.
    cap: u32,
    /// And how many percent of its share of all.
    bound: Option<u32>,
    /// Whether gates do not count, since these are picked though something speaks against them.
    ungated: bool,
    pub(super) left_out: Arc<[LeftOut]>,
    /// Those that are picked though something speaks against them, and what.
    pub(super) picked_anyway: Arc<[LeftOut]>,
    /// What each endpoint gets by the preferences; none without them.
    pub(super) shares: Box<[Share]>,
    /// The parts of the split, and how they stand; none without one.
    pub(super) parts: Box<[SplitShare]>,
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
    /// When an instance is to get more of its share, and this is to be built anew.
    pub(super) next_step: Option<Instant>,
    /// Those of the ejected, so that what is known of them stays known.
    _ejected: Vec<Arc<Load>>,
}

/// An instance that others are preferred to.
#[derive(Debug)]
pub(super) struct PassedOver {
    rank: u32,
    pub(super) endpoint: Arc<Endpoint>,
}

/// Whether picks are ordinary ones. Where several are true, the first in this order is told; the rest can be seen in
/// the age, in the instance's datacentre, and in [`Explanation`](super::Explanation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
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
    /// No instance of the versions that are asked for is healthy; these are of [`Select::version_fallback`].
    OtherVersion,
    /// All weights are 0; each gets the same share.
    AllWeightsZero,
    /// They are ordinary.
    #[default]
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
            Self::OtherVersion => "other_version",
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

/// What outlives a selection: the loads of the view, where a rotation stands, where the caller is, who has not got its
/// whole share yet; and when it is built.
#[derive(Clone, Debug)]
pub(super) struct Carried {
    pub(super) loads: Arc<Loads>,
    pub(super) turn: Arc<AtomicU64>,
    pub(super) here: Arc<Locality>,
    #[expect(clippy::disallowed_types, reason = "cold path: when a selection is built, by one task")]
    pub(super) rising: Arc<std::sync::Mutex<Rising>>,
    /// How requests are shared between versions now.
    pub(super) split: Option<Split>,
    pub(super) now: Instant,
}

impl Selection {
    pub(super) fn build(snapshot: &Snapshot, select: &Select, carried: &Carried) -> Self {
        let mut gone = Vec::new();
        let sifted = sift(snapshot, select, carried.split.as_ref(), &carried.here, |usable| {
            split_ejected(&carried.loads, usable, &mut gone)
        });
        let Sifted { usable, mut weights, left_out, passed_over, quality, healthy, parts, wanted, .. } =
            sifted;
        let about = Arc::new(About::new(Arc::clone(&snapshot.freshness), quality));
        let all = usable.iter().chain(passed_over.iter().map(|(_, instance)| instance));
        let loads = carried.loads.of(all);
        let next_step = select.slow_start.and_then(|window| {
            let mut rising = carried.rising.lock().unwrap_or_else(PoisonError::into_inner);
            let serials = loads.iter().take(usable.len()).map(|load| load.serial());
            let (parts, next) = rising.parts(serials, window, carried.now);
            scale(&mut weights, &parts);
            next
        });
        let mut loads = loads.into_iter();
        let endpoint = |(instance, load), (part, share)| {
            Arc::new(Endpoint::new(instance, &about, load, share).in_part(part))
        };
        let of_all = parts_of_all(&weights, &parts);
        let endpoints: Box<[_]> = usable
            .iter()
            .zip(loads.by_ref())
            .zip(of_all)
            .map(|(one, of_all)| endpoint(one, of_all))
            .collect();
        let passed_over = passed_over.iter().zip(loads);
        let passed_over = passed_over.map(|((rank, one), load)| PassedOver {
            rank: *rank,
            endpoint: endpoint((one, load), (None, 0.0)),
        });
        let left_out: Arc<[LeftOut]> = left_out.into();
        let none = endpoints.is_empty().then(|| why_none(snapshot, &left_out, wanted));
        let picker = Picker::of_parts(select.policy, &weights, &endpoints, &carried.turn, &parts);
        Self {
            loads: endpoints.iter().map(|one| Arc::clone(&one.load)).collect(),
            endpoints,
            picker,
            cap: select.max_in_flight.unwrap_or(OPEN),
            bound: select.bounded_load,
            ungated: quality == Mark::Panic,
            left_out,
            picked_anyway: sifted.picked_anyway.into(),
            shares: sifted.shares.into(),
            parts: parts.into(),
            passed_over: passed_over.collect(),
            quality,
            healthy,
            about,
            none,
            next_step,
            _ejected: gone,
        }
    }

    /// One that only gives `none`, and shows what this one left out.
    pub(super) fn refusing(&self, none: NoInstance, mark: Mark, turn: &Arc<AtomicU64>) -> Self {
        let about = Arc::new(About::new(self.about.freshness(), mark));
        Self {
            endpoints: Box::default(),
            loads: Box::default(),
            picker: Picker::new(super::select::Policy::Random, &[], &[], turn),
            cap: OPEN,
            bound: None,
            ungated: false,
            left_out: Arc::clone(&self.left_out),
            picked_anyway: Arc::default(),
            shares: Box::default(),
            parts: Box::default(),
            passed_over: Box::default(),
            quality: mark,
            healthy: false,
            about,
            none: Some(none),
            next_step: None,
            _ejected: Vec::new(),
        }
    }

    /// Counts a request to this one as in flight, if it may have one more. `load` is its load, as it stands
    /// in [`loads`](Self::loads): found there it is fetched beside the endpoint, and not after it.
    #[inline]
    pub(super) fn admits(&self, endpoint: &Endpoint, load: &Load) -> bool {
        let cap = match self.bound {
            None => self.cap,
            Some(percent) => self.cap.min(endpoint.bound(percent)),
        };
        if self.ungated { load.try_begin_anyway(cap) } else { load.try_begin(cap) }
    }

    /// A pick of this one, which was admitted.
    #[inline]
    pub(super) fn pick(&self, endpoint: &Arc<Endpoint>, since: Option<Instant>) -> Pick {
        Pick::counted(Arc::clone(endpoint), since, self.bound.is_some())
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
        NoInstance::NoneUsable { service: service.clone(), left_out, wanted: None }
    }

    /// Whether it may have one more, at this moment.
    pub(super) fn has_room(&self, endpoint: &Endpoint) -> bool {
        endpoint.load.has_room(self.cap)
    }

    /// One of the nearest that others are preferred to and that is wanted. `wanted` may be asked again of the same one.
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

/// Takes from each weight what its part lacks; all stay in proportion, and none becomes 0.
fn scale(weights: &mut [u32], parts: &[u32]) {
    if parts.iter().all(|part| *part == WHOLE) {
        return;
    }
    let scaled = |(weight, part): (&u32, &u32)| u64::from(*weight).saturating_mul(u64::from(*part));
    let scaled: Vec<u64> = weights.iter().zip(parts).map(scaled).collect();
    let greatest = scaled.iter().max().copied().unwrap_or(0);
    let over = u64::BITS.saturating_sub(greatest.leading_zeros()).saturating_sub(u32::BITS);
    for (weight, scaled) in weights.iter_mut().zip(scaled) {
        *weight = u32::try_from(scaled.checked_shr(over).unwrap_or(0)).unwrap_or(u32::MAX).max(1);
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

/// The part of the split that each stands in, and its part of all weights.
fn parts_of_all(weights: &[u32], parts: &[SplitShare]) -> Vec<(Option<Arc<SplitPart>>, f32)> {
    let sum = |weights: &[u32]| weights.iter().map(|weight| *weight as f32).sum::<f32>().max(1.0);
    if parts.is_empty() {
        let all = sum(weights);
        return weights.iter().map(|weight| (None, *weight as f32 / all)).collect();
    }
    let (mut rest, mut of_all) = (weights, Vec::with_capacity(weights.len()));
    for part in parts {
        let (own, others) = rest.split_at(part.usable.min(rest.len()));
        #[expect(clippy::cast_possible_truncation, reason = "from 0 to 1; nobody needs more digits")]
        let (all, share) = (sum(own), part.share as f32);
        of_all.extend(own.iter().map(|weight| (Some(Arc::clone(&part.part)), *weight as f32 / all * share)));
        rest = others;
    }
    of_all
}

/// Why a service with this snapshot has none to pick, with those that are left out.
pub(crate) fn why_none(
    snapshot: &Snapshot,
    left_out: &Arc<[LeftOut]>,
    wanted: Option<Arc<WantedVersion>>,
) -> NoInstance {
    let service = snapshot.service.clone();
    if !left_out.is_empty() {
        return NoInstance::NoneUsable { service, left_out: Arc::clone(left_out), wanted };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_weights_in_proportion_and_above_nothing() {
        let half = WHOLE / 2;
        for (weights, parts, expected) in [
            (&[1, 1][..], &[WHOLE, WHOLE][..], &[1, 1][..]),
            (&[1, 1], &[WHOLE, half], &[WHOLE, half]),
            (&[7, 3], &[half, WHOLE], &[7 * half, 3 * WHOLE]),
            (&[u32::MAX, u32::MAX, 1], &[WHOLE, half, 1], &[u32::MAX, u32::MAX / 2, 1]),
        ] {
            let mut scaled = weights.to_vec();
            scale(&mut scaled, parts);
            assert_eq!(scaled, expected, "{weights:?} {parts:?}");
        }
    }
}
