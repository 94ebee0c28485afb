//! Keys and sessions against a model so simple that it cannot be wrong: a map, compared before and after each step.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    kv::{of_session, op, open, session, valued},
    *,
};
use crate::state::{
    kv::{KvOp, Verb},
    sessions::{
        SessionCommand,
        rows::{Behavior, SessionSpec},
    },
};

const NAMES: [&str; 6] = ["a", "a/", "a/b", "a/b/c", "ab", "b"];
const PREFIXES: [&str; 6] = ["", "a", "a/", "a/b", "b", "c"];
const SESSIONS: [&str; 3] = ["s0", "s1", "s2"];

#[derive(Clone, Debug)]
enum Step {
    Kv(Vec<KvOp>),
    /// Compares with what the last change really was.
    Cas {
        name: usize,
        verb: Verb,
        value: u8,
    },
    Open {
        id: usize,
        ttl: Option<u32>,
        removes: bool,
        delay: u32,
        on_check: bool,
    },
    Renew {
        id: usize,
    },
    End {
        id: usize,
    },
    Report {
        status: Health,
    },
    Wait {
        seconds: u32,
    },
}

fn kv_op() -> impl Strategy<Value = KvOp> {
    let name = || (0..NAMES.len()).prop_map(|n| NAMES[n]);
    let id = || (0..SESSIONS.len()).prop_map(|n| SESSIONS[n]);
    prop_oneof![
        4 => (name(), 0..3u8).prop_map(|(name, value)| valued(Verb::Set, name, &value.to_string())),
        1 => (name(), 0..3u64).prop_map(|(name, index)| KvOp { index, ..valued(Verb::Cas, name, "c") }),
        3 => (name(), id()).prop_map(|(name, id)| of_session(Verb::Lock, name, id)),
        2 => (name(), id()).prop_map(|(name, id)| of_session(Verb::Unlock, name, id)),
        1 => name().prop_map(|name| op(Verb::Delete, name)),
        1 => (0..PREFIXES.len()).prop_map(|n| op(Verb::DeleteTree, PREFIXES[n])),
        1 => name().prop_map(|name| op(Verb::Get, name)),
        1 => name().prop_map(|name| op(Verb::CheckNotExists, name)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 0..SESSIONS.len();
    let status = prop_oneof![Just(Health::Passing), Just(Health::Critical)];
    prop_oneof![
        6 => kv_op().prop_map(|op| Step::Kv(vec![op])),
        3 => prop::collection::vec(kv_op(), 2..5).prop_map(Step::Kv),
        2 => (0..NAMES.len(), prop_oneof![Just(Verb::Cas), Just(Verb::DeleteCas)], 0..3u8)
            .prop_map(|(name, verb, value)| Step::Cas { name, verb, value }),
        4 => (id(), prop::option::of(10..20u32), any::<bool>(), 0..3u32, any::<bool>()).prop_map(
            |(id, ttl, removes, delay, on_check)| Step::Open { id, ttl, removes, delay: delay * 10, on_check }
        ),
        1 => id().prop_map(|id| Step::Renew { id }),
        1 => id().prop_map(|id| Step::End { id }),
        1 => status.prop_map(|status| Step::Report { status }),
        2 => (0..25u32).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

#[derive(Clone, Debug, PartialEq)]
struct Row {
    value: Vec<u8>,
    session: Option<usize>,
    times: u64,
    /// Which step changed it last: the state's index stands for it.
    changed: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Open {
    ttl: Option<u32>,
    removes: bool,
    delay: u32,
    on_check: bool,
    ends: Option<Instant>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    keys: BTreeMap<&'static str, Row>,
    sessions: BTreeMap<usize, Open>,
    delays: BTreeMap<&'static str, Instant>,
    critical: bool,
}

fn known(name: &str) -> &'static str {
    NAMES.iter().find(|known| **known == name).unwrap()
}

impl Model {
    fn write(&mut self, name: &'static str, value: &[u8], session: Option<usize>, times: u64, at: u64) {
        let row = Row { value: value.to_vec(), session, times, changed: at };
        match self.keys.get(name) {
            Some(old) if (Row { changed: at, ..old.clone() }) == row => {}
            _ => drop(self.keys.insert(name, row)),
        }
    }

    /// Whether it was done. `at`: the index that it would have.
    fn one(&mut self, op: &KvOp, now: Instant, at: u64) -> bool {
        let id = SESSIONS.iter().position(|id| **id == *op.session);
        if op.verb == Verb::DeleteTree {
            self.keys.retain(|name, _| !name.starts_with(&*op.key));
            return true;
        }
        let name = known(&op.key);
        let there = self.keys.get(name).cloned();
        match op.verb {
            Verb::Set => {
                self.write(name, &op.value, there.and_then(|row| row.session), 0, at);
            }
            Verb::Cas => {
                if there.as_ref().map_or(0, |row| row.changed) != op.index {
                    return false;
                }
                self.write(name, &op.value, there.and_then(|row| row.session), 0, at);
            }
            Verb::Lock => {
                let delayed = self.delays.get(name).is_some_and(|until| *until > now);
                if delayed || !self.sessions.contains_key(&id.unwrap()) {
                    return false;
                }
                let times = match &there {
                    None => 1,
                    Some(row) if row.session == id => row.times,
                    Some(row) if row.session.is_none() => row.times + 1,
                    Some(_) => return false,
                };
                self.write(name, &op.value, id, times, at);
            }
            Verb::Unlock => match there {
                Some(row) if row.session == id => self.write(name, &op.value, None, row.times, at),
                _ => return false,
            },
            Verb::Delete => drop(self.keys.remove(name)),
            Verb::DeleteCas => {
                if there.is_some_and(|row| row.changed != op.index) {
                    return false;
                }
                self.keys.remove(name);
            }
            Verb::Get => return there.is_some(),
            _ => return there.is_none(),
        }
        true
    }

    fn end(&mut self, id: usize, now: Instant, at: u64) {
        let Some(Open { removes, delay, .. }) = self.sessions.remove(&id) else { return };
        let held: Vec<_> =
            self.keys.iter().filter(|(_, row)| row.session == Some(id)).map(|(n, _)| *n).collect();
        for name in held {
            if removes {
                self.keys.remove(name);
            } else if let Some(row) = self.keys.get_mut(name) {
                (row.session, row.changed) = (None, at);
            }
            if delay > 0 {
                self.delays.insert(name, now + SECOND * delay);
            }
        }
    }

    fn step(&mut self, step: &Step, now: Instant, at: u64) -> bool {
        match step {
            Step::Kv(ops) => {
                let before = self.clone();
                // Each is tried, as one that fails hides none of those after it.
                let failed = ops.iter().filter(|op| !self.one(op, now, at)).count();
                let done = failed == 0;
                if !done {
                    *self = before;
                }
                return done;
            }
            Step::Cas { .. } => {}
            Step::Open { id, ttl, removes, delay, on_check } => {
                if *on_check && self.critical {
                    return false;
                }
                let ends = ttl.map(|ttl| now + SECOND * ttl * 2);
                let (ttl, removes, delay, on_check) = (*ttl, *removes, *delay, *on_check);
                self.sessions.insert(*id, Open { ttl, removes, delay, on_check, ends });
            }
            Step::Renew { id } => {
                if let Some(open) = self.sessions.get_mut(id) {
                    open.ends = open.ttl.map(|ttl| now + SECOND * ttl * 2);
                }
            }
            Step::End { id } => self.end(*id, now, at),
            Step::Report { status } => {
                self.critical = *status == Health::Critical;
                if self.critical {
                    let on_it = self.sessions.iter().filter(|(_, open)| open.on_check);
                    for id in on_it.map(|(id, _)| *id).collect::<Vec<_>>() {
                        self.end(id, now, at);
                    }
                }
            }
            Step::Wait { .. } => {
                let late = self.sessions.iter().filter(|(_, open)| open.ends.is_some_and(|ends| ends <= now));
                for id in late.map(|(id, _)| *id).collect::<Vec<_>>() {
                    self.end(id, now, at);
                }
            }
        }
        true
    }

    fn rows(&self) -> Vec<(&'static str, Row)> {
        self.keys.iter().map(|(name, row)| (*name, row.clone())).collect()
    }

    fn below(&self, prefix: &str) -> Vec<(&'static str, Row)> {
        self.rows().into_iter().filter(|(name, _)| name.starts_with(prefix)).collect()
    }
}

fn rows(state: &State) -> Vec<(&'static str, Row)> {
    let row = |row: Arc<crate::state::kv::rows::KvRow>| {
        let session =
            row.session.as_ref().map(|id| SESSIONS.iter().position(|known| **known == **id).unwrap());
        let (value, times, changed) = (row.value.to_vec(), row.lock_index, row.modify);
        (known(&row.name), Row { value, session, times, changed })
    };
    state.kv_below("").into_iter().map(row).collect()
}

fn command(step: &Step) -> Option<Command> {
    let command = match step {
        Step::Open { id, ttl, removes, delay, on_check } => {
            let behavior = if *removes { Behavior::Delete } else { Behavior::Release };
            let checks = if *on_check { vec!["c".into()] } else { vec![] };
            let (ttl, lock_delay) = (ttl.map(|ttl| SECOND * ttl), SECOND * *delay);
            return Some(open(SessionSpec { ttl, lock_delay, behavior, checks, ..session(SESSIONS[*id]) }));
        }
        Step::Renew { id } => SessionCommand::Renew { id: SESSIONS[*id].into() },
        Step::End { id } => SessionCommand::Destroy { id: SESSIONS[*id].into() },
        Step::Report { status } => return Some(report("c", *status, "")),
        Step::Kv(_) | Step::Cas { .. } | Step::Wait { .. } => return None,
    };
    Some(Command::Session(command))
}

fn watched() -> Vec<Key> {
    let keys = NAMES.iter().map(|name| Key::Kv((*name).into()));
    keys.chain(PREFIXES.iter().map(|prefix| Key::KvBelow((*prefix).into()))).chain([Key::Sessions]).collect()
}

/// Whom the changes wake: a watcher of a beginning by any key below it.
fn wakes(changes: &Changes, key: &Key) -> bool {
    match key {
        Key::KvBelow(prefix) => {
            changes.keys.iter().any(|key| matches!(key, Key::Kv(name) if name.starts_with(&**prefix)))
        }
        key => changes.keys.contains(key),
    }
}

fn seen(model: &Model, key: &Key) -> String {
    match key {
        Key::Kv(name) => format!("{:?}", model.keys.get(&**name)),
        Key::KvBelow(prefix) => format!("{:?}", model.below(prefix)),
        _ => format!("{:?}", model.sessions.keys()),
    }
}

proptest! {
    #[test]
    fn keys_and_sessions_are_as_the_model_has_them(steps in prop::collection::vec(step(), 1..40)) {
        let (mut state, mut now) = start();
        state.ok(register(spec("web", "w1"), vec![ttl("c", 100_000)]), now);
        state.ok(report("c", Health::Passing, ""), now);
        let mut model = Model::default();
        let mut opened = BTreeSet::new();
        let indexes = |state: &State| watched().iter().map(|key| state.index(key)).collect::<Vec<_>>();
        for step in steps {
            // An id is given once in its life.
            if matches!(&step, Step::Open { id, .. } if !opened.insert(*id)) {
                continue;
            }
            let step = match step {
                Step::Cas { name, verb, value } => {
                    let index = model.keys.get(NAMES[name]).map_or(0, |row| row.changed);
                    Step::Kv(vec![KvOp { index, ..valued(verb, NAMES[name], &value.to_string()) }])
                }
                other => other,
            };
            if let Step::Wait { seconds } = step {
                now += SECOND * seconds;
            }
            let (before, was, at) = (model.clone(), indexes(&state), state.last_index() + 1);
            let expected = model.step(&step, now, at);
            let (done, changes) = match (&step, command(&step)) {
                (Step::Kv(ops), _) => {
                    let (reply, changes) = state.apply_kv(ops, now);
                    (reply.is_ok(), changes)
                }
                (_, Some(command)) => {
                    let (reply, changes) = state.apply(command, now);
                    (reply.is_ok(), changes)
                }
                _ => (true, state.tick(now)),
            };
            prop_assert_eq!(done, expected, "{:?}", step);
            prop_assert_eq!(rows(&state), model.rows(), "{:?}", step);
            let open: Vec<_> = state.session_list(None).iter().map(|row| row.spec.id.to_string()).collect();
            prop_assert_eq!(open, model.sessions.keys().map(|id| SESSIONS[*id].to_owned()).collect::<Vec<_>>());
            for ((key, had), has) in watched().iter().zip(was).zip(indexes(&state)) {
                prop_assert!(has >= had, "{key:?} went down from {had} to {has} at {step:?}");
                if seen(&before, key) != seen(&model, key) {
                    prop_assert!(has > had && wakes(&changes, key), "{key:?} changed and was not told: {step:?}");
                } else if !matches!(&step, Step::Kv(ops) if ops.len() > 1) {
                    // A transaction may change a key and change it back.
                    prop_assert!(!wakes(&changes, key), "{key:?} was told without a change: {step:?}");
                }
            }
            let restored = State::restore(state.rows(), state.last_index(), node("home"), now);
            prop_assert_eq!(&restored.misfits, &[]);
            prop_assert_eq!(rows(&restored.state), rows(&state));
            prop_assert_eq!(restored.state.rows(), state.rows());
        }
    }
}
