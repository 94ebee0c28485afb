//! A user of a resolver: picks, and judges what it gets.
//!
//! In:  a resolver and what it was asked to select. Out: broken laws 2 and 5. The expected choice is worked out here
//! anew from the snapshot, in the plainest way, and shares no code with the library's.

use std::{collections::BTreeMap, sync::Arc};

use portolan::{
    Explanation, Hidden, Identity, Instance, Mark, NoInstance, Policy, Resolver, Select, Snapshot, Status,
};

use crate::{chance::Chance, stage::Stage};

/// What a resolver was asked for, in a form that this module can judge by.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wish {
    tag: Option<&'static str>,
    warning: bool,
    rotation: bool,
}

/// A resolver with what it was asked for.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) key: String,
    pub(crate) resolver: Resolver,
    pub(crate) wish: Wish,
}

impl Wish {
    pub(crate) fn roll(chance: &mut Chance) -> Self {
        Self {
            tag: chance.one_in(4).then_some("blue"),
            warning: chance.one_in(3),
            rotation: chance.one_in(3),
        }
    }

    pub(crate) fn select(self) -> Select {
        let mut select = Select::default();
        if let Some(tag) = self.tag {
            select = select.tag(tag);
        }
        if self.warning {
            select = select.allow_warning();
        }
        if self.rotation {
            select = select.policy(Policy::RoundRobin);
        }
        select
    }

    fn wants(self, instance: &Instance) -> bool {
        let tagged = self.tag.is_none_or(|tag| instance.tags.iter().any(|other| **other == *tag));
        let well = match instance.status {
            Status::Passing => true,
            Status::Warning => self.warning,
            Status::Critical | Status::Maintenance => false,
        };
        tagged && well
    }
}

impl User {
    /// Picks once, and judges the choice and its reasons.
    pub(crate) fn look(&self, stage: &Stage) {
        let picked = self.resolver.pick();
        let explanation = self.resolver.explain();
        let snapshot = &*explanation.snapshot;
        let wanted = |list: &[Arc<Instance>]| list.iter().any(|instance| self.wish.wants(instance));
        let outcome = match &picked {
            Ok(pick) => {
                let known = snapshot.instances().iter().chain(snapshot.held());
                let mut same = known.filter(|one| one.identity == pick.identity);
                match same.next() {
                    Some(one) if **one == **pick.instance() => Ok(()),
                    _ => Err((3, format!("a pick of {} is not in the snapshot", pick.identity))),
                }
            }
            Err(_) if wanted(snapshot.instances()) => {
                Err((2, "a pick failed while a healthy instance is known".to_owned()))
            }
            Err(_) if wanted(snapshot.held()) => {
                Err((2, "a pick failed while only held instances are left".to_owned()))
            }
            Err(none) => self.reasons(none, snapshot),
        };
        let outcome = outcome.and_then(|()| self.usable(&explanation));
        if let Err((law, what)) = outcome {
            stage.broken(law, format!("{}: {what}", self.key));
        }
    }

    /// Law 5: the right variant, and a reason for each instance that is known.
    fn reasons(&self, none: &NoInstance, snapshot: &Snapshot) -> Result<(), (u8, String)> {
        let known = snapshot.instances().len() + snapshot.held().len();
        let right = match none {
            NoInstance::Unreachable { .. } => !snapshot.is_known(),
            NoInstance::NoneUsable { left_out, .. } => known > 0 && left_out.len() == known,
            NoInstance::HiddenByAcl { .. } => known == 0 && snapshot.hidden() == Hidden::Yes,
            NoInstance::Gone { last_seen, .. } => known == 0 && snapshot.last_seen() == Some(*last_seen),
            NoInstance::NeverSeen { .. } => {
                known == 0 && snapshot.is_known() && snapshot.last_seen().is_none()
            }
            _ => true,
        };
        if right { Ok(()) } else { Err((5, format!("{known} are known, and a pick says: {none}"))) }
    }

    /// What is usable is what was asked for, and everything else has its reason.
    fn usable(&self, explanation: &Explanation) -> Result<(), (u8, String)> {
        let snapshot = &*explanation.snapshot;
        let mut known: BTreeMap<&Identity, (&Arc<Instance>, bool)> = BTreeMap::new();
        for (list, held) in [(snapshot.instances(), false), (snapshot.held(), true)] {
            known.extend(list.iter().map(|one| (&one.identity, (one, held))));
        }
        let confirmed_wanted = snapshot.instances().iter().any(|one| self.wish.wants(one));
        for endpoint in &explanation.usable {
            let Some((instance, held)) = known.remove(&endpoint.identity) else {
                return Err((5, format!("{} is usable, and is not known", endpoint.identity)));
            };
            if **instance != **endpoint.instance() {
                return Err((3, format!("{} is picked as it was before", endpoint.identity)));
            }
            let ordinary = matches!(explanation.mark, Mark::Ordinary | Mark::AllWeightsZero);
            if ordinary && (held || !self.wish.wants(instance)) {
                return Err((5, format!("{} is usable against its wish, unmarked", endpoint.identity)));
            }
            if held && confirmed_wanted {
                return Err((5, format!("{} is held and picked beside confirmed ones", endpoint.identity)));
            }
            if *endpoint.freshness() != *snapshot.freshness() {
                return Err((3, format!("{} shows another age than its snapshot", endpoint.identity)));
            }
        }
        for left in &explanation.left_out {
            if known.remove(&left.instance.identity).is_none() {
                return Err((5, format!("{} is left out twice, or is usable too", left.instance.identity)));
            }
        }
        match known.into_keys().next() {
            Some(silent) => Err((5, format!("{silent} is not usable, and nothing says why"))),
            None => Ok(()),
        }
    }
}
