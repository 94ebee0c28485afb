//! Plays the script: carries out each act, watches what the caller's view makes of it, and counts.
//!
//! In:  acts, requests, changes of the view, ends of processes. Out: events and pictures, and the tally.
//!
//! It only carries out and writes down: what to do is in `script`, what it means in `tally`, how it looks in `screen`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context;
use portolan::{Changes, Config, Discovery, Reader, Resolver, Select, ServiceId, Snapshot};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    caller,
    display::Display,
    fleet::Fleet,
    host::Host,
    instance,
    look::{self, Look},
    screen::{self, Event, Picture, Process, Row},
    script::{Act, Owner, Script, Spec},
    setting::Setting,
    tally::{Request, Subject, Tally},
};
use crate::{
    cmd::{self, explain},
    config::Shell,
    output::Ink,
};

/// How long the instances may take to be healthy.
const RISE: Duration = Duration::from_secs(20);
/// How exact the times are that are not told by a change of the view.
const BEAT: Duration = Duration::from_millis(20);
/// How often the picture is drawn.
const FRAME: Duration = Duration::from_millis(200);
/// Finished requests that wait to be counted, at most.
const UNCOUNTED: usize = 1024;
/// How long a call of the end may take.
const LAST: Duration = Duration::from_secs(2);

/// A demo in progress.
#[derive(Debug)]
pub(crate) struct Stage {
    setting: Setting,
    host: Host,
    script: Script,
    fleet: Fleet,
    discovery: Discovery,
    web: Resolver,
    view: Reader,
    tally: Tally,
    events: Vec<Event>,
    display: Display,
    start: Instant,
    /// A new instance that is awaited, and the old one that leaves then.
    deploying: Option<(String, String)>,
    /// Where instances were last seen, for they may be gone from the view.
    places: BTreeMap<String, String>,
}

/// Whether the demo goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Act,
    End,
}

impl Stage {
    /// # Errors
    /// Of the registry's configuration.
    pub(crate) fn new(setting: Setting, host: Host, shell: &Shell) -> anyhow::Result<Self> {
        let script = Script::new(&setting.ids, setting.length, setting.seed, setting.owner);
        let fleet = Fleet::new(setting.service.clone(), setting.registry.clone(), setting.url.clone())?;
        let discovery = setting.registry.discovery(Config::default().seed(setting.seed))?;
        // It exists at once, and is warm when `rise` has seen the first answer.
        let web = discovery.service_now(setting.service.as_str(), Select::default())?;
        Ok(Self {
            view: web.watch(),
            web,
            setting,
            host,
            script,
            fleet,
            discovery,
            tally: Tally::default(),
            events: Vec::new(),
            display: Display::new(shell),
            start: Instant::now(),
            deploying: None,
            places: BTreeMap::new(),
        })
    }

    /// Starts the instances, and waits until the caller's view has all of them healthy.
    ///
    /// # Errors
    /// The registry does not answer, or they are not healthy in time.
    pub(crate) async fn rise(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let warm = self.discovery.service(self.setting.service.as_str()).await;
        warm.map_err(|error| explain(error, &self.discovery.registry().describe(), begun.elapsed()))?;
        let who = match self.setting.owner {
            Owner::Ours => "a registry of its own runs",
            Owner::Theirs => "your registry, which will not be stopped, is",
        };
        let (url, seconds) = (&self.setting.url, self.setting.length.as_secs());
        self.tell(format!("{who} at {url}; the demo takes {seconds} s"), Ink::Strong)?;
        let fleet: Vec<Spec> = self.script.fleet().to_vec();
        self.tell(
            format!(
                "{} instances of {:?} start, each a process; their agent asks /health each {}, as often as Consul \
                 allows: that is how fast a death can be noticed",
                fleet.len(),
                self.setting.service.as_str(),
                screen::length(instance::CHECK_INTERVAL),
            ),
            Ink::None,
        )?;
        let ids: Vec<String> = fleet.iter().map(|spec| spec.id.clone()).collect();
        for spec in fleet {
            self.fleet.start(spec)?;
        }
        let risen = timeout(RISE, self.until_healthy(&ids)).await;
        risen.with_context(|| {
            format!("the instances were not all healthy within {} s; -vv shows why", RISE.as_secs())
        })??;
        self.tell(
            format!("all {} are healthy; the caller starts, 150 requests a second", ids.len()),
            Ink::Good,
        )
    }

    async fn until_healthy(&mut self, ids: &[String]) -> anyhow::Result<()> {
        let mut frame = interval(FRAME);
        loop {
            let snapshot = self.snapshot();
            if ids.iter().all(|id| look::is_healthy(&snapshot, id)) {
                return Ok(());
            }
            tokio::select! {
                changes = self.view.changed() => self.changed(&changes?)?,
                (id, how) = self.fleet.ended() => {
                    anyhow::bail!("{id} ended before it was healthy: {}", how.unwrap_or_default());
                }
                _ = frame.tick() => self.draw()?,
            }
        }
    }

    /// Plays the script to its end, with the caller at work; whether the demo kept its word.
    ///
    /// # Errors
    /// Stdout is gone, or a process or the registry cannot be started.
    pub(crate) async fn play(&mut self) -> anyhow::Result<bool> {
        let (done, mut requests) = mpsc::channel(UNCOUNTED);
        let (stop, stopped) = oneshot::channel();
        let mut calling = JoinSet::new();
        let callers = (self.discovery.clone(), self.web.clone());
        calling.spawn(caller::run(callers, self.start, done, stopped));
        self.acts(&mut requests).await?;
        let _stopped_already = stop.send(());
        while let Some(request) = requests.recv().await {
            self.count(&request);
        }
        self.look()?;
        self.draw()?;
        Ok(self.tally.kept_its_word())
    }

    async fn acts(&mut self, requests: &mut mpsc::Receiver<Request>) -> anyhow::Result<()> {
        let (mut beat, mut frame) = (interval(BEAT), interval(FRAME));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        frame.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let rest = self.script.next_at().unwrap_or_default().saturating_sub(self.start.elapsed());
            tokio::select! {
                Some(request) = requests.recv() => self.count(&request),
                changes = self.view.changed() => self.changed(&changes?)?,
                (id, how) = self.fleet.ended() => self.ended(&id, how)?,
                () = sleep(rest) => {
                    if self.act().await? == Next::End {
                        return Ok(());
                    }
                }
                _ = beat.tick() => self.look()?,
                _ = frame.tick() => self.draw()?,
            }
        }
    }

    fn count(&mut self, request: &Request) {
        self.tally.request(request, self.fleet.alive());
    }

    /// Carries out the act that is due.
    async fn act(&mut self) -> anyhow::Result<Next> {
        let now = self.start.elapsed();
        let Some(act) = self.script.due(now) else { return Ok(Next::Act) };
        match act {
            Act::Kill(id) => {
                self.fleet.kill(&id);
                self.tell(format!("{id} gets SIGKILL: it cannot say that it dies"), Ink::Bad)?;
                self.tally.act(Subject::Killed(id), now);
            }
            Act::Leave(id) => {
                self.fleet.leave(&id);
                let drain = screen::length(instance::DRAIN);
                let text = format!("{id} gets SIGTERM: it deregisters, serves on for {drain}, and stops");
                self.tell(text, Ink::Doubtful)?;
                self.tally.act(Subject::Left(id), now);
            }
            Act::Deploy { new, old } => {
                let text =
                    format!("{} ({}) is deployed; {old} leaves once it is healthy", new.id, new.version);
                self.tell(text, Ink::Doubtful)?;
                self.tally.act(Subject::Deployed { new: new.id.clone(), old: old.clone() }, now);
                self.deploying = Some((new.id.clone(), old));
                self.fleet.start(new)?;
            }
            Act::StopRegistry => {
                self.host.stop().await;
                self.tell("the registry stops, and what it knew is lost".to_owned(), Ink::Bad)?;
                self.tally.act(Subject::RegistryStopped, now);
            }
            Act::StartRegistry => {
                self.host.start().await?;
                self.tell("the registry is started again on the same port, empty".to_owned(), Ink::Doubtful)?;
                self.tally.act(Subject::RegistryStarted, now);
            }
            Act::End => return Ok(Next::End),
        }
        Ok(Next::Act)
    }

    /// The view has changed.
    fn changed(&mut self, changes: &Changes) -> anyhow::Result<()> {
        for (text, ink) in look::lines(changes) {
            self.tell(format!("  view: {text}"), ink)?;
        }
        self.look()
    }

    /// Sees whether the view has caught up with what happened.
    fn look(&mut self) -> anyhow::Result<()> {
        let snapshot = self.snapshot();
        let now = self.start.elapsed();
        for one in snapshot.instances() {
            self.places.insert(one.identity.id.to_string(), one.authority());
        }
        let running = self.fleet.members().filter(|(_, process)| *process == Process::Running);
        let look = Look { snapshot: &snapshot, running: running.map(|(spec, _)| &spec.id).collect() };
        let known: Vec<(Subject, Duration)> = look.known(&mut self.tally, now);
        for (subject, took) in known {
            self.tell(
                format!("  view: {}, {} after", look::noticed(&subject), screen::length(took)),
                Ink::Good,
            )?;
            if let Some((_, old)) = self
                .deploying
                .take_if(|(new, _)| matches!(&subject, Subject::Deployed { new: known, .. } if known == new))
            {
                self.fleet.leave(&old);
                self.tell(format!("{old} gets SIGTERM, for its successor is healthy"), Ink::Doubtful)?;
            }
        }
        Ok(())
    }

    fn ended(&mut self, id: &str, how: Option<String>) -> anyhow::Result<()> {
        match how {
            Some(how) => self.tell(format!("{id} ended, and nobody had asked it to: {how}"), Ink::Bad),
            None => Ok(()),
        }
    }

    fn tell(&mut self, text: String, ink: Ink) -> anyhow::Result<()> {
        let event = Event { at: self.start.elapsed(), text, ink };
        self.display.event(&event)?;
        self.events.push(event);
        Ok(())
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.web.snapshot()
    }

    fn draw(&mut self) -> anyhow::Result<()> {
        let picture = self.picture();
        self.display.draw(&picture)
    }

    fn picture(&self) -> Picture {
        let now = self.start.elapsed();
        let snapshot = self.snapshot();
        let row = |(spec, process): (&Spec, Process)| {
            let (picks, rate) = self.tally.picks(&spec.id, now);
            Row {
                id: spec.id.clone(),
                address: self.places.get(&spec.id).cloned().unwrap_or_default(),
                zone: spec.zone.to_owned(),
                version: spec.version.to_owned(),
                process,
                status: look::status(&snapshot, &spec.id),
                rate,
                picks,
            }
        };
        Picture {
            elapsed: now,
            length: self.setting.length,
            registry: self.setting.url.clone(),
            registry_state: self.host.state().to_owned(),
            view: look::freshness(&snapshot, Instant::now().into_std()),
            rows: self.fleet.members().map(row).collect(),
            sent: self.tally.sent,
            served: self.tally.served,
            retried: self.tally.retried,
            lost: self.tally.lost.saturating_add(self.tally.hopeless),
            events: self.events.clone(),
        }
    }

    /// The last word.
    pub(crate) fn summary(&self, color: bool) -> String {
        screen::summary(&self.tally, color)
    }

    /// What to try by hand.
    pub(crate) fn addresses(&self) -> String {
        look::addresses(&self.setting, &self.snapshot())
    }

    /// Stays, telling of processes that end.
    ///
    /// # Errors
    /// Stdout is gone.
    pub(crate) async fn linger(&mut self) -> anyhow::Result<()> {
        loop {
            let (id, how) = self.fleet.ended().await;
            if let Some(how) = how {
                crate::output::print(&format!("{id} ended: {how}\n"))?;
            }
        }
    }

    /// Ends every process, and takes out of the registry what they could not.
    ///
    /// # Errors
    /// An instance may be left in somebody's registry: which, and why.
    pub(crate) async fn clear(&mut self) -> anyhow::Result<()> {
        self.fleet.shutdown().await;
        let cleared = timeout(LAST, self.deregister_all()).await;
        let cleared = cleared.map_err(anyhow::Error::from).and_then(|done| done);
        if let Err(late) = self.discovery.close(LAST).await {
            tracing::debug!(error = late.chain(), "the caller's view did not end in time");
        }
        self.host.stop().await;
        let service = &self.setting.service;
        cleared.with_context(|| format!("instances of {service} may be left in the registry"))
    }

    /// Takes out of somebody's registry what has not left by itself. What has, is no error.
    async fn deregister_all(&self) -> anyhow::Result<()> {
        if self.setting.owner == Owner::Ours {
            return Ok(());
        }
        let registry = self.discovery.registry();
        for (spec, _) in self.fleet.members() {
            let id = ServiceId::new(&spec.id)?;
            cmd::ask(&registry, registry.deregister(&id)).await?;
        }
        Ok(())
    }
}
