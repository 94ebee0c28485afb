//! A client that sends what it is given, byte for byte, one request a connection.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::Failure;

pub(crate) type Try<T = ()> = Result<T, Failure>;

/// No answer takes this long, unless something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// By name in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

pub(crate) async fn ask(addr: SocketAddr, method: &str, path: &str, body: &str) -> Try<Reply> {
    timeout(PATIENCE, send(addr, method, path, body)).await?
}

async fn send(addr: SocketAddr, method: &str, path: &str, body: &str) -> Try<Reply> {
    let mut stream = TcpStream::connect(addr).await?;
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n");
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    parse(&answer).map_err(|why| format!("{method} {path} at {addr}: {why}").into())
}

fn parse(answer: &[u8]) -> Try<Reply> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no end of the head")?;
    let head = std::str::from_utf8(&answer[..end])?;
    let status = head.lines().next().and_then(|line| line.split(' ').nth(1)).ok_or("no status")?.parse()?;
    let mut headers = BTreeMap::new();
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(':').ok_or("a header without a colon")?;
        let value = value.trim().to_owned();
        // One that comes twice is seen.
        headers
            .entry(name.to_ascii_lowercase())
            .and_modify(|had: &mut String| *had = format!("{had}, {value}"))
            .or_insert(value);
    }
    let body = &answer[end + 4..];
    let is_chunked = headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked");
    let body = if is_chunked { whole(body)? } else { body.to_vec() };
    Ok(Reply { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

/// A body without its chunks.
fn whole(mut rest: &[u8]) -> Try<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").ok_or("a chunk without a size")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end])?.trim(), 16)?;
        let from = end + 2;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(rest.get(from..from + size).ok_or("a chunk that is cut")?);
        rest = rest.get(from + size + 2..).ok_or("a chunk without an end")?;
    }
}
