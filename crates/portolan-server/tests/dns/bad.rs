//! Packets that are no good questions: what Consul says to them is said, and where it is silent, so is the registry.

use std::net::SocketAddr;

use portolan_server::Dns;
use serde_json::json;
use tokio::{net::UdpSocket, time::timeout};

use crate::{
    ask::{Packet, kind},
    catalogue::fill,
    site::{PATIENCE, Site, Try},
};

/// The id of the good question that follows a bad one.
const GOOD: u16 = 0x7777;

/// What comes back for a packet: the flags, and how many records of each kind; `None`: nothing, up to the answers to two good
/// questions after it.
async fn said(to: SocketAddr, packet: &[u8]) -> Try<Option<[u16; 5]>> {
    // Consul answers each packet by itself, so one answer may overtake another: silence is asked for again.
    for _ in 0..6 {
        let said = said_before_good(to, packet).await?;
        if said.is_some() {
            return Ok(said);
        }
    }
    Ok(None)
}

async fn said_before_good(to: SocketAddr, packet: &[u8]) -> Try<Option<[u16; 5]>> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    socket.connect(to).await?;
    socket.send(packet).await?;
    let mut found = None;
    for _ in 0..2 {
        let good = Packet::new("n1.node.consul", kind("A")?, None).id(GOOD);
        socket.send(&good.0).await?;
        loop {
            let mut buffer = vec![0; 65_535];
            let length = timeout(PATIENCE, socket.recv(&mut buffer)).await??;
            let words: Vec<u16> = buffer
                .get(..length)
                .unwrap_or_default()
                .chunks_exact(2)
                .take(6)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            match words.as_slice() {
                [GOOD, ..] => break,
                [_, rest @ ..] => found = <[u16; 5]>::try_from(rest).ok(),
                [] => {}
            }
        }
    }
    Ok(found)
}

fn good() -> Vec<u8> {
    Packet::new("web.service.consul", 1, None).0
}

fn edns() -> Vec<u8> {
    Packet::new("web.service.consul", 1, Some(1232)).0
}

/// The packet with these two bytes at a place; one from its end is below zero.
fn word(mut packet: Vec<u8>, at: isize, value: u16) -> Vec<u8> {
    let at = if at < 0 { packet.len().saturating_add_signed(at) } else { at.unsigned_abs() };
    packet[at..at + 2].copy_from_slice(&value.to_be_bytes());
    packet
}

fn subnet(option: &[u8]) -> Vec<u8> {
    let mut packet = word(edns(), -2, u16::try_from(option.len()).unwrap_or_default());
    packet.extend(option);
    packet
}

fn raw(question: &[u8]) -> Vec<u8> {
    [&[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], question].concat()
}

/// Packets whose header is odd, by what is.
fn heads() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("empty", vec![]),
        ("half a header", good()[..6].to_vec()),
        ("a header alone", good()[..12].to_vec()),
        ("an answer", word(good(), 2, 0x8180)),
        ("an inverse query", word(good(), 2, 0x0900)),
        ("a status request", word(good(), 2, 0x1100)),
        ("a notification", word(good(), 2, 0x2000)),
        ("an update", word(good(), 2, 0x2800)),
        ("opcode 15", word(good(), 2, 0x7900)),
        ("no question", word(good(), 4, 0)),
        ("two questions, one there", word(good(), 4, 2)),
        ("two answers", word(good(), 6, 2)),
        ("an answer that is not there", word(good(), 6, 1)),
        ("two authorities", word(good(), 8, 2)),
        ("three additional records", word(good(), 10, 3)),
        ("an additional record that is not there", word(good(), 10, 1)),
        ("all flags", word(good(), 2, 0x07ff)),
        ("checking disabled", word(good(), 2, 0x0110)),
        ("authentic data", word(good(), 2, 0x0120)),
        ("recursion not desired", word(good(), 2, 0x0000)),
    ]
}

/// Packets that are odd behind the header, by what is.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let long = [&[50_u8][..], &[b'a'; 50]].concat().repeat(6);
    let twice = [word(edns(), 10, 2), vec![0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]].concat();
    vec![
        ("a pointer to itself", raw(&[0xc0, 12, 0, 1, 0, 1])),
        ("a pointer forwards", raw(&[0xc0, 30, 0, 1, 0, 1])),
        ("a label of kind 1", raw(&[0x41, 0, 0, 1, 0, 1])),
        ("a label that ends too early", raw(&[9, b'a', 0])),
        ("a name without an end", raw(&[1, b'a'])),
        ("a name longer than 255", raw(&long)),
        ("no class", good()[..good().len() - 2].to_vec()),
        ("no type", good()[..good().len() - 4].to_vec()),
        ("half a type", good()[..good().len() - 3].to_vec()),
        ("text behind the question", [good(), b"hello".to_vec()].concat()),
        ("class CH", word(good(), -2, 3)),
        ("class ANY", word(good(), -2, 255)),
        ("type 0", word(good(), -4, 0)),
        ("type 65280", word(good(), -4, 65_280)),
        ("the root", Packet::new("", 1, None).0),
        ("EDNS for 0 bytes", Packet::new("web.service.consul", 1, Some(0)).0),
        ("EDNS for 65535 bytes", Packet::new("web.service.consul", 1, Some(65_535)).0),
        ("EDNS cut off", edns()[..edns().len() - 1].to_vec()),
        ("EDNS version 1", word(edns(), -5, 0x0100)),
        ("EDNS twice", twice),
        ("an option cut off", subnet(&[0, 8, 0, 9, 0])),
        ("a subnet of family 3", subnet(&[0, 8, 0, 4, 0, 3, 0, 0])),
        ("a subnet of 33 bits", subnet(&[0, 8, 0, 8, 0, 1, 33, 0, 10, 1, 2, 3])),
        ("a subnet of 24 bits", subnet(&[0, 8, 0, 7, 0, 1, 24, 0, 10, 1, 2])),
        ("a subnet of IPv6", subnet(&[0, 8, 0, 11, 0, 2, 56, 0, 0x20, 1, 0xd, 0xb8, 1, 2, 3])),
        ("a cookie", subnet(&[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8])),
    ]
}

/// What is said otherwise than by Consul, and why.
const DIFFERENCES: &[(&str, &str)] = &[(
    "a header alone",
    "announces a question that is not there: malformed, where Consul refuses it as foreign",
)];

#[tokio::test]
async fn bad_packets_get_what_consul_gives_them() -> Try {
    let consul = Site::consul(json!({})).await?;
    let ours = Site::registry(Dns::default()).await?;
    fill(&consul).await?;
    fill(&ours).await?;
    let mut unexpected = Vec::new();
    for (what, packet) in heads().into_iter().chain(bodies()) {
        let theirs = said(consul.dns, &packet).await?;
        let mine = said(ours.dns, &packet).await?;
        let listed = DIFFERENCES.iter().any(|(listed, _)| *listed == what);
        if (theirs == mine) == listed {
            let show = |said: Option<[u16; 5]>| said.map(|words| words.map(|word| format!("{word:04x}")));
            unexpected.push(format!("{what}: Consul {:?}, ours {:?}", show(theirs), show(mine)));
        }
    }
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    Ok(())
}
