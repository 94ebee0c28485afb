//! A disk that fails when it is told to, and loses power. For tests.
//!
//! In:  which operations fail, and at which one the power goes. Out: a [`Place`], and what is left after the power went.
//!
//! What was synced is there. Of what was not, any part may be: each piece of each write that lies in one sector of 512
//! bytes is there or not, by chance. A sync that fails leaves it open what it wrote, for good: a later one that succeeds
//! does not write it again (as Linux does it). A renamed file is under its old name or its new one until the
//! directory was synced.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_types,
    reason = "a test that overflows fails, as it should"
)]

use std::{
    io,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redb::{Builder, Database, StorageBackend};

use super::{CACHE, Place, Trouble};
use crate::chance::Chance;

const SECTOR: usize = 512;

/// The disk. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Simulated(Arc<Mutex<Files>>);

#[derive(Debug)]
struct Files {
    chance: Chance,
    files: Vec<File>,
    /// Which file has the name, as the system shows it and as the disk has it.
    named: Option<usize>,
    named_for_good: Option<usize>,
    new: Option<usize>,
    done: u64,
    fails: Range<u64>,
    dies_at: Option<u64>,
}

#[derive(Debug, Default)]
struct File {
    shown: Vec<u8>,
    synced: Vec<u8>,
    since: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

fn write(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    if bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    bytes[at..at + data.len()].copy_from_slice(data);
}

impl File {
    /// What is on the disk when the power goes: any part of what was not synced.
    fn left(&self, chance: &mut Chance) -> Vec<u8> {
        let mut left = self.synced.clone();
        // From nothing of it to all of it.
        let share = chance.next() % 9;
        for change in &self.since {
            match change {
                Change::Length(length) => {
                    if chance.next() % 8 < share {
                        left.resize(*length, 0);
                    }
                }
                Change::Write(at, data) => {
                    let mut from = 0;
                    while from < data.len() {
                        let to = data.len().min((at + from) / SECTOR * SECTOR + SECTOR - at);
                        if chance.next() % 8 < share {
                            write(&mut left, at + from, &data[from..to]);
                        }
                        from = to;
                    }
                }
            }
        }
        left
    }
}

impl Simulated {
    pub(crate) fn new(seed: u64) -> Self {
        let files = Files {
            chance: Chance::new(seed),
            files: Vec::new(),
            named: None,
            named_for_good: None,
            new: None,
            done: 0,
            fails: 0..0,
            dies_at: None,
        };
        Self(Arc::new(Mutex::new(files)))
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many operations there were.
    pub(crate) fn done(&self) -> u64 {
        self.files().done
    }

    /// The operations of these numbers fail.
    pub(crate) fn fail(&self, which: Range<u64>) {
        self.files().fails = which;
    }

    /// The power goes at the operation of this number, in its midst.
    pub(crate) fn die_at(&self, number: u64) {
        self.files().dies_at = Some(number);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.files().is_dead()
    }

    /// The power goes, if it has not gone already. What is left, as a disk that works.
    pub(crate) fn after_power_loss(&self) -> Self {
        let mut files = self.files();
        let files = &mut *files;
        let chance = &mut files.chance;
        let named = if chance.next().is_multiple_of(2) { files.named } else { files.named_for_good };
        let next = Self::new(chance.next());
        if let Some(named) = named {
            let left = files.files[named].left(chance);
            let mut next = next.files();
            next.files.push(File { shown: left.clone(), synced: left, since: Vec::new() });
            (next.named, next.named_for_good) = (Some(0), Some(0));
        }
        files.dies_at = Some(0);
        next
    }

    fn open(&self, file: usize, verify: bool) -> Result<Database, Trouble> {
        let backend = Backend { disk: self.clone(), file };
        let mut builder = Builder::new();
        Ok(builder.set_cache_size(CACHE).set_check_integrity_on_open(verify).create_with_backend(backend)?)
    }
}

enum Go {
    On,
    Fail,
    Die,
}

impl Files {
    fn is_dead(&self) -> bool {
        self.dies_at.is_some_and(|at| self.done > at)
    }

    fn step(&mut self) -> Go {
        let number = self.done;
        self.done += 1;
        match self.dies_at {
            Some(at) if number == at => Go::Die,
            Some(at) if number > at => Go::Fail,
            _ if self.fails.contains(&number) => Go::Fail,
            _ => Go::On,
        }
    }

    fn change(&mut self, file: usize, change: Change) -> io::Result<()> {
        let go = self.step();
        if matches!(go, Go::Fail) {
            return Err(io::Error::other("the disk said no"));
        }
        let file = &mut self.files[file];
        match &change {
            Change::Write(at, data) => write(&mut file.shown, *at, data),
            Change::Length(length) => file.shown.resize(*length, 0),
        }
        file.since.push(change);
        if matches!(go, Go::Die) { Err(io::Error::other("the power went")) } else { Ok(()) }
    }

    fn sync(&mut self, file: usize) -> io::Result<()> {
        let go = self.step();
        let file = &mut self.files[file];
        match go {
            Go::Die => return Err(io::Error::other("the power went")),
            Go::Fail => file.synced = file.left(&mut self.chance),
            Go::On => {
                for change in &file.since {
                    match change {
                        Change::Write(at, data) => write(&mut file.synced, *at, data),
                        Change::Length(length) => file.synced.resize(*length, 0),
                    }
                }
            }
        }
        file.since.clear();
        if matches!(go, Go::Fail) { Err(io::Error::other("the disk could not sync")) } else { Ok(()) }
    }
}

impl Place for Simulated {
    fn open(&self) -> Result<Option<Database>, Trouble> {
        let named = self.files().named;
        named.map(|named| self.open(named, true)).transpose()
    }

    fn create(&self) -> Result<Database, Trouble> {
        let new = {
            let mut files = self.files();
            if !matches!(files.step(), Go::On) {
                return Err(Trouble::Disk("the disk makes no file".to_owned()));
            }
            files.files.push(File::default());
            let new = files.files.len() - 1;
            files.new = Some(new);
            new
        };
        self.open(new, false)
    }

    fn adopt(&self) -> Result<(), Trouble> {
        let mut files = self.files();
        let renamed = files.step();
        if matches!(renamed, Go::On | Go::Die)
            && let Some(new) = files.new.take()
        {
            files.named = Some(new);
        }
        let synced = if matches!(renamed, Go::On) { files.step() } else { Go::Fail };
        if !matches!(synced, Go::On) {
            return Err(Trouble::Disk("the disk does not rename".to_owned()));
        }
        files.named_for_good = files.named;
        Ok(())
    }

    fn discard(&self) -> Result<(), Trouble> {
        self.files().new = None;
        Ok(())
    }
}

#[derive(Debug)]
struct Backend {
    disk: Simulated,
    file: usize,
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).expect("a file of a test is small")
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        let mut files = self.disk.files();
        match files.step() {
            Go::On => Ok(files.files[self.file].shown.len() as u64),
            Go::Fail | Go::Die => Err(io::Error::other("the disk said no")),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut files = self.disk.files();
        let go = files.step();
        let from = place(offset);
        match files.files[self.file].shown.get(from..from + out.len()) {
            Some(found) if matches!(go, Go::On) => out.copy_from_slice(found),
            _ => return Err(io::Error::other("the disk said no")),
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.files().change(self.file, Change::Length(place(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.files().sync(self.file)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.files().change(self.file, Change::Write(place(offset), data.to_vec()))
    }
}
