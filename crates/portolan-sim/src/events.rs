//! What can happen to a run: changes of the registry, faults on the way to it, users that come and go.
//!
//! To add a fault: a field of [`Net`] that says what is wrong, its effect in `registry.rs`, and a row
//! here that begins it. [`mend`] ends them all: a calm registry is one without any.

use std::time::Duration;

use portolan::{CheckScope, CheckState, Identity, Instance, Kind, Status, Weights};

use crate::{
    caches::Trouble,
    chance::Chance,
    play::Play,
    stage::{Net, Stage},
    troubles,
};

/// The kinds of error that a registry, or the way to it, gives for a while.
const REFUSALS: [Kind; 7] = [
    Kind::Unreachable,
    Kind::Busy,
    Kind::Denied,
    Kind::Unavailable,
    Kind::Malformed,
    Kind::Rejected,
    Kind::NotFound,
];
const SERVICES: [&str; 3] = ["web", "api", "db"];
/// Instances of a service have one of these numbers.
const INSTANCES: u64 = 8;

/// One event of a chaotic time.
pub(crate) fn event(play: &mut Play) {
    match play.chance.below(20) {
        0..7 => change(play),
        7..11 => fault(play),
        11..13 => reset(play),
        13 => cache_trouble(play),
        14..16 => {
            mend(&play.stage);
            play.stage.note(format_args!("mended"));
        }
        16 => play.hire_user(),
        17 | 18 => play.hire_consumer(),
        _ => play.dismiss(),
    }
}

/// An ordinary change of the registry.
pub(crate) fn change(play: &mut Play) {
    let Play { stage, chance, .. } = play;
    let service = *chance.one_of(&SERVICES).unwrap_or(&"web");
    let id = format!("{service}-{}", chance.below(INSTANCES));
    match chance.below(10) {
        0 => {
            stage.note(format_args!("{service}: only the index moves"));
            stage.change(|inner| inner.model.touch(service));
        }
        1 | 2 => {
            stage.note(format_args!("{id} is deregistered"));
            let identity = Identity::new("dc1", "node", &id);
            stage.change(|inner| inner.model.set(service, &identity, None));
        }
        3 => {
            let returned = stage.change(|inner| inner.model.return_one());
            stage.note(format_args!("a lost instance is registered again: {returned}"));
        }
        _ => {
            let instance = roll_instance(chance, service, &id);
            stage.note(format_args!("{id} is {} on port {}", instance.status, instance.port));
            let identity = instance.identity.clone();
            stage.change(|inner| inner.model.set(service, &identity, Some(instance)));
        }
    }
}

fn roll_instance(chance: &mut Chance, service: &str, id: &str) -> Instance {
    let status = match chance.below(8) {
        0 => Status::Critical,
        1 => Status::Warning,
        2 => Status::Maintenance,
        _ => Status::Passing,
    };
    let check = if status == Status::Maintenance { "_node_maintenance" } else { "alive" };
    let port = 8_000 + u16::try_from(chance.below(3)).unwrap_or(0);
    let weight = u16::try_from(chance.below(3)).unwrap_or(1);
    let mut instance = Instance::new(Identity::new("dc1", "node", id), service, "10.0.0.1", port)
        .with_checks(vec![CheckState::new(check, check, status, CheckScope::Service)])
        .with_weights(Weights { passing: weight, warning: 1 });
    if chance.one_in(2) {
        instance = instance.with_tags(["blue"]);
    }
    instance
}

/// Something goes wrong, until it is mended.
pub(crate) fn fault(play: &mut Play) {
    let Play { stage, chance, .. } = play;
    let roll = chance.below(11);
    let kind = chance.one_of(&REFUSALS).copied().unwrap_or(Kind::Unreachable);
    let slow = chance.millis(10, 9_000);
    let flaky = chance.below(100);
    stage.change(|inner| {
        let moment = inner.model.moment();
        let Net { epoch, stuck, streaming, .. } = &mut inner.net;
        let what = match roll {
            0 | 1 => {
                inner.net.refuse = Some(kind);
                format!("reads fail: {kind:?}")
            }
            2 => {
                inner.net.hang = true;
                "reads are not answered".to_owned()
            }
            3 => {
                inner.net.lose = true;
                "answers are lost".to_owned()
            }
            4 => {
                *epoch += 1;
                "connections are cut".to_owned()
            }
            5 => {
                inner.net.slow = slow;
                format!("answers take up to {slow:?}")
            }
            6 => {
                inner.net.flaky = flaky;
                format!("{flaky} of 100 reads fail")
            }
            7 => {
                inner.net.lie = flaky < 50;
                inner.net.half = flaky >= 50;
                format!("stale reads are told lies; of a third: {}", inner.net.half)
            }
            8 => {
                *epoch += 1;
                let from = usize::try_from(flaky).unwrap_or(0) * inner.model.log_len() / 100;
                inner.net.replay = Some(from);
                format!("the server is started again, and replays its log from entry {from}")
            }
            9 => {
                *stuck = Some(moment);
                inner.net.leaderless = flaky < 50;
                format!("a server is stuck; no leader: {}", inner.net.leaderless)
            }
            _ => {
                *streaming = !*streaming;
                format!("streaming: {}", *streaming)
            }
        };
        inner.trace.note(format_args!("{what}"));
    });
}

/// A cache goes wrong, or the clock on the wall does.
pub(crate) fn cache_trouble(play: &mut Play) {
    let Play { stage, chance, .. } = play;
    let late = chance.millis(1, 8_000);
    let troubles = [
        Trouble::Fails,
        Trouble::Hangs,
        Trouble::Slow(late),
        Trouble::Damages,
        Trouble::Old,
        Trouble::Forgets,
        Trouble::None,
    ];
    let trouble = chance.one_of(&troubles).copied().unwrap_or_default();
    let (which, ahead) = (chance.below(5), chance.millis(0, 100_000_000));
    stage.with(|inner| {
        match which {
            0 | 1 => inner.disk.trouble = trouble,
            2 | 3 => inner.shared.trouble = trouble,
            _ => inner.skew += ahead,
        }
        inner.trace.note(format_args!("cache {which}: {trouble:?}, or the wall's clock is set by {ahead:?}"));
    });
}

/// The registry begins another life, or loses much at once.
fn reset(play: &mut Play) {
    let Play { stage, chance, .. } = play;
    let service = *chance.one_of(&SERVICES).unwrap_or(&"web");
    let (roll, cut) = (chance.below(6), chance.one_in(2));
    stage.change(|inner| {
        let what = match roll {
            0 => {
                inner.model.reset(true);
                "the index starts anew"
            }
            1 => {
                inner.model.reset(false);
                "the registry starts anew without data"
            }
            2 => {
                inner.model.lose_most(service);
                "a service loses most of its instances"
            }
            3 => {
                if inner.model.restore() {
                    "an older snapshot is restored"
                } else {
                    "nothing to restore"
                }
            }
            _ => {
                inner.model.save();
                "a snapshot is saved"
            }
        };
        if cut && roll < 4 {
            inner.net.epoch += 1;
        }
        inner.trace.note(format_args!("{what} ({service}, cut: {cut})"));
    });
}

/// All faults end.
pub(crate) fn mend(stage: &Stage) {
    stage.change(|inner| {
        troubles::mend(inner);
        (inner.disk.trouble, inner.shared.trouble) = Default::default();
        let epoch = inner.net.epoch + u64::from(inner.net.hang || inner.net.lose);
        inner.net = Net { epoch, slow: Duration::ZERO, ..Net::default() };
    });
}
