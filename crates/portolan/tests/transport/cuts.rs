//! E12: a connection that ends at any byte of a reply gives a typed, retryable error: never a panic, never a part of the
//! answer taken for the whole.

use std::io::Write as _;

use crate::script::{Failure, Played, Script, Then};
use portolan::{
    Kind, Registry as _, ServiceId, ServiceName,
    registry::{Definition, ServiceQuery, consul::Consul},
};

type Outcome = Result<(), Failure>;

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Consul-Index: 42\r\n";
const BODY: &str = r#"[{"Node":{"Node":"n","Address":"10.0.0.1"},"Service":{"ID":"a","Service":"web","Port":80},"Checks":[]},
{"Node":{"Node":"n","Address":"10.0.0.1"},"Service":{"ID":"b","Service":"web","Port":81},"Checks":[]}]"#;

fn gzip(plain: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain)?;
    Ok(encoder.finish()?)
}

/// The body in chunks of these sizes in turn, the last one as large as it must be.
fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(size) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// Plays every beginning of `reply`, shortest first, and gives for each how many instances were read.
async fn every_cut(reply: &[u8]) -> Result<Vec<Result<usize, portolan::Error>>, Failure> {
    let cuts = (0..=reply.len())
        .map(|end| Played { bytes: reply.iter().copied().take(end).collect(), then: Then::Close })
        .collect();
    let script = Script::start(cuts).await?;
    let query = ServiceQuery::new(ServiceName::new("web")?);
    let mut outcomes = Vec::new();
    for _cut in 0..=reply.len() {
        // A client of its own, so that each cut meets a new connection.
        let consul = Consul::new(script.config()?);
        outcomes.push(consul.service(&query).await.map(|answer| answer.value.len()));
    }
    Ok(outcomes)
}

/// Only the whole reply is an answer.
fn only_the_whole_is_an_answer(outcomes: Vec<Result<usize, portolan::Error>>) {
    let last = outcomes.len() - 1;
    for (cut, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(read) => assert_eq!((cut, read), (last, 2), "an answer from {cut} of {last} bytes"),
            Err(error) => {
                assert!(cut < last, "the whole reply is an error: {}", error.chain());
                let kind = error.kind();
                assert!(matches!(kind, Kind::Unreachable | Kind::Malformed), "{cut}: {}", error.chain());
                assert!(error.is_retryable(), "{cut}: {}", error.chain());
            }
        }
    }
}

#[tokio::test]
async fn e12_a_reply_of_known_length_cut_at_any_byte() -> Outcome {
    let reply = format!("{HEAD}Content-Length: {}\r\n\r\n{BODY}", BODY.len());
    only_the_whole_is_an_answer(every_cut(reply.as_bytes()).await?);
    Ok(())
}

#[tokio::test]
async fn e12_a_chunked_reply_cut_at_any_byte() -> Outcome {
    for size in [7, 64, 4096] {
        let mut reply = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
        reply.extend(chunked(BODY.as_bytes(), size));
        only_the_whole_is_an_answer(every_cut(&reply).await?);
    }
    Ok(())
}

#[tokio::test]
async fn e12_a_compressed_reply_cut_at_any_byte() -> Outcome {
    let packed = gzip(BODY.as_bytes())?;
    let mut known =
        format!("{HEAD}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", packed.len()).into_bytes();
    known.extend_from_slice(&packed);
    only_the_whole_is_an_answer(every_cut(&known).await?);

    let mut parts =
        format!("{HEAD}Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    parts.extend(chunked(&packed, 50));
    only_the_whole_is_an_answer(every_cut(&parts).await?);
    Ok(())
}

#[tokio::test]
async fn e12_a_reply_that_ends_with_its_connection_cut_at_any_byte() -> Outcome {
    let reply = format!("{HEAD}Connection: close\r\n\r\n{BODY}");
    only_the_whole_is_an_answer(every_cut(reply.as_bytes()).await?);
    let mut packed = format!("{HEAD}Content-Encoding: gzip\r\nConnection: close\r\n\r\n").into_bytes();
    packed.extend(gzip(BODY.as_bytes())?);
    only_the_whole_is_an_answer(every_cut(&packed).await?);
    Ok(())
}

#[tokio::test]
async fn e12_a_body_that_a_proxy_cut_and_closed_properly_is_no_answer() -> Outcome {
    // Well-formed HTTP around a part of a body: what is inside must show it.
    for end in 0..BODY.len() {
        let part: Vec<u8> = BODY.bytes().take(end).collect();
        let mut reply = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
        reply.extend(chunked(&part, 64));
        let script = Script::start(vec![Played { bytes: reply, then: Then::Close }]).await?;
        let query = ServiceQuery::new(ServiceName::new("web")?);
        let error = Consul::new(script.config()?).service(&query).await.err().ok_or("a part of an answer")?;
        assert_eq!(error.kind(), Kind::Malformed, "{end}: {}", error.chain());
    }
    Ok(())
}

#[tokio::test]
async fn e12_the_answer_to_a_write_cut_at_any_byte() -> Outcome {
    let reply = "HTTP/1.1 200 OK\r\nVary: Accept-Encoding\r\nContent-Length: 0\r\n\r\n";
    let cuts = (0..=reply.len())
        .map(|end| Played { bytes: reply.bytes().take(end).collect(), then: Then::Close })
        .collect();
    let script = Script::start(cuts).await?;
    let definition = Definition::new(ServiceId::new("a")?, ServiceName::new("web")?, "10.0.0.1", 80);
    for cut in 0..=reply.len() {
        match Consul::new(script.config()?).register(&definition).await {
            Ok(()) => assert_eq!(cut, reply.len()),
            Err(error) => assert!(cut < reply.len() && error.is_retryable(), "{cut}: {}", error.chain()),
        }
    }
    Ok(())
}
