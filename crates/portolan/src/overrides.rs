//! What an operator's file forces: services whose instances are those of the file, whatever the registry says.
//!
//! In:  a file, in the form of a [`StaticList`]. Out: a table, in which a list that did not change keeps its allocation,
//! and everyone who subscribed is told of a new one.
//!
//! Never: ends an override because the file is wrong or gone, for the last good table stays; reads without a limit; logs
//! the same trouble twice in a row.
//!
//! Proof: `overrides/tests.rs`.

use std::{
    collections::BTreeMap,
    fs::{File, Metadata},
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    error::{Error, Kind},
    model::{Instance, ServiceName},
    registry::static_list::StaticList,
    tasks::Tasks,
    telemetry,
};

/// How often it is looked whether the file changed.
const LOOK: Duration = Duration::from_secs(2);
/// A longer file is no list that a person keeps.
const LIMIT: u64 = 1024 * 1024;

/// The instances that are forced for one service.
#[derive(Clone, Debug)]
pub(crate) struct Forced {
    pub(crate) instances: Arc<[Arc<Instance>]>,
    /// When the file was read that says so first.
    pub(crate) since: Instant,
}

/// All that is forced.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    services: BTreeMap<ServiceName, Forced>,
}

impl Overrides {
    /// What is forced for this service.
    pub(crate) fn of(&self, service: &ServiceName) -> Option<&Forced> {
        self.services.get(service)
    }

    /// The table of `list`; what is as it was here stays as it is.
    pub(crate) fn next(&self, list: &StaticList, now: Instant) -> Self {
        let entry = |(service, instances): (&ServiceName, &Vec<Arc<Instance>>)| {
            let same = self.of(service).filter(|forced| *forced.instances == **instances);
            let fresh = || Forced { instances: instances.iter().map(Arc::clone).collect(), since: now };
            (service.clone(), same.cloned().unwrap_or_else(fresh))
        };
        Self { services: list.all().map(entry).collect() }
    }
}

/// The file, and who is told of it.
#[derive(Debug)]
pub(crate) struct OverrideFile {
    path: Option<PathBuf>,
    table: Arc<watch::Sender<Arc<Overrides>>>,
    /// Whether it is followed.
    #[expect(clippy::disallowed_types, reason = "cold path: the first lookup of a service")]
    followed: std::sync::Mutex<bool>,
}

impl OverrideFile {
    /// No I/O: the file is read when it is opened.
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self { path, table: Arc::default(), followed: false.into() }
    }

    /// The table, and its changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Overrides>> {
        self.table.subscribe()
    }

    /// Reads the file and follows it from then on, unless that was done before. The one time that it blocks for a read
    /// of a small file is here, at the door, where the user still is.
    ///
    /// # Errors
    /// [`Kind::Config`] when it cannot be read or is wrong, naming the setting, the file and the line.
    pub(crate) fn open(&self, tasks: &Tasks) -> Result<(), Error> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if *followed {
            return Ok(());
        }
        let (stamp, list) = read(path)?;
        tell(&self.table, &list);
        let (path, table, stop) = (path.clone(), Arc::clone(&self.table), tasks.stop());
        tasks.spawn("overrides", move || {
            follow(path.clone(), stamp.clone(), Arc::clone(&table), stop.clone())
        });
        *followed = true;
        Ok(())
    }
}

/// What tells one state of a file from another. The inode and the times of both content and entry: a file that was put
/// in its place with old times is another one too.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    place: Place,
}

#[cfg(unix)]
type Place = (u64, i64, i64);
#[cfg(not(unix))]
type Place = ();

#[cfg(unix)]
fn place(of: &Metadata) -> Place {
    use std::os::unix::fs::MetadataExt;
    (of.ino(), of.ctime(), of.ctime_nsec())
}

#[cfg(not(unix))]
fn place(_: &Metadata) -> Place {}

impl Stamp {
    fn new(of: &Metadata) -> Self {
        Self { length: of.len(), modified: of.modified().ok(), place: place(of) }
    }
}

fn wrong(path: &Path, problem: &str) -> Error {
    Error::new(Kind::Config, format!("overrides: {}: {problem}", path.display()))
}

fn read(path: &Path) -> Result<(Stamp, StaticList), Error> {
    let unreadable = |cause: std::io::Error| wrong(path, "cannot be read").caused_by(cause);
    let file = File::open(path).map_err(unreadable)?;
    // Of the opened file: should another take its place meanwhile, the next look sees another stamp.
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Err(wrong(
            path,
            "is no file; write one with a line for each service: web=10.0.0.1:80,10.0.0.2:80",
        ));
    }
    let mut text = String::new();
    file.take(LIMIT.saturating_add(1)).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LIMIT {
        return Err(wrong(path, "has over 1 MiB; keep in it only what an operator forces"));
    }
    let list: StaticList = text.parse().map_err(|cause| wrong(path, "is wrong").caused_by(cause))?;
    if let Some((service, _)) = list.all().find(|(_, instances)| instances.is_empty()) {
        let problem = format!(
            "service {service:?} has no address; give it one, or remove its line to end the override"
        );
        return Err(wrong(path, &problem));
    }
    Ok((Stamp::new(&about), list))
}

/// What a look at the file found.
enum Look {
    Same,
    Changed(Stamp, StaticList),
    Failed(Option<Stamp>, Error),
}

fn look(path: &Path, seen: Option<&Stamp>) -> Look {
    let stamp = std::fs::metadata(path).ok().map(|about| Stamp::new(&about));
    if stamp.is_some() && stamp.as_ref() == seen {
        return Look::Same;
    }
    match read(path) {
        Ok((stamp, list)) => Look::Changed(stamp, list),
        Err(error) => Look::Failed(stamp, error),
    }
}

fn tell(table: &watch::Sender<Arc<Overrides>>, list: &StaticList) {
    let now = tokio::time::Instant::now().into_std();
    table.send_modify(|overrides| *overrides = Arc::new(overrides.next(list, now)));
    let forced = u32::try_from(list.all().count()).unwrap_or(u32::MAX);
    metrics::gauge!(telemetry::OVERRIDDEN).set(f64::from(forced));
    tracing::info!(services = forced, "the overrides file was taken in");
}

async fn follow(
    path: PathBuf,
    first: Stamp,
    table: Arc<watch::Sender<Arc<Overrides>>>,
    stop: CancellationToken,
) {
    let mut seen = Some(first);
    let mut told = String::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let (file, before) = (path.clone(), seen.clone());
        let found = tokio::task::spawn_blocking(move || look(&file, before.as_ref())).await;
        match found.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic())) {
            Look::Same => {}
            Look::Changed(stamp, list) => {
                seen = Some(stamp);
                told.clear();
                tell(&table, &list);
            }
            Look::Failed(stamp, error) => {
                seen = stamp;
                let text = error.chain();
                if text != told {
                    metrics::counter!(telemetry::OVERRIDES_REFUSED).increment(1);
                    tracing::error!(
                        error = text,
                        "the overrides file cannot be used; what it said before stays"
                    );
                    told = text;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
