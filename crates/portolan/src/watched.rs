//! A file that operators edit while programs run: read, checked, followed.
//!
//! In:  a file. Out: a table made of its text, and everyone who subscribed is told of a new one.
//!
//! Never: ends what the file said because it is wrong or gone, for the last good table stays; reads without a limit; logs
//! the same trouble twice in a row.
//!
//! Proof: `overrides/tests.rs`, `splits/tests.rs`.

use std::{
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
    tasks::Tasks,
};

/// How often it is looked whether the file changed.
pub(crate) const LOOK: Duration = Duration::from_secs(2);
/// A longer file is no list that a person keeps.
const LIMIT: u64 = 1024 * 1024;

/// What is made of such a file.
pub(crate) trait Table: Default + Send + Sync + 'static {
    /// The content of the text.
    type Text: Send + 'static;

    /// The setting that names the file.
    const SETTING: &'static str;
    /// What a line of it looks like.
    const EXAMPLE: &'static str;
    /// The metric that counts refusals of it.
    const REFUSED: &'static str;

    /// # Errors
    /// [`Kind::Config`], naming the line.
    fn parse(text: &str) -> Result<Self::Text, Error>;

    /// The table of this text after `self`.
    fn next(&self, text: &Self::Text, now: Instant) -> Self;

    /// Tells people and metrics of it.
    fn report(&self);
}

/// The file, and who is told of it.
#[derive(Debug)]
pub(crate) struct WatchedFile<T> {
    path: Option<PathBuf>,
    table: Arc<watch::Sender<Arc<T>>>,
    /// Whether it is followed.
    #[expect(clippy::disallowed_types, reason = "cold path: the first lookup of a service")]
    followed: std::sync::Mutex<bool>,
}

impl<T: Table> WatchedFile<T> {
    /// No I/O: the file is read when it is opened.
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self { path, table: Arc::default(), followed: false.into() }
    }

    /// The table, and its changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<T>> {
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
        let (stamp, text) = read::<T>(path)?;
        tell(&self.table, &text);
        let (path, table, stop) = (path.clone(), Arc::clone(&self.table), tasks.stop());
        tasks
            .spawn(T::SETTING, move || follow(path.clone(), stamp.clone(), Arc::clone(&table), stop.clone()));
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

fn read<T: Table>(path: &Path) -> Result<(Stamp, T::Text), Error> {
    let wrong =
        |problem: &str| Error::new(Kind::Config, format!("{}: {}: {problem}", T::SETTING, path.display()));
    let unreadable = |cause: std::io::Error| wrong("cannot be read").caused_by(cause);
    let file = File::open(path).map_err(unreadable)?;
    // Of the opened file: should another take its place meanwhile, the next look sees another stamp.
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Err(wrong(&format!("is no file; write one with a line for each service: {}", T::EXAMPLE)));
    }
    let mut text = String::new();
    file.take(LIMIT.saturating_add(1)).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LIMIT {
        return Err(wrong("has over 1 MiB; keep in it only what an operator sets"));
    }
    let text = T::parse(&text).map_err(|cause| wrong("is wrong").caused_by(cause))?;
    Ok((Stamp::new(&about), text))
}

/// What a look at the file found.
enum Look<T> {
    Same,
    Changed(Stamp, T),
    Failed(Option<Stamp>, Error),
}

fn look<T: Table>(path: &Path, seen: Option<&Stamp>) -> Look<T::Text> {
    let stamp = std::fs::metadata(path).ok().map(|about| Stamp::new(&about));
    if stamp.is_some() && stamp.as_ref() == seen {
        return Look::Same;
    }
    match read::<T>(path) {
        Ok((stamp, text)) => Look::Changed(stamp, text),
        Err(error) => Look::Failed(stamp, error),
    }
}

fn tell<T: Table>(table: &watch::Sender<Arc<T>>, text: &T::Text) {
    let now = tokio::time::Instant::now().into_std();
    table.send_modify(|table| *table = Arc::new(table.next(text, now)));
    table.borrow().report();
}

async fn follow<T: Table>(
    path: PathBuf,
    first: Stamp,
    table: Arc<watch::Sender<Arc<T>>>,
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
        let found = tokio::task::spawn_blocking(move || look::<T>(&file, before.as_ref())).await;
        match found.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic())) {
            Look::Same => {}
            Look::Changed(stamp, text) => {
                seen = Some(stamp);
                told.clear();
                tell(&table, &text);
            }
            Look::Failed(stamp, error) => {
                seen = stamp;
                let text = error.chain();
                if text != told {
                    metrics::counter!(T::REFUSED).increment(1);
                    let file = T::SETTING;
                    tracing::error!(
                        file,
                        error = text,
                        "an operator's file cannot be used; what it said before stays"
                    );
                    told = text;
                }
            }
        }
    }
}
