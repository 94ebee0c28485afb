//! One registry, and what can happen to it: killed, wiped, restored, stopped, cut off, slow, resetting.
//!
//! In:  a node behind a proxy. Out: a row a scene: when the views noticed, when they were right again, what lookups saw.
//!
//! The Discovery under trial looks through the proxy; the owners of the instances, and the trial, do not.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use portolan_server::faults::{Faults, Plan, Proxy};
use rustix::process::Signal;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    Setting,
    crowd::Crowd,
    node::Node,
    stage::{Proof, Size, Stage, at, back},
    table::{Table, perhaps, time},
};

/// What a scene gave.
#[derive(Debug, Default)]
pub(crate) struct Scene {
    pub(crate) lasted: Duration,
    /// When the first and the last view said that reads fail, from the beginning of the trouble.
    pub(crate) noticed: [Option<Duration>; 2],
    /// When all views were right again, from the moment at which the registry was.
    pub(crate) converged: Option<Duration>,
}

/// The columns.
pub(crate) const HEAD: &[&str] = &[
    "what happens",
    "trouble lasts",
    "first / last view notices after",
    "all views right, after it is over",
    "lookups",
    "failed",
    "in the outage",
    "oldest answer",
];

/// Everything that a scene is played with.
struct Play {
    node: Node,
    proxy: Proxy,
    stage: Stage,
    crowd: Crowd,
    trouble: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    KilledWithData,
    KilledAndWiped,
    Restored,
    Stopped,
    CutOff,
    Slow,
    Resetting,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::KilledWithData => "kill -9, started again with its data",
            Self::KilledAndWiped => "kill -9, started again without its data; the keepers register anew",
            Self::Restored => {
                "an older snapshot is restored: the index goes back; until the view has what the catalogue has"
            }
            Self::Stopped => "SIGSTOP, then SIGCONT; a change after that",
            Self::CutOff => "connections reset and refused; a change meanwhile",
            Self::Slow => "each answer 2 s late; a change meanwhile, from which convergence is counted",
            Self::Resetting => {
                "3 in 4 reads end in a reset; a change meanwhile, from which convergence is counted"
            }
        }
    }
}

/// The embedded registry.
pub(crate) async fn embedded(setting: &Setting) -> anyhow::Result<Table> {
    // It keeps nothing on disk, so a restart is always one without data.
    let scenes = [What::KilledAndWiped, What::Stopped, What::CutOff, What::Slow, What::Resetting];
    let mut table = Table::new(HEAD);
    for what in scenes.into_iter().filter(|what| setting.wants(what.name())) {
        play(what, Node::embedded().await?, setting, &mut table).await?;
    }
    Ok(table)
}

/// One Consul.
pub(crate) async fn consul(setting: &Setting) -> anyhow::Result<Table> {
    let scenes = [
        What::KilledWithData,
        What::KilledAndWiped,
        What::Restored,
        What::Stopped,
        What::CutOff,
        What::Slow,
        What::Resetting,
    ];
    let mut table = Table::new(HEAD);
    for what in scenes.into_iter().filter(|what| setting.wants(what.name())) {
        let node = Node::consul(setting.consul()?, json!({})).await?;
        play(what, node, setting, &mut table).await?;
    }
    Ok(table)
}

async fn play(what: What, node: Node, setting: &Setting, table: &mut Table) -> anyhow::Result<()> {
    let name = what.name();
    println!("   {name}");
    let size = Size { services: 40, instances: 3, threads: 4, rate: 1_000 };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let proxy = Proxy::start(any, node.http(), Faults::default()).await?;
    let stage = Stage::new(size, node.http(), at(proxy.addr())?).await?;
    let crowd = stage.crowd(size);
    let mut play = Play { node, proxy, stage, crowd, trouble: setting.time(20, 8) };
    let scene = match what {
        What::KilledWithData => play.killed(Data::Kept).await,
        What::KilledAndWiped => play.killed(Data::Wiped).await,
        What::Restored => play.restored().await,
        What::Stopped => play.stopped().await,
        What::CutOff => play.cut_off().await,
        What::Slow => play.troubled("GET /v1/health/service/* delay:2s 1").await,
        What::Resetting => {
            play.troubled("GET /v1/health/service/* reset 0.5\nGET /v1/health/service/* reset-midway 0.5")
                .await
        }
    };
    let tally = play.stage.end(play.crowd).await?;
    tell(table, name, &scene.context(name)?, &tally);
    Ok(())
}

/// One row, and what of it must hold.
pub(crate) fn tell(table: &mut Table, name: &str, scene: &Scene, tally: &crate::crowd::Tally) {
    let [first, last] = scene.noticed;
    table.row([
        name.to_owned(),
        time(scene.lasted),
        format!("{} / {}", perhaps(first), perhaps(last)),
        perhaps(scene.converged),
        tally.made.to_string(),
        tally.failed.to_string(),
        tally.in_outage.to_string(),
        time(tally.oldest),
    ]);
    if let Some(wrong) = tally.wrong() {
        table.must(false, format!("{name}: {wrong}"));
    }
    table.must(scene.converged.is_some(), format!("{name}: the views did not converge"));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    Kept,
    Wiped,
}

impl Play {
    fn first(&self) -> String {
        self.stage.names.first().cloned().unwrap_or_default()
    }

    /// Deregisters one instance, then takes the registry away; when it is back, all must be as it was.
    async fn killed(&mut self, data: Data) -> anyhow::Result<Scene> {
        let name = self.first();
        self.stage.deregister(&name, 0, &self.crowd).await?;
        let begun = Instant::now();
        self.node.kill()?;
        self.crowd.registry_is_gone();
        let noticed = self.stage.noticed(begun, self.trouble).await;
        sleep(self.trouble.saturating_sub(begun.elapsed())).await;
        if data == Data::Wiped {
            self.node.wipe()?;
        }
        self.crowd.registry_may_answer();
        // A view may well read again before the trial finds that there is a leader.
        let launched = Instant::now();
        self.node.launch()?;
        let over = back(&self.node, &name).await?;
        let converged = Some(self.stage.converged(over, Proof::After(launched)).await?);
        Ok(Scene { lasted: over.duration_since(begun), noticed, converged })
    }

    /// Saves, changes something, restores: the agent's own instances come back by themselves.
    async fn restored(&mut self) -> anyhow::Result<Scene> {
        let name = self.first();
        let file = self.node.file("snapshot").display().to_string();
        self.node.command(&["snapshot", "save", &file]).await?;
        for number in 10..20 {
            self.stage.register(&name, number).await?;
        }
        self.stage.converged(Instant::now(), Proof::Any).await?;
        let begun = Instant::now();
        self.node.command(&["snapshot", "restore", &file]).await?;
        let over = back(&self.node, &name).await?;
        let converged = Some(self.stage.equals(&self.node.client()?, &name, over).await?);
        // What was registered since the snapshot is in the agent still, and in the catalogue when the agent compares
        // the two: Consul does so each minute or two.
        let again = self.stage.converged(over, Proof::After(over)).await?;
        println!(
            "   Consul's agent had brought everything back, and the views with it, after {}",
            time(again)
        );
        Ok(Scene { lasted: over.duration_since(begun), noticed: [None, None], converged })
    }

    async fn stopped(&mut self) -> anyhow::Result<Scene> {
        let name = self.first();
        self.stage.deregister(&name, 0, &self.crowd).await?;
        let begun = Instant::now();
        self.node.signal(Signal::STOP)?;
        self.crowd.registry_is_gone();
        let noticed = self.stage.noticed(begun, self.trouble).await;
        sleep(self.trouble.saturating_sub(begun.elapsed())).await;
        self.crowd.registry_may_answer();
        self.node.signal(Signal::CONT)?;
        let over = back(&self.node, &name).await?;
        self.stage.register(&name, 9).await?;
        let converged = Some(self.stage.converged(over, Proof::Any).await?);
        Ok(Scene { lasted: over.duration_since(begun), noticed, converged })
    }

    async fn cut_off(&mut self) -> anyhow::Result<Scene> {
        let name = self.first();
        self.stage.deregister(&name, 0, &self.crowd).await?;
        let begun = Instant::now();
        self.proxy.cut();
        self.crowd.registry_is_gone();
        let noticed = self.stage.noticed(begun, self.trouble).await;
        self.stage.register(&name, 9).await?;
        sleep(self.trouble.saturating_sub(begun.elapsed())).await;
        self.crowd.registry_may_answer();
        let over = Instant::now();
        self.proxy.resume();
        let converged = Some(self.stage.converged(over, Proof::After(over)).await?);
        Ok(Scene { lasted: over.duration_since(begun), noticed, converged })
    }

    /// Answers go wrong all the time; a change is seen all the same.
    async fn troubled(&mut self, rules: &str) -> anyhow::Result<Scene> {
        let name = self.first();
        let begun = Instant::now();
        self.proxy.faults().set(Plan::parse(rules)?.seed(1));
        self.proxy.sever();
        let noticed = self.stage.noticed(begun, self.trouble).await;
        sleep(self.trouble.saturating_sub(begun.elapsed())).await;
        let changed = Instant::now();
        self.stage.register(&name, 9).await?;
        let converged = Some(self.stage.seen(&name, changed).await?);
        self.proxy.faults().clear();
        self.stage.converged(Instant::now(), Proof::Any).await?;
        Ok(Scene { lasted: changed.duration_since(begun), noticed, converged })
    }
}
