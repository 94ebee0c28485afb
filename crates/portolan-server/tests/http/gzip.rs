//! Answers compressed for whoever asks for it, and for nobody else.

use std::io::Read as _;

use flate2::read::GzDecoder;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::client::{Registry, Reply, Try, parse, start};

async fn asked(registry: &Registry, path: &str, accepts: &str) -> Try<(Reply, Vec<u8>)> {
    let mut stream = TcpStream::connect(registry.addr).await?;
    let (host, none) = (registry.addr, accepts.is_empty());
    let accepts = if none { String::new() } else { format!("Accept-Encoding: {accepts}\r\n") };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{accepts}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no end of the head")? + 4;
    let body = answer.split_off(end);
    Ok((parse(&String::from_utf8(answer)?)?, body))
}

#[tokio::test]
async fn who_takes_gzip_gets_the_same_body_compressed_at_every_index() -> Try {
    let registry = start().await?;
    let path = "/v1/health/service/web";
    for port in 1..=3 {
        for id in 0..8 {
            let body = format!(r#"{{"Name":"web","ID":"web-{id}","Port":{port}}}"#);
            registry.write("/v1/agent/service/register", &body).await?;
        }
        let (_, plain) = asked(&registry, path, "").await?;
        for _ in 0..2 {
            let (reply, small) = asked(&registry, path, "br, gzip").await?;
            assert_eq!((reply.header("content-encoding"), reply.header("vary")), ("gzip", "Accept-Encoding"));
            assert!(small.len() < plain.len() / 4, "{} of {}", small.len(), plain.len());
            let mut back = Vec::new();
            GzDecoder::new(&small[..]).read_to_end(&mut back)?;
            assert_eq!(String::from_utf8(back)?, String::from_utf8(plain.clone())?);
        }
    }
    for (path, accepts) in [(path, "identity"), ("/v1/health/service/none", "gzip")] {
        let (reply, _) = asked(&registry, path, accepts).await?;
        assert_eq!(reply.header("content-encoding"), "", "{path} {accepts}");
    }
    Ok(())
}

#[tokio::test]
async fn questions_that_differ_have_bodies_of_their_own() -> Try {
    let registry = start().await?;
    for (id, tags, status) in [("a", r#"["x","y"]"#, "passing"), ("b", r#"["x"]"#, "critical")] {
        let body = format!(
            r#"{{"Name":"web","ID":"{id}","Tags":{tags},"Check":{{"TTL":"1h","Status":"{status}"}}}}"#
        );
        registry.write("/v1/agent/service/register", &body).await?;
    }
    // Twice: the second time from what was kept.
    for _ in 0..2 {
        for (path, ids) in [
            ("/v1/health/service/web", vec!["a", "b"]),
            ("/v1/health/service/web?passing", vec!["a"]),
            ("/v1/health/service/web?tag=x", vec!["a", "b"]),
            ("/v1/health/service/web?tag=x&tag=y", vec!["a"]),
            ("/v1/health/service/web?tag=x%001:y", vec![]),
            ("/v1/health/service/web?node-meta=no:such", vec![]),
        ] {
            let reply = registry.get(path).await?.json();
            let found: Vec<_> =
                reply.as_array().into_iter().flatten().map(|one| one["Service"]["ID"].clone()).collect();
            assert_eq!(found, ids, "{path}");
        }
    }
    Ok(())
}
