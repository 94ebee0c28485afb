//! One question over a socket of its own, and its answer as another program reads it.

use std::{fmt, net::SocketAddr};

use hickory_proto::{
    op::Message,
    rr::{Record, RecordType},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::site::{PATIENCE, Try};

/// Over what a question goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Udp,
    /// With EDNS, for so many bytes.
    Edns(u16),
    Tcp,
}

/// A question as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Packet(pub(crate) Vec<u8>);

/// The numbers of types, as the tests write them.
pub(crate) fn kind(word: &str) -> Try<u16> {
    let known: RecordType = word.parse().map_err(|_cause| format!("{word} is no type"))?;
    Ok(known.into())
}

impl Packet {
    /// A question for records of a type, with RD set.
    pub(crate) fn new(name: &str, kind: u16, edns: Option<u16>) -> Self {
        let additional = u8::from(edns.is_some());
        let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, additional];
        for label in name.split('.').filter(|label| !label.is_empty()) {
            bytes.push(u8::try_from(label.len()).unwrap_or(63));
            bytes.extend(label.bytes());
        }
        bytes.push(0);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1]);
        if let Some(size) = edns {
            bytes.extend([0, 0, 41]);
            bytes.extend(size.to_be_bytes());
            bytes.extend([0; 6]);
        }
        Self(bytes)
    }

    pub(crate) fn id(mut self, id: u16) -> Self {
        for (slot, byte) in self.0.iter_mut().zip(id.to_be_bytes()) {
            *slot = byte;
        }
        self
    }

    pub(crate) async fn over_udp(&self, to: SocketAddr) -> Try<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        socket.connect(to).await?;
        socket.send(&self.0).await?;
        let mut buffer = vec![0; 65_535];
        let length = timeout(PATIENCE, socket.recv(&mut buffer)).await??;
        buffer.truncate(length);
        Ok(buffer)
    }

    pub(crate) async fn over_tcp(&self, to: SocketAddr) -> Try<Vec<u8>> {
        let mut stream = TcpStream::connect(to).await?;
        self.on(&mut stream).await
    }

    /// Asks on a connection that is there.
    pub(crate) async fn on(&self, stream: &mut TcpStream) -> Try<Vec<u8>> {
        let length = u16::try_from(self.0.len())?;
        stream.write_all(&[&length.to_be_bytes()[..], &self.0].concat()).await?;
        let answer = async {
            let length = stream.read_u16().await?;
            let mut answer = vec![0; usize::from(length)];
            stream.read_exact(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        Ok(timeout(PATIENCE, answer).await??)
    }
}

/// An answer, with what differs from run to run masked, and its records in the order of the alphabet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) head: String,
    pub(crate) answers: Vec<String>,
    pub(crate) authority: Vec<String>,
    pub(crate) extra: Vec<String>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {:?} {:?}", self.head, self.answers, self.authority, self.extra)
    }
}

fn lines(records: &[Record]) -> Vec<String> {
    let mut lines: Vec<String> = records
        .iter()
        .map(|one| {
            let mut data = one.data.to_string();
            if one.record_type() == RecordType::SOA {
                // The serial number is the time.
                let words: Vec<&str> = data.split(' ').collect();
                data = words
                    .iter()
                    .enumerate()
                    .map(|(at, word)| if at == 2 { "TIME" } else { *word })
                    .collect::<Vec<_>>()
                    .join(" ");
            }
            if data.starts_with("consul-version=") {
                "consul-version=MASKED".clone_into(&mut data);
            }
            format!("{} {} {} {data}", one.name, one.ttl, one.record_type())
        })
        .collect();
    lines.sort();
    lines
}

impl Told {
    pub(crate) fn read(bytes: &[u8]) -> Try<Self> {
        let message = Message::from_vec(bytes)?;
        let head = &message.metadata;
        let flags = [
            (head.authoritative, "aa"),
            (head.truncation, "tc"),
            (head.recursion_desired, "rd"),
            (head.recursion_available, "ra"),
            (head.authentic_data, "ad"),
            (head.checking_disabled, "cd"),
        ];
        let flags: Vec<&str> = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| *flag).collect();
        let questions: Vec<String> =
            message.queries.iter().map(|one| format!("{} {}", one.name(), one.query_type())).collect();
        let edns =
            message.edns.as_ref().map(|edns| format!("edns {} {:?}", edns.max_payload(), edns.options()));
        let head = format!(
            "{:?} {} {questions:?} {}",
            head.response_code,
            flags.join(" "),
            edns.unwrap_or_default()
        );
        Ok(Self {
            head,
            answers: lines(&message.answers),
            authority: lines(&message.authorities),
            extra: lines(&message.additionals),
        })
    }

    /// The code, with which the head begins.
    pub(crate) fn code(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }
}

/// Asks, and reads the answer.
pub(crate) async fn ask(to: SocketAddr, name: &str, kind: u16, way: Way) -> Try<Told> {
    let answer = match way {
        Way::Udp => Packet::new(name, kind, None).over_udp(to).await?,
        Way::Edns(size) => Packet::new(name, kind, Some(size)).over_udp(to).await?,
        Way::Tcp => Packet::new(name, kind, None).over_tcp(to).await?,
    };
    Told::read(&answer).map_err(|failed| format!("{name} {kind} {way:?}: {failed}: {answer:?}").into())
}
