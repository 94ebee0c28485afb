//! A backup in the wrapping of Consul's snapshots, for `consul snapshot save`, `inspect` and `restore`.
//!
//! ```text
//! gzip( tar( meta.json | state.bin | SHA256SUMS ) )
//! state.bin: header | (KIND | bin 32, a part of the backup)*            MessagePack, as Consul's own
//! ```
//!
//! In:  a backup as it is made. Out: the archive; and back, with its files, their sums and each message checked. It blocks.
//!
//! No Consul takes one on: [`OURS`] is a version of snapshots that no Raft knows, and Raft looks at it before it throws away
//! what it has. With a version that it knows, it would throw away its own, fail to read our rows, and end.
//!
//! Never: takes an archive of Consul's for ours; unpacks more than a registry takes.
//!
//! Rules from Consul 1.21: snapshot/archive.go, agent/consul/fsm/snapshot.go; hashicorp/raft 1.7: raft.go
//! `restoreUserSnapshot`. Proof: the tests here; `cargo xtask compat`, client `consul`.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, Read as _},
};

use bytes::Bytes;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use ring::digest;
use serde::{Deserialize, Serialize};

use super::{LARGEST, Writing, Wrong};
use crate::store::Trouble;

/// The version of snapshots that ours have; Raft's go up to 1.
const OURS: u64 = 1000;
/// How what gzip has written begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];
const META: &str = "meta.json";
const STATE: &str = "state.bin";
const SUMS: &str = "SHA256SUMS";
/// A kind of message that Consul has none of, and no flag of (agent/structs/structs.go, `MessageType`).
const KIND: u8 = 0x70;
/// MessagePack: a map of one with this name and a number of 64 bits; bytes with a length of 32 bits.
const HEADER: &[u8] = b"\x81\xa9LastIndex\xcf";
const BIN: u8 = 0xc6;

/// What Raft tells of a snapshot (`raft.SnapshotMeta`).
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    version: u64,
    #[serde(default, rename = "ID")]
    id: String,
    #[serde(default)]
    index: u64,
    #[serde(default)]
    term: u64,
    #[serde(default)]
    size: u64,
}

/// All that is left of a backup, as an archive.
pub(crate) fn wrapped(mut backup: Writing) -> Result<Bytes, Trouble> {
    let index = backup.index();
    let mut state = [HEADER, &index.to_be_bytes()].concat();
    while let Some(part) = backup.part()? {
        let length = u32::try_from(part.len());
        let length = length.map_err(|_too_long| Trouble::Disk("a row is over 4 GiB".to_owned()))?;
        state.extend_from_slice(&[KIND, BIN]);
        state.extend_from_slice(&length.to_be_bytes());
        state.extend_from_slice(&part);
    }
    packed(index, &state).map_err(|why| Trouble::Disk(format!("it cannot be packed: {why}")))
}

fn packed(index: u64, state: &[u8]) -> io::Result<Bytes> {
    let size = u64::try_from(state.len()).map_err(io::Error::other)?;
    let id = format!("portolan-{index}");
    let meta = Meta { version: OURS, id, index, term: 1, size };
    let mut meta = serde_json::to_vec(&meta)?;
    meta.push(b'\n');
    let sums = format!("{}  {META}\n{}  {STATE}\n", sum(&meta), sum(state));
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, content) in [(META, &*meta), (STATE, state), (SUMS, sums.as_bytes())] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        // It holds all that the registry does. No time is set: the same state gives the same bytes.
        header.set_mode(0o600);
        tar.append_data(&mut header, name, content)?;
    }
    Ok(tar.into_inner()?.finish()?.into())
}

/// The backup in it, if this is an archive; or what was given.
///
/// # Errors
/// [`Wrong::OfConsul`]: it is one of Consul's. [`Wrong::Archive`]: it is not what was written, or no archive of snapshots.
pub fn opened(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Wrong> {
    if !bytes.starts_with(&GZIP) {
        return Ok(Cow::Borrowed(bytes));
    }
    let Files { meta, state, sums } = Files::read(bytes)?;
    for (name, content) in [(META, &meta), (STATE, &state)] {
        let line = format!("{}  {name}", sum(content));
        if !sums.lines().any(|told| told == line) {
            return Err(wrong(format!("hash check failed for {name:?}")));
        }
    }
    let meta: Meta = serde_json::from_slice(&meta).map_err(|why| wrong(format!("{META}: {why}")))?;
    match meta.version {
        OURS => backup_in(&state).map(Cow::Owned).ok_or_else(|| wrong(format!("{STATE} makes no sense"))),
        newer if newer > OURS => Err(Wrong::Newer("an archive of version", newer, OURS)),
        _ => Err(Wrong::OfConsul),
    }
}

#[derive(Debug, Default)]
struct Files {
    meta: Vec<u8>,
    state: Vec<u8>,
    sums: String,
}

impl Files {
    fn read(bytes: &[u8]) -> Result<Self, Wrong> {
        let cannot = |why: io::Error| wrong(why.to_string());
        let mut files = Self::default();
        // A little of what is packed tightly would be much.
        let limit = u64::try_from(LARGEST).unwrap_or(u64::MAX);
        let mut tar = tar::Archive::new(GzDecoder::new(bytes).take(limit));
        for entry in tar.entries().map_err(cannot)? {
            let mut entry = entry.map_err(cannot)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let read = match &*name {
                META => entry.read_to_end(&mut files.meta),
                STATE => entry.read_to_end(&mut files.state),
                SUMS => entry.read_to_string(&mut files.sums),
                _ => return Err(wrong(format!("unexpected file {name:?} in snapshot"))),
            };
            read.map_err(cannot)?;
        }
        // What gzip says of the whole stands at its end.
        io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(cannot)?;
        Ok(files)
    }
}

/// The parts of a backup in the messages of a state.
fn backup_in(state: &[u8]) -> Option<Vec<u8>> {
    let (_index, mut left) = state.strip_prefix(HEADER)?.split_first_chunk::<8>()?;
    let mut backup = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let (length, rest) = left.strip_prefix(&[KIND, BIN])?.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (part, rest) = rest.split_at_checked(length)?;
        backup.extend_from_slice(part);
        left = rest;
    }
    Some(backup)
}

fn sum(content: &[u8]) -> String {
    let mut text = String::new();
    for byte in digest::digest(&digest::SHA256, content).as_ref() {
        let _never_fails = write!(text, "{byte:02x}");
    }
    text
}

fn wrong(what: String) -> Wrong {
    Wrong::Archive(what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::ServerConfig, core::home, state::State};

    fn registry() -> State {
        State::new(home(&ServerConfig::default(), "id".into()), tokio::time::Instant::now().into_std())
    }

    fn plain() -> Vec<u8> {
        let (mut writing, mut all) = (Writing::of(&registry()), Vec::new());
        while let Some(part) = writing.part().unwrap() {
            all.extend_from_slice(&part);
        }
        all
    }

    /// An archive with these files.
    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, *content).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    fn of_version(version: u64, state: &[u8]) -> Vec<u8> {
        let meta = format!(r#"{{"Version":{version},"ID":"x","Index":7,"Term":2,"Size":1,"Peers":"AA=="}}"#);
        let sums = format!("{}  {META}\n{}  {STATE}\n", sum(meta.as_bytes()), sum(state));
        archive(&[(META, meta.as_bytes()), (STATE, state), (SUMS, sums.as_bytes())])
    }

    fn refused(bytes: &[u8]) -> String {
        opened(bytes).unwrap_err().to_string()
    }

    #[test]
    fn a_backup_comes_back_from_its_archive_and_a_plain_one_is_as_it_was() {
        let archive = wrapped(Writing::of(&registry())).unwrap();
        assert_eq!(*opened(&archive).unwrap(), *plain());
        assert_eq!(*opened(&plain()).unwrap(), *plain());
        assert_eq!(archive, wrapped(Writing::of(&registry())).unwrap(), "the same state, the same bytes");
    }

    #[test]
    fn any_byte_changed_or_missing_is_found_before_anything_is_taken() {
        let archive = wrapped(Writing::of(&registry())).unwrap();
        let plain = plain();
        for at in 0..archive.len() {
            assert!(opened(&archive[..at]).map_or(true, |found| *found != *plain), "cut at {at}");
            let mut other = archive.to_vec();
            other[at] ^= 0x55;
            // Some bytes of gzip's header say nothing of the content; what is given must never be another backup.
            let found = opened(&other).map(Cow::into_owned);
            assert!(found.is_err() || found.as_deref() == Ok(&*plain) || at < 2, "byte {at}");
        }
    }

    #[test]
    fn what_is_not_ours_is_refused_for_what_it_is() {
        let header = [HEADER, &[0; 8]].concat();
        assert!(refused(&of_version(1, &header)).contains("portolan import --from"));
        assert!(refused(&of_version(0, b"junk")).contains("a snapshot of Consul's"));
        assert!(refused(&of_version(OURS + 1, &header)).contains("newer portolan"));
        assert_eq!(*opened(&of_version(OURS, &header)).unwrap(), [0_u8; 0]);
        for torn in [&b"junk"[..], &[&header[..], &[KIND, BIN, 0, 0, 0, 2, 1]].concat(), &header[..9]] {
            assert!(refused(&of_version(OURS, torn)).contains("state.bin makes no sense"));
        }
        assert!(refused(&archive(&[("other", b"")])).contains(r#"unexpected file "other""#));
        assert!(refused(&archive(&[(META, b"{}"), (STATE, b""), (SUMS, b"")])).contains("hash check failed"));
        assert!(refused(&archive(&[])).contains("hash check failed"));
        assert!(refused(&[0x1f, 0x8b, 8, 0]).contains("the archive"));
    }
}
