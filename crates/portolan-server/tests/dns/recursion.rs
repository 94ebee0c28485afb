//! Questions that others answer: a resolver of the test's own stands for the rest of the world, for Consul and the registry alike.

use std::net::SocketAddr;

use hickory_proto::{
    op::{Message, OpCode, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, CNAME},
    },
};
use portolan_server::Dns;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    task::JoinSet,
};

use crate::{
    ask::{Told, Way, ask, kind},
    catalogue::fill,
    site::{Site, Try},
    version::minor,
};

/// The world: `*.example` has an address, `db.example` is another name for `host.example`, `nx.example` is not there, `bad.example`
/// fails. `None`: it is silent.
fn answer(bytes: &[u8]) -> Option<Vec<u8>> {
    let asked = Message::from_vec(bytes).ok()?;
    let query = asked.queries.first()?.clone();
    let name = query.name().to_ascii().to_lowercase();
    let mut told = Message::response(asked.metadata.id, OpCode::Query);
    told.metadata.recursion_desired = asked.metadata.recursion_desired;
    told.metadata.recursion_available = true;
    told.add_query(query.clone());
    let address = |owner: Name, last: u8| Record::from_rdata(owner, 60, RData::A(A::new(192, 0, 2, last)));
    match name.as_str() {
        "silent.example." => return None,
        "nx.example." => told.metadata.response_code = ResponseCode::NXDomain,
        "bad.example." => told.metadata.response_code = ResponseCode::ServFail,
        "many.example." => {
            for last in 0..8 {
                told.add_answer(address(query.name().clone(), last));
            }
        }
        "db.example." => {
            let host = Name::from_ascii("host.example.").ok()?;
            told.add_answer(Record::from_rdata(query.name().clone(), 50, RData::CNAME(CNAME(host.clone()))));
            told.add_answer(address(host, 9));
        }
        _ if query.query_type() == RecordType::A => {
            told.add_answer(address(query.name().clone(), 9));
        }
        _ => {}
    }
    told.to_vec().ok()
}

/// Starts it, on UDP and TCP at one port.
async fn world(tasks: &mut JoinSet<()>) -> Try<SocketAddr> {
    let tcp = TcpListener::bind("127.0.0.1:0").await?;
    let addr = tcp.local_addr()?;
    let udp = UdpSocket::bind(addr).await?;
    tasks.spawn(async move {
        let mut buffer = vec![0; 4096];
        while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
            if let Some(told) = answer(&buffer[..length]) {
                drop(udp.send_to(&told, from).await);
            }
        }
    });
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            while let Ok(length) = stream.read_u16().await {
                let mut bytes = vec![0; usize::from(length)];
                if stream.read_exact(&mut bytes).await.is_err() {
                    break;
                }
                let told = answer(&bytes).unwrap_or_default();
                let length = u16::try_from(told.len()).unwrap_or_default();
                drop(stream.write_all(&[&length.to_be_bytes()[..], &told].concat()).await);
            }
        }
    });
    Ok(addr)
}

const QUESTIONS: &[(&str, &str)] = &[
    ("www.example", "A"),
    ("WwW.Example", "A"),
    ("www.example", "AAAA"),
    ("nx.example", "A"),
    ("bad.example", "A"),
    ("many.example", "A"),
    ("db.example", "A"),
    ("silent.example", "A"),
    ("com", "NS"),
    ("", "NS"),
    ("99.0.2.10.in-addr.arpa", "PTR"),
    ("1.0.1.10.in-addr.arpa", "PTR"),
    ("named.service.consul", "A"),
    ("named.service.consul", "AAAA"),
    ("named.service.consul", "SRV"),
    ("named.service.consul", "ANY"),
    ("mixed.service.consul", "A"),
    ("mixed.service.consul", "SRV"),
    ("hosted.service.consul", "A"),
    ("hosted.service.consul", "SRV"),
    ("hosted.node.consul", "A"),
    ("hosted.node.consul", "ANY"),
    ("web.service.consul", "A"),
    ("nope.service.consul", "A"),
    ("consul", "NS"),
    ("lost.service.consul", "A"),
    ("much.service.consul", "A"),
    ("much.service.consul", "SRV"),
];

async fn fill_more(site: &Site) -> Try {
    fill(site).await?;
    for (service, address) in [("lost", "nx.example"), ("much", "many.example")] {
        let registration = json!({
            "Node": "ext1", "Address": "10.1.0.1", "NodeMeta": { "rack": "7" },
            "Service": { "Service": service, "ID": service, "Address": address, "Port": 1 }
        });
        site.put("/v1/catalog/register", &registration).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_here_is_asked_of_others_as_by_consul() -> Try {
    let mut tasks = JoinSet::new();
    let world = world(&mut tasks).await?;
    let limit = std::time::Duration::from_millis(500);
    let settings = json!({ "recursors": [world.to_string()], "dns_config": { "recursor_timeout": "500ms" } });
    let consul = Site::consul(settings).await?;
    let ours = Site::registry(Dns::default().recursors(vec![world]).recursor_timeout(limit)).await?;
    fill_more(&consul).await?;
    fill_more(&ours).await?;
    let mut differ = Vec::new();
    for (name, word) in QUESTIONS {
        for way in [Way::Udp, Way::Edns(1232), Way::Tcp] {
            let theirs = ask(consul.dns, name, kind(word)?, way).await?;
            let mine = ask(ours.dns, name, kind(word)?, way).await?;
            if theirs != mine && !few_of_many(&theirs, &mine) {
                differ.push(format!("{name} {word} {way:?}\n  Consul {theirs}\n  ours   {mine}"));
            }
        }
    }
    assert!(differ.is_empty(), "Consul 1.{}:\n{}", minor()?, differ.join("\n"));
    Ok(())
}

/// Where three records of many are told, each may tell others.
fn few_of_many(theirs: &Told, mine: &Told) -> bool {
    theirs.head == mine.head
        && theirs.answers.len() == 3
        && mine.answers.len() == 3
        && theirs.extra.len() == mine.extra.len()
        && theirs.authority == mine.authority
}

#[tokio::test]
async fn no_more_questions_wait_for_others_than_may() -> Try {
    let mut tasks = JoinSet::new();
    let world = world(&mut tasks).await?;
    let ours = Site::registry(Dns::default().recursors(vec![world]).max_recursions(2)).await?;
    let mut asked = JoinSet::new();
    for _ in 0..10 {
        let dns = ours.dns;
        asked.spawn(async move {
            let told = ask(dns, "silent.example", 1, Way::Udp).await;
            told.map(|told| told.code().to_owned()).map_err(|failed| failed.to_string())
        });
    }
    // Those without a place are told at once, while two still wait.
    for _ in 0..8 {
        let told = asked.join_next().await.ok_or("none left")???;
        assert_eq!(told, "ServFail");
    }
    let told = ask(ours.dns, "n1.node.consul", 1, Way::Udp).await?;
    assert_eq!(told.code(), "NoError", "what is here waits for nobody");
    Ok(())
}

#[tokio::test]
async fn an_answer_to_another_question_is_not_taken() -> Try {
    let udp = UdpSocket::bind("127.0.0.1:0").await?;
    let liar = udp.local_addr()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut buffer = vec![0; 4096];
        while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
            let Some(told) = answer(&buffer[..length]) else { continue };
            let mut other_id = told.clone();
            other_id[0] ^= 0x55;
            let mut other_name = told.clone();
            other_name[13] ^= 0x01;
            let mut question = told.clone();
            question[2] &= 0x7f;
            for lie in [other_id, other_name, question, vec![1, 2, 3]] {
                drop(udp.send_to(&lie, from).await);
            }
            drop(udp.send_to(&told, from).await);
        }
    });
    let ours = Site::registry(Dns::default().recursors(vec![liar])).await?;
    let told = ask(ours.dns, "www.example", 1, Way::Udp).await?;
    assert_eq!(told.answers, ["www.example. 60 A 192.0.2.9"]);
    Ok(())
}
