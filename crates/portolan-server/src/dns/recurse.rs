//! Questions that others answer: what is not in the domain, and names elsewhere that instances have as addresses.
//!
//! In:  a message, or names. Out: the first good answer of the recursors, in their order; or none.
//!
//! Never: takes an answer from another address, with another id, or to another question; asks more at once than is allowed.
//!
//! Rules from Consul: agent/dns.go `handleRecurse`, `resolveCNAME`.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};

use super::{
    answer::Heard,
    fit::Over,
    message::{HEADER, Question, Rcode, Request, flag, kind, read_answers, response_to},
    name::Name,
    record::{Data, Record},
};
use crate::config::Dns;

/// How many records of one name are kept.
const MOST_RECORDS: usize = 64;
/// The longest message.
const LONGEST: usize = 65_535;

/// Who is asked.
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    servers: Arc<[SocketAddr]>,
    limit: Duration,
    places: Arc<Semaphore>,
}

/// A number that nobody can guess: who does, could answer in the recursor's place.
fn unguessable() -> u16 {
    // Each of these has keys of its own, from the operating system's chance.
    let number = RandomState::new().build_hasher().finish();
    u16::try_from(number & 0xffff).unwrap_or_default()
}

impl Upstream {
    pub(super) fn new(dns: &Dns) -> Self {
        let places = Arc::new(Semaphore::new(dns.max_recursions));
        Self { servers: dns.recursors.as_slice().into(), limit: dns.recursor_timeout, places }
    }

    /// A place among those who wait; `None`: there is none left.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// The answer of the first recursor that has one, with the id that the client gave.
    ///
    /// # Cancel safety
    /// Dropping the future drops the question.
    pub(super) async fn forward(&self, message: &[u8], request: &Request, over: Over) -> Option<Vec<u8>> {
        for server in self.servers.iter() {
            let mut told = match self.exchange(*server, message, &request.question, over).await {
                Ok(told) => told,
                Err(failed) => {
                    tracing::debug!(%server, %failed, "a recursor did not answer");
                    continue;
                }
            };
            let rcode = told.get(3).map(|flags| flags & 0xf);
            if rcode == Some(Rcode::NoError as u8) || rcode == Some(Rcode::NxDomain as u8) {
                set_id(&mut told, request.id);
                return Some(told);
            }
            tracing::debug!(%server, ?rcode, "a recursor would not answer");
        }
        None
    }

    /// Asks for the addresses of names, all at once, and notes what is heard of each.
    ///
    /// # Cancel safety
    /// Dropping the future drops the questions.
    pub(super) async fn resolve(&self, names: impl Iterator<Item = Name>, heard: &mut Heard) {
        let mut asked = JoinSet::new();
        for name in names {
            let upstream = self.clone();
            // What nobody answers is not asked for again.
            heard.insert(name.clone(), Vec::new());
            asked.spawn(async move {
                let records = upstream.addresses(&name).await;
                (name, records)
            });
        }
        while let Some(ended) = asked.join_next().await {
            match ended {
                Ok((name, records)) => {
                    heard.insert(name, records);
                }
                Err(failed) => {
                    tracing::error!(%failed, "a question to a recursor panicked; please report this bug")
                }
            }
        }
    }

    async fn addresses(&self, name: &Name) -> Vec<Record> {
        let question = Question { name: name.clone(), kind: kind::A, class: 1 };
        let mut message = vec![0; HEADER];
        let words = [0, flag::RECURSION_DESIRED, 1, 0, 0, 0].map(u16::to_be_bytes);
        message.iter_mut().zip(words.as_flattened()).for_each(|(slot, byte)| *slot = *byte);
        message.extend_from_slice(name.as_wire());
        message.extend(question.kind.to_be_bytes());
        message.extend(question.class.to_be_bytes());
        for server in self.servers.iter() {
            match self.exchange(*server, &message, &question, Over::Udp).await {
                Ok(told) => return records(&told, &question),
                Err(failed) => tracing::debug!(%server, %failed, "a recursor did not answer"),
            }
        }
        Vec::new()
    }

    async fn exchange(
        &self,
        server: SocketAddr,
        message: &[u8],
        question: &Question,
        over: Over,
    ) -> io::Result<Vec<u8>> {
        let id = unguessable();
        let mut message = message.to_vec();
        set_id(&mut message, id);
        let asked = async {
            match over {
                Over::Udp => over_udp(server, &message, id, question).await,
                Over::Tcp => over_tcp(server, &message, id, question).await,
            }
        };
        timeout(self.limit, asked).await.unwrap_or_else(|late| Err(late.into()))
    }
}

fn set_id(message: &mut [u8], id: u16) {
    message.iter_mut().zip(id.to_be_bytes()).for_each(|(slot, byte)| *slot = byte);
}

async fn over_udp(server: SocketAddr, message: &[u8], id: u16, question: &Question) -> io::Result<Vec<u8>> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(message).await?;
    let mut buffer = vec![0; LONGEST];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(told) = buffer.get(..length).filter(|told| response_to(told, id, question).is_some()) {
            return Ok(told.to_vec());
        }
    }
}

async fn over_tcp(server: SocketAddr, message: &[u8], id: u16, question: &Question) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await?;
    let length = stream.read_u16().await?;
    let mut told = vec![0; usize::from(length)];
    stream.read_exact(&mut told).await?;
    if response_to(&told, id, question).is_none() {
        return Err(io::Error::other("the answer is to another question"));
    }
    Ok(told)
}

/// The addresses, and the names on the way to them, in another server's answer.
fn records(told: &[u8], question: &Question) -> Vec<Record> {
    let id = told.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
    let found = read_answers(told, id, question).map(|(_, found)| found).unwrap_or_default();
    let record = |one: &super::message::Section<'_>| {
        let data = match one.kind {
            kind::A => Data::A(<[u8; 4]>::try_from(one.data).ok()?.into()),
            kind::AAAA => Data::Aaaa(<[u8; 16]>::try_from(one.data).ok()?.into()),
            kind::CNAME => Data::Cname(Name::read(told, one.data_at)?.0),
            _ => return None,
        };
        Some(Record { owner: one.owner.clone(), ttl: one.ttl, data })
    };
    found.iter().filter_map(record).take(MOST_RECORDS).collect()
}
