//! A registry that says what a test tells it to, for the tests of what stands on a registry.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use crate::{
    error::{Error, Kind},
    model::{Identity, Instance, ServiceId},
    registry::{
        AgentInfo, Answer, Block, CatalogQuery, Definition, Registered, Registry, Reply, Report,
        ServiceQuery, ServiceTags,
    },
};

mod shelf;

pub(crate) use shelf::{Mode, Shelf};

/// What is said to one read.
type Line<T = Vec<Arc<Instance>>> = Result<Answer<T>, Kind>;

/// What is said to reads of one kind; when it is used up, blocking reads wait for more and others repeat the last answer.
#[derive(Debug)]
struct Script<T> {
    #[expect(clippy::disallowed_types, reason = "a test's own")]
    lines: std::sync::Mutex<VecDeque<Line<T>>>,
    #[expect(clippy::disallowed_types, reason = "a test's own")]
    last: std::sync::Mutex<Option<Answer<T>>>,
    more: Notify,
}

impl<T> Default for Script<T> {
    fn default() -> Self {
        Self { lines: Default::default(), last: Default::default(), more: Notify::new() }
    }
}

impl<T: Clone> Script<T> {
    fn push(&self, next: Line<T>) {
        self.lines.lock().unwrap().push_back(next);
        self.more.notify_waiters();
    }

    async fn next(&self, block: Option<Block>, hangs: bool) -> Result<Answer<T>, Error> {
        loop {
            let more = self.more.notified();
            let next = self.lines.lock().unwrap().pop_front();
            match next {
                Some(Ok(answer)) => {
                    *self.last.lock().unwrap() = Some(answer.clone());
                    return Ok(answer);
                }
                Some(Err(kind)) => return Err(Error::new(kind, "scripted")),
                None => {}
            }
            let last = self.last.lock().unwrap().clone();
            match (block, last) {
                (None, Some(last)) if !hangs => return Ok(last),
                (None, _) => more.await,
                (Some(block), last) => {
                    let waited = tokio::time::timeout(block.wait, more).await;
                    if let (Err(_elapsed), Some(last)) = (waited, last) {
                        return Ok(last);
                    }
                }
            }
        }
    }
}

/// Answers reads from scripts.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    script: Script<Vec<Arc<Instance>>>,
    lists: Script<ServiceTags>,
    pub(crate) open: AtomicUsize,
    pub(crate) most_open: AtomicUsize,
    #[expect(clippy::disallowed_types, reason = "a test's own")]
    pub(crate) asked: std::sync::Mutex<Vec<ServiceQuery>>,
    #[expect(clippy::disallowed_types, reason = "a test's own")]
    pub(crate) asked_lists: std::sync::Mutex<Vec<CatalogQuery>>,
    hangs: bool,
}

/// Puts this text in the place of a file, as an operator should: whole, or not at all.
pub(crate) fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

/// A passing instance `web-ID` on port 1000 + ID.
pub(crate) fn instance(id: u16) -> Instance {
    Instance::new(Identity::new("dc1", "n1", &format!("web-{id}")), "web", "10.0.0.1", 1000 + id)
}

/// An answer with these instances.
pub(crate) fn answer(ids: &[u16], index: u64) -> Answer<Vec<Arc<Instance>>> {
    Answer::new(ids.iter().map(|id| Arc::new(instance(*id))).collect(), index)
}

/// A list of these services, each with the tag that follows its name, as in `web:blue db`.
pub(crate) fn list(services: &str, index: u64) -> Answer<ServiceTags> {
    let one = |word: &str| {
        let (name, tags) = word.split_once(':').unwrap_or((word, ""));
        (name.into(), tags.split_terminator(',').map(Into::into).collect())
    };
    Answer::new(services.split_whitespace().map(one).collect(), index)
}

impl Scripted {
    pub(crate) fn new(script: impl IntoIterator<Item = Line>) -> Arc<Self> {
        let scripted = Self::default();
        scripted.script.lines.lock().unwrap().extend(script);
        Arc::new(scripted)
    }

    /// One whose reads that do not wait never answer.
    pub(crate) fn hanging() -> Arc<Self> {
        Arc::new(Self { hangs: true, ..Self::default() })
    }

    pub(crate) fn push(&self, next: Line) {
        self.script.push(next);
    }

    pub(crate) fn push_list(&self, next: Line<ServiceTags>) {
        self.lists.push(next);
    }

    async fn read(&self, query: &ServiceQuery) -> Result<Answer<Vec<Arc<Instance>>>, Error> {
        let _open = Open::new(self);
        self.asked.lock().unwrap().push(query.clone());
        self.script.next(query.block, self.hangs).await
    }

    async fn list(&self, query: &CatalogQuery) -> Result<Answer<ServiceTags>, Error> {
        let _open = Open::new(self);
        self.asked_lists.lock().unwrap().push(query.clone());
        self.lists.next(query.block, self.hangs).await
    }
}

/// Counts reads that are open, until dropped.
struct Open<'a>(&'a Scripted);

impl<'a> Open<'a> {
    fn new(registry: &'a Scripted) -> Self {
        let open = registry.open.fetch_add(1, Ordering::SeqCst) + 1;
        registry.most_open.fetch_max(open, Ordering::SeqCst);
        Self(registry)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn not_scripted<'a, T: Send + 'a>() -> Reply<'a, T> {
    Box::pin(std::future::ready(Err(Error::new(Kind::Rejected, "not scripted"))))
}

impl Registry for Scripted {
    fn describe(&self) -> String {
        "a scripted registry".to_owned()
    }

    fn service<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Vec<Arc<Instance>>>> {
        Box::pin(self.read(query))
    }

    fn services<'a>(&'a self, query: &'a CatalogQuery) -> Reply<'a, Answer<ServiceTags>> {
        Box::pin(self.list(query))
    }

    fn agent(&self) -> Reply<'_, AgentInfo> {
        not_scripted()
    }

    fn registered<'a>(&'a self, _: &'a [ServiceId]) -> Reply<'a, Vec<Registered>> {
        not_scripted()
    }

    fn register<'a>(&'a self, _: &'a Definition) -> Reply<'a, ()> {
        not_scripted()
    }

    fn deregister<'a>(&'a self, _: &'a ServiceId) -> Reply<'a, ()> {
        not_scripted()
    }

    fn report<'a>(&'a self, _: &'a Report) -> Reply<'a, ()> {
        not_scripted()
    }

    fn maintenance<'a>(&'a self, _: &'a ServiceId, _: Option<&'a str>) -> Reply<'a, ()> {
        not_scripted()
    }
}
