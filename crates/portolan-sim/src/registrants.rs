//! The registrations of a run: who registers what, reports, closes, drops and comes back; judged at every step.
//!
//! In:  the script's wishes, the handles' states, what the agent holds. Out: broken laws.
//!
//! - Law 4: what was closed is gone; what is promised while a handle lives is judged in `promises.rs`.
//!
//! Never: judges a removal that trouble came upon, unless the library said that it is done: it may give up, and says so.

use std::time::Duration;

use portolan::{Discovery, Error, Kind, RegistrationHandle, RegistrationState, Status};
use tokio::{
    task::{AbortHandle, JoinSet},
    time::Instant,
};

use crate::{
    agency::{self, PROMPT},
    chance::Chance,
    claim::Claim,
    plan::{Plan, Stands},
    promises::{REPAIR, SETTLED, judge, word},
    stage::{Inner, Stage},
};

/// How many there are at most.
const MOST: usize = 6;

/// A handle.
#[derive(Debug)]
struct Open {
    plan: usize,
    handle: RegistrationHandle,
    /// Since when the agent does not hold it as it was sent.
    lost: Option<Instant>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Registrants {
    pub(crate) chance: Chance,
    plans: Vec<Plan>,
    open: Vec<Open>,
    coming: JoinSet<(usize, Result<RegistrationHandle, Error>)>,
    aborts: Vec<(usize, AbortHandle)>,
    leaving: JoinSet<(usize, Result<(), Error>)>,
}

impl Registrants {
    pub(crate) fn new(chance: Chance) -> Self {
        Self {
            chance,
            plans: Vec::new(),
            open: Vec::new(),
            coming: JoinSet::new(),
            aborts: Vec::new(),
            leaving: JoinSet::new(),
        }
    }

    /// Somebody new registers, or somebody comes back.
    pub(crate) fn hire(&mut self, stage: &Stage, discovery: &Discovery) {
        let out = |plan: &Plan| matches!(plan.stands, Stands::Out | Stands::Leaving);
        let back: Vec<usize> =
            (0..self.plans.len()).filter(|place| self.plans.get(*place).is_some_and(out)).collect();
        let place = match self.chance.one_of(&back) {
            Some(place) if self.plans.len() >= MOST || self.chance.clone().one_in(2) => *place,
            _ if self.plans.len() >= MOST => return,
            _ => {
                self.plans.push(Plan::roll(&mut self.chance, self.plans.len()));
                self.plans.len() - 1
            }
        };
        self.begin(stage, discovery, place);
    }

    fn begin(&mut self, stage: &Stage, discovery: &Discovery, place: usize) {
        let Some(plan) = self.plans.get_mut(place) else { return };
        plan.stands = Stands::Coming;
        plan.excused = false;
        plan.known.clone_from(&plan.id);
        if self.chance.one_in(4) {
            plan.tags = vec!["green", "red"]; // a new version, perhaps
        }
        stage.with(|inner| {
            let agency = &mut inner.agency;
            agency.processes.insert(plan.port, Status::Passing);
            if let Some(id) = &plan.id {
                agency.claims.insert(id.clone(), Claim::new(plan.port, plan.gated, Instant::now()));
                agency.definitions.remove(id);
            }
            inner.trace.note(format_args!("{place} registers {}: {:?}", plan.service, plan.way));
        });
        let (registration, discovery) = (plan.registration(), discovery.clone());
        let coming = async move { (place, discovery.register(registration).await) };
        self.aborts.push((place, self.coming.spawn(coming)));
    }

    /// Somebody gives up waiting for the first word.
    pub(crate) fn abort(&mut self, stage: &Stage) {
        let place = self.chance.place(self.aborts.len());
        if place >= self.aborts.len() {
            return;
        }
        let (place, abort) = self.aborts.swap_remove(place);
        if self.plans.get(place).is_some_and(|plan| plan.stands == Stands::Coming) {
            stage.note(format_args!("{place} does not wait for the first word"));
            abort.abort();
            self.leave(stage, place);
        }
    }

    /// What a plan's instance is called; `None` while nobody knows.
    fn leave(&mut self, stage: &Stage, place: usize) {
        let Some(plan) = self.plans.get_mut(place) else { return };
        plan.stands = Stands::Out;
        plan.left = Instant::now();
        let port = plan.port;
        stage.with(|inner| {
            inner.agency.claims.values_mut().filter(|claim| claim.is_at(port)).for_each(|claim| {
                claim.open = false;
                claim.due = None;
            });
        });
    }

    /// A handle is closed, or dropped; or its process starts again at once.
    pub(crate) fn dismiss(&mut self, stage: &Stage, discovery: &Discovery) {
        if self.open.is_empty() {
            return;
        }
        let place = self.chance.place(self.open.len());
        let Open { plan: place, handle, .. } = self.open.swap_remove(place);
        self.leave(stage, place);
        let how = self.chance.below(3);
        stage.note(format_args!("{place} leaves: {how}"));
        if let (true, Some(plan)) = (how < 2, self.plans.get_mut(place)) {
            plan.stands = Stands::Leaving;
        }
        match how {
            0 => {
                let now = Instant::now();
                stage.with(|inner| {
                    let claim = inner.agency.claims.get_mut(handle.id().as_str());
                    claim.into_iter().for_each(|claim| claim.drained = Some(now));
                });
                self.leaving.spawn(async move { (place, handle.close().await) });
            }
            1 => drop(self.leaving.spawn(async move { (place, handle.remove().await) })),
            _ => drop(handle),
        }
        if self.chance.one_in(3) {
            self.begin(stage, discovery, place);
        }
    }

    /// A service says how it is.
    pub(crate) fn report(&mut self, stage: &Stage) {
        let status = [Status::Passing, Status::Passing, Status::Warning, Status::Critical];
        let status = self.chance.one_of(&status).copied().unwrap_or(Status::Passing);
        let place = self.chance.place(self.open.len());
        let Some(open) = self.open.get(place) else { return };
        if open.handle.report(status, "so it says").is_ok() {
            stage.with(|inner| {
                if let Some(claim) = inner.agency.claims.get_mut(open.handle.id().as_str()) {
                    claim.said = status;
                    claim.trouble = claim.trouble.max(Instant::now() + PROMPT - REPAIR);
                }
                inner.trace.note(format_args!("{} says that it is {status}", open.plan));
            });
        }
    }

    /// A service that came in maintenance is ready; or says so again.
    pub(crate) fn announce(&mut self, stage: &Stage) {
        let place = self.chance.place(self.open.len());
        let Some(open) = self.open.get(place) else { return };
        open.handle.announce();
        let now = Instant::now();
        stage.with(|inner| {
            let claim = inner.agency.claims.get_mut(open.handle.id().as_str());
            claim.into_iter().for_each(|claim| {
                claim.announced = true;
                claim.trouble = claim.trouble.max(now + PROMPT - REPAIR);
            });
            inner.trace.note(format_args!("{} is ready", open.plan));
        });
    }

    /// The id of a handle that has been well for a while, or of any.
    pub(crate) fn any(&mut self, stage: &Stage, well: bool) -> Option<String> {
        let now = Instant::now();
        let fit = |open: &&Open| {
            let id = open.handle.id().as_str();
            let settled = stage.with(|inner| {
                let claim = inner.agency.claims.get(id);
                let trouble = claim.map(|claim| claim.trouble.max(inner.agency.trouble));
                trouble.is_some_and(|trouble| trouble + SETTLED < now) && !inner.agency.is_elsewhere(id)
            });
            !well || open.lost.is_none() && open.handle.state() == RegistrationState::Registered && settled
        };
        let ids: Vec<&str> = self.open.iter().filter(fit).map(|open| open.handle.id().as_str()).collect();
        self.chance.one_of(&ids).map(|id| (*id).to_owned())
    }

    /// Ids that were given, whoever holds them.
    pub(crate) fn given(&mut self) -> Option<String> {
        let ids: Vec<&String> = self.plans.iter().filter_map(|plan| plan.id.as_ref()).collect();
        self.chance.one_of(&ids).map(|id| (*id).clone())
    }

    /// By when what was changed just now is to be put right.
    pub(crate) fn due(&self, id: &str) -> Duration {
        let open = self.open.iter().find(|open| open.handle.id().as_str() == id);
        let ttl = open.and_then(|open| self.plans.get(open.plan)).and_then(Plan::ttl);
        ttl.map_or(PROMPT, |ttl| PROMPT.min(ttl / 3 + Duration::from_millis(1_500)))
    }

    /// One of the processes becomes sick, or well again.
    pub(crate) fn sicken(&mut self, stage: &Stage) {
        let status = [Status::Passing, Status::Passing, Status::Critical];
        let status = self.chance.one_of(&status).copied().unwrap_or(Status::Passing);
        let place = self.chance.place(self.plans.len());
        let Some(plan) = self.plans.get(place).filter(|plan| plan.stands != Stands::Out) else { return };
        stage.with(|inner| {
            agency::settle(inner, Instant::now());
            inner.agency.processes.insert(plan.port, status);
            inner.trace.note(format_args!("the process of {place} is {status}"));
        });
    }

    /// Looks at every handle.
    pub(crate) fn look(&mut self, stage: &Stage) {
        let now = Instant::now();
        stage.with(|inner| agency::settle(inner, now));
        self.arrivals(stage);
        for Open { plan, handle, lost } in &mut self.open {
            let ttl = self.plans.get(*plan).and_then(Plan::ttl);
            let found = stage.with(|inner| judge(inner, handle, lost, ttl, now));
            if let Err(what) = found {
                let state = word(&handle.state());
                stage.broken(4, format!("{plan} ({state}): {what}"));
            }
        }
        let Self { plans, .. } = self;
        for (place, plan) in plans.iter_mut().enumerate().filter(|(_, plan)| plan.stands == Stands::Out) {
            let left = stage.with(|inner| {
                let Inner { agency, .. } = inner;
                // While the clock stood, or the agent was in trouble, nobody could do anything.
                let since = plan.left.max(agency.woke).max(agency.trouble);
                plan.excused |= agency.trouble + SETTLED > plan.left && since + PROMPT * 2 > now;
                !plan.excused && since + PROMPT * 2 <= now && plan.is_held(agency)
            });
            if left {
                stage.broken(4, format!("{place} was dropped {:?} ago, and is still there", now - plan.left));
            }
        }
    }

    /// Takes in what has come and gone since.
    fn arrivals(&mut self, stage: &Stage) {
        while let Some(ended) = self.coming.try_join_next() {
            let Ok((place, outcome)) = ended else { continue };
            self.aborts.retain(|(other, _)| *other != place);
            let Some(plan) = self.plans.get_mut(place) else { continue };
            match outcome {
                Ok(handle) => {
                    stage.note(format_args!("{place} is registered: {}", word(&handle.state())));
                    let id = handle.id().as_str().to_owned();
                    stage.with(|inner| {
                        let agency = &mut inner.agency;
                        let port = plan.port;
                        let claim = agency.claims.entry(id.clone());
                        claim.or_insert_with(|| Claim::new(port, plan.gated, Instant::now()));
                        agency.definitions.insert(id, handle.definition().clone());
                    });
                    plan.stands = Stands::In;
                    plan.known = Some(handle.id().as_str().to_owned());
                    self.open.push(Open { plan: place, handle, lost: None });
                }
                Err(error) => {
                    stage.note(format_args!("{place} is not registered: {:?}", error.kind()));
                    if !matches!(error.kind(), Kind::Conflict | Kind::Rejected | Kind::Timeout | Kind::Closed)
                    {
                        stage.broken(4, format!("{place}: a registration failed: {error}"));
                    }
                    self.leave(stage, place);
                }
            }
        }
        while let Some(ended) = self.leaving.try_join_next() {
            let Ok((place, outcome)) = ended else { continue };
            self.left(stage, place, &outcome);
        }
    }

    fn left(&mut self, stage: &Stage, place: usize, outcome: &Result<(), Error>) {
        let Some(plan) = self.plans.get_mut(place) else { return };
        let kind = outcome.as_ref().map_err(Error::kind);
        let again = plan.stands != Stands::Leaving;
        if !again {
            plan.stands = Stands::Out;
        }
        stage.with(|inner| {
            inner.trace.note(format_args!("{place} has left: {kind:?}"));
            let agency = &inner.agency;
            match outcome {
                Ok(()) if !again && plan.is_held(agency) && agency.balanced < plan.left => {
                    inner.broken(4, format!("{place} was closed, and is still there"));
                }
                Err(error) if agency.trouble + SETTLED < plan.left && !again => {
                    inner
                        .broken(4, format!("{place} could not be closed, though nothing was wrong: {error}"));
                }
                Err(_) => plan.excused = true,
                Ok(()) => {}
            }
        });
    }

    /// The program was told to end, and has ended so.
    pub(crate) async fn closed(&mut self, stage: &Stage, well: bool) {
        self.open.clear();
        while let Some(ended) = self.leaving.join_next().await {
            if let Ok((place, Err(_))) = ended
                && let Some(plan) = self.plans.get_mut(place)
            {
                plan.excused = true;
            }
        }
        while self.coming.join_next().await.is_some() {}
        self.aborts.clear();
        for (place, plan) in self.plans.iter_mut().enumerate() {
            let there = stage.with(|inner| plan.is_held(&inner.agency));
            if well && there && !plan.excused {
                stage.broken(4, format!("all was closed, and {place} is still there"));
            }
            plan.stands = Stands::Out;
            plan.excused = true;
        }
        stage.with(|inner| inner.agency.forget());
    }

    /// The program was killed: nothing of it does anything any more.
    pub(crate) async fn killed(&mut self, stage: &Stage) {
        stage.with(|inner| {
            inner.agency.program += 1;
            inner.agency.processes.clear();
        });
        self.coming.shutdown().await;
        self.leaving.shutdown().await;
        self.closed(stage, false).await;
    }
}
