//! A registry that says what a test tells it to, for the tests of what stands on a registry.

use std::{
    collections::VecDeque,
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
        AgentInfo, Answer, CatalogQuery, Definition, Registered, Registry, Reply, Report, ServiceQuery,
        ServiceTags,
    },
};

/// What is said to one read.
type Line = Result<Answer<Vec<Arc<Instance>>>, Kind>;

/// Answers reads from a script; when it is used up, blocking reads wait for more and others repeat the last answer.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    #[expect(clippy::disallowed_types, reason = "a test's own")]
    script: std::sync::Mutex<VecDeque<Line>>,
    #[expect(clippy::disallowed_types, reason = "a test's own")]
    last: std::sync::Mutex<Option<Answer<Vec<Arc<Instance>>>>>,
    more: Notify,
    pub(crate) open: AtomicUsize,
    pub(crate) most_open: AtomicUsize,
    #[expect(clippy::disallowed_types, reason = "a test's own")]
    pub(crate) asked: std::sync::Mutex<Vec<ServiceQuery>>,
    hangs: bool,
}

/// A passing instance `web-ID` on port 1000 + ID.
pub(crate) fn instance(id: u16) -> Instance {
    Instance::new(Identity::new("dc1", "n1", &format!("web-{id}")), "web", "10.0.0.1", 1000 + id)
}

/// An answer with these instances.
pub(crate) fn answer(ids: &[u16], index: u64) -> Answer<Vec<Arc<Instance>>> {
    Answer::new(ids.iter().map(|id| Arc::new(instance(*id))).collect(), index)
}

impl Scripted {
    pub(crate) fn new(script: impl IntoIterator<Item = Line>) -> Arc<Self> {
        let scripted = Self::default();
        scripted.script.lock().unwrap().extend(script);
        Arc::new(scripted)
    }

    /// One whose reads that do not wait never answer.
    pub(crate) fn hanging() -> Arc<Self> {
        Arc::new(Self { hangs: true, ..Self::default() })
    }

    pub(crate) fn push(&self, next: Line) {
        self.script.lock().unwrap().push_back(next);
        self.more.notify_waiters();
    }

    async fn read(&self, query: &ServiceQuery) -> Result<Answer<Vec<Arc<Instance>>>, Error> {
        let _open = Open::new(self);
        self.asked.lock().unwrap().push(query.clone());
        loop {
            let more = self.more.notified();
            let next = self.script.lock().unwrap().pop_front();
            match next {
                Some(Ok(answer)) => {
                    *self.last.lock().unwrap() = Some(answer.clone());
                    return Ok(answer);
                }
                Some(Err(kind)) => return Err(Error::new(kind, "scripted")),
                None => {}
            }
            let last = self.last.lock().unwrap().clone();
            match (query.block, last) {
                (None, Some(last)) if !self.hangs => return Ok(last),
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

    fn services<'a>(&'a self, _: &'a CatalogQuery) -> Reply<'a, Answer<ServiceTags>> {
        not_scripted()
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
