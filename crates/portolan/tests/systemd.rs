//! systemd's watchdog is fed while the tasks of a Discovery live, and not a moment longer.
#![cfg(unix)]

use std::{
    ffi::OsString,
    os::unix::net::UnixDatagram,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use portolan::{
    Config, Discovery, Instance, Registry, Select, ServiceId,
    registry::{
        AgentInfo, Answer, CatalogQuery, Definition, Registered, Reply, Report, ServiceQuery, ServiceTags,
        memory::Memory,
    },
    systemd::Systemd,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A registry with a bug: while it is set, a read of a service brings down the task that reads.
#[derive(Debug)]
struct Buggy {
    inner: Memory,
    panics: AtomicBool,
}

impl Registry for Buggy {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn service<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Vec<Arc<Instance>>>> {
        assert!(!self.panics.load(Ordering::SeqCst), "the bug of this test");
        self.inner.service(query)
    }

    fn services<'a>(&'a self, query: &'a CatalogQuery) -> Reply<'a, Answer<ServiceTags>> {
        self.inner.services(query)
    }

    fn agent(&self) -> Reply<'_, AgentInfo> {
        self.inner.agent()
    }

    fn registered<'a>(&'a self, ids: &'a [ServiceId]) -> Reply<'a, Vec<Registered>> {
        self.inner.registered(ids)
    }

    fn register<'a>(&'a self, definition: &'a Definition) -> Reply<'a, ()> {
        self.inner.register(definition)
    }

    fn deregister<'a>(&'a self, id: &'a ServiceId) -> Reply<'a, ()> {
        self.inner.deregister(id)
    }

    fn report<'a>(&'a self, report: &'a Report) -> Reply<'a, ()> {
        self.inner.report(report)
    }

    fn maintenance<'a>(&'a self, id: &'a ServiceId, reason: Option<&'a str>) -> Reply<'a, ()> {
        self.inner.maintenance(id, reason)
    }
}

/// What stands in for systemd, which ends a program that is silent for 30 s.
struct Listener {
    socket: UnixDatagram,
    directory: tempfile::TempDir,
}

impl Listener {
    fn new() -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        let socket = UnixDatagram::bind(directory.path().join("notify"))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, directory })
    }

    fn systemd(&self) -> Result<Systemd, Failure> {
        let path = self.directory.path().join("notify");
        Ok(Systemd::from_vars(|name| match name {
            "NOTIFY_SOCKET" => Some(path.clone().into()),
            "WATCHDOG_USEC" => Some(OsString::from("30000000")),
            _ => None,
        })?)
    }

    /// How often the watchdog was fed since it was asked last.
    fn fed(&self) -> usize {
        let mut bytes = [0; 64];
        let mut fed = 0;
        while let Ok(length) = self.socket.recv(&mut bytes) {
            assert_eq!(bytes.get(..length), Some(&b"WATCHDOG=1"[..]));
            fed += 1;
        }
        fed
    }
}

/// Lets so many seconds pass; the clock is paused, and jumps when all tasks wait.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn the_watchdog_is_fed_twice_an_interval_until_the_discovery_is_closed() -> Result<(), Failure> {
    let listener = Listener::new()?;
    let discovery = Discovery::with_registry(Arc::new(Memory::new()), Config::default());
    discovery.feed_watchdog(&Systemd::default()); // nobody asked
    discovery.feed_watchdog(&listener.systemd()?);
    pass(1).await;
    assert_eq!(listener.fed(), 1, "at once");
    pass(60).await;
    assert_eq!(listener.fed(), 4);
    discovery.close(Duration::from_secs(5)).await?;
    pass(60).await;
    assert_eq!(listener.fed(), 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_watchdog_is_not_fed_while_a_task_falls_down_again_and_again() -> Result<(), Failure> {
    let listener = Listener::new()?;
    let buggy = Arc::new(Buggy { inner: Memory::new(), panics: AtomicBool::new(false) });
    let registry: Arc<dyn Registry> = Arc::<Buggy>::clone(&buggy);
    let discovery = Discovery::with_registry(registry, Config::default());
    discovery.feed_watchdog(&listener.systemd()?);
    let web = discovery.service_now("web", Select::default())?;
    pass(61).await;
    assert_eq!(listener.fed(), 5);

    buggy.panics.store(true, Ordering::SeqCst);
    pass(60).await; // the open wait is over, and the view's task is down
    listener.fed();
    pass(300).await;
    assert_eq!(listener.fed(), 0, "systemd would end the program now");

    buggy.panics.store(false, Ordering::SeqCst);
    pass(61).await;
    let fed = listener.fed();
    assert!((4..=5).contains(&fed), "{fed}");
    drop(web);
    discovery.close(Duration::from_secs(5)).await?;
    Ok(())
}
