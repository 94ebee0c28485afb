//! The scripted registry's calls to the agent: each on its way there, applied, and on its way back, through whatever is
//! wrong at the moment.
//!
//! In:  calls of the keeper. Out: answers, errors, silence; also of calls that were applied. A call that is given up
//! while its answer is under way was applied all the same.
//!
//! Never: judges (`duties.rs` does); lets a program that was killed do anything.

use std::{future::pending, time::Duration};

use portolan::{
    Error, Kind, ServiceId,
    registry::{AgentInfo, Answer, AnswerMeta, Definition, Registered, Report, ServiceQuery},
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    agency::{self, Fate, Meets, Verb},
    claim::{Claim, Found},
    duties,
    registry::{Instances, Scripted},
    stage::{Inner, Stage},
};

/// A call that is under way.
struct Call<'a> {
    stage: &'a Stage,
    verb: Verb,
    id: &'a str,
    begun: Instant,
    ended: bool,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.stage.with(|inner| {
                inner.trace.note(format_args!("{:?} {} given up", self.verb, self.id));
                ends(inner, (self.verb, self.id, self.begun), false);
            });
        }
    }
}

/// A call ended, well or not.
fn ends(inner: &mut Inner, (verb, id, begun): (Verb, &str, Instant), well: bool) {
    if verb == Verb::Send
        && let Some(claim) = inner.agency.claims.get_mut(id)
    {
        if claim.begun <= begun {
            claim.sent(well, Instant::now());
        } else {
            // It was sent for another, who had the id before.
            claim.stale();
        }
    }
    if verb == Verb::Look && !well {
        // Of a sweep that came to nothing half way, nothing was told.
        inner.agency.claims.values_mut().for_each(|claim| claim.told = None);
    }
}

impl Scripted {
    /// One call: `apply` is what it does when it arrives.
    async fn ask<T>(
        &self,
        verb: Verb,
        id: &str,
        apply: impl FnOnce(&mut Inner, Instant) -> Result<T, Kind>,
    ) -> Result<T, Error> {
        let stage = &self.stage;
        if self.is_dead() {
            return pending().await;
        }
        let (fate, epoch) = stage.with(|inner| {
            duties::begins(inner, verb, id, Instant::now());
            inner.trace.note(format_args!("{verb:?} {id}"));
            (Fate::roll(inner), inner.net.epoch)
        });
        let mut call = Call { stage, verb, id, begun: Instant::now(), ended: false };
        if fate.panics {
            stage.with(|inner| {
                inner.agency.disturbed(Instant::now());
                inner.agency.all_stale(); // answers that have come are lost with the task
            });
            // Without the hook that tells of panics: this one is of the script.
            std::panic::resume_unwind(Box::new("scripted"));
        }
        sleep(fate.out).await;
        if self.is_dead() {
            return pending().await;
        }
        let done = stage.with(|inner| arrive(inner, (verb, &fate), apply));
        sleep(fate.back).await;
        let swallowed = stage.with(|inner| inner.agency.swallows(&inner.net, &fate, epoch));
        let outcome = match (done, swallowed) {
            (Err(Meets::Silence), _) | (Ok(_), Some(Meets::Silence)) => return pending().await,
            (Err(Meets::Fails(kind)), _) | (Ok(_), Some(Meets::Fails(kind))) => Err(kind),
            (Ok(done), None) => done,
        };
        if self.is_dead() {
            return pending().await;
        }
        call.ended = true;
        stage.with(|inner| {
            let said = outcome.as_ref().err();
            inner.trace.note(format_args!("{verb:?} {id}: {said:?}"));
            ends(inner, (verb, id, call.begun), outcome.is_ok());
        });
        outcome.map_err(|kind| Error::registry(kind, format!("scripted: {kind:?}")))
    }

    pub(crate) async fn look(&self, ids: &[ServiceId]) -> Result<Vec<Registered>, Error> {
        let first = ids.first().map_or("", ServiceId::as_str);
        let told = self
            .ask(Verb::Look, first, |inner, _| {
                let found: Vec<Found> = inner.agency.look(ids);
                Ok((inner.agency.agent().0.registered(ids), found))
            })
            .await;
        told.map(|(registered, found)| {
            self.stage.with(|inner| inner.agency.looked(found, Instant::now()));
            registered
        })
    }

    pub(crate) async fn send(&self, definition: &Definition) -> Result<(), Error> {
        let id = definition.id.as_str();
        if !self.is_dead() {
            self.stage.with(|inner| {
                let (agency, now) = (&mut inner.agency, Instant::now());
                agency
                    .claims
                    .entry(id.to_owned())
                    .or_insert_with(|| Claim::new(definition.port, definition.maintenance.is_some(), now));
                agency.definitions.insert(id.to_owned(), definition.clone());
            });
        }
        self.ask(Verb::Send, id, |inner, now| {
            duties::takes(inner, definition, now);
            Ok(())
        })
        .await
    }

    pub(crate) async fn remove(&self, id: &ServiceId) -> Result<(), Error> {
        self.ask(Verb::Remove, id.as_str(), |inner, now| {
            duties::removes(inner, id.as_str(), now);
            Ok(())
        })
        .await
    }

    pub(crate) async fn tell(&self, report: &Report) -> Result<(), Error> {
        let id = service_of(report.check.as_str());
        let done = self
            .ask(Verb::Report, id, |inner, now| {
                let (agent, chance) = inner.agency.agent();
                if agent.report(report, now, chance) { Ok(()) } else { Err(Kind::NotFound) }
            })
            .await;
        if done.as_ref().is_err_and(|error| error.kind() == Kind::NotFound) {
            self.stage.with(|inner| duties::unknown(inner, id));
        }
        done
    }

    pub(crate) async fn maintain(&self, id: &ServiceId, reason: Option<&str>) -> Result<(), Error> {
        self.ask(Verb::Maintain, id.as_str(), |inner, now| {
            let (agent, chance) = inner.agency.agent();
            let there = agent.maintenance(id.as_str(), reason, now, chance);
            if there { Ok(()) } else { Err(Kind::NotFound) }
        })
        .await
    }

    /// One call that waits until the agent goes, or what it holds of the id is another.
    pub(crate) async fn tied(&self, id: &ServiceId, wait: Duration) -> Result<(), Error> {
        let gone = || Error::registry(Kind::Unreachable, "scripted: the agent went");
        let until = Instant::now() + wait;
        let seen = || self.stage.with(|inner| inner.agency.tie(id.as_str(), inner.net.epoch));
        let Some((life, held)) = seen() else { return Err(gone()) };
        loop {
            let rung = self.stage.bell().notified();
            match seen() {
                _ if self.is_dead() => return pending().await,
                Some((now, _)) if now != life => return Err(gone()),
                Some((_, now)) if now != held || Instant::now() >= until => return Ok(()),
                Some(_) => {}
                None => return Err(gone()),
            }
            tokio::select! {
                biased;
                () = rung => {}
                () = sleep_until(until) => {}
            }
        }
    }

    pub(crate) async fn who(&self) -> Result<AgentInfo, Error> {
        let node = self.ask(Verb::Look, "", |inner, _| Ok(inner.agency.agent().0.node())).await?;
        Ok(AgentInfo::new(node, "dc1", "1.21.4"))
    }

    /// What the catalogue shows of a service that registrations belong to. Waits as a view's read does, a little coarser.
    pub(crate) async fn catalogue(&self, query: &ServiceQuery) -> Result<Answer<Instances>, Error> {
        let name = query.service.as_str();
        let until = query.block.map(|block| Instant::now() + block.wait);
        loop {
            let answer = self.ask(Verb::Read, name, |inner, _| {
                let (content, index) = inner.agency.catalogue.content(name);
                let net = &inner.net;
                let blind = inner.agency.faults.hidden || net.lie || net.half;
                Ok((if blind { Vec::new() } else { content.to_vec() }, index))
            });
            let (content, index) = answer.await?;
            let over = until.is_none_or(|until| Instant::now() >= until);
            if over || query.block.is_none_or(|block| index != block.index) {
                self.stage.with(|inner| {
                    let shown = content.iter().map(|one| (&*one.identity.id, one.port));
                    inner.agency.showed(shown, Instant::now());
                });
                let meta = AnswerMeta::new(index);
                return Ok(Answer::new(content, index).with_meta(meta));
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}

fn arrive<T>(
    inner: &mut Inner,
    (verb, fate): (Verb, &Fate),
    apply: impl FnOnce(&mut Inner, Instant) -> Result<T, Kind>,
) -> Result<Result<T, Kind>, Meets> {
    let now = Instant::now();
    agency::settle(inner, now);
    match inner.agency.stops(&inner.net, verb, fate) {
        Some(meets) => Err(meets),
        None => Ok(apply(inner, now)),
    }
}

/// The id of the instance that a check belongs to: all are named by the library's rule.
fn service_of(check: &str) -> &str {
    check.split(':').nth(1).unwrap_or(check)
}
