//! A connection that speaks as much HTTP/1.1 as it must: the load and the measured share the processors, so whatever
//! the load does is taken from the measured.
//!
//! In:  a request as bytes. Out: the status, the index and the size of its answer; the body on request.
//!
//! Never: keeps a body that nobody asked for; takes what it does not understand for an answer.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use tokio::{io::AsyncReadExt as _, io::AsyncWriteExt as _, net::TcpStream};

/// How much is read at once, at most.
const CAPACITY: usize = 64 << 10;

/// A request that every connection sends in the same words.
pub(crate) fn request(method: &str, path: &str, token: Option<&str>, body: &str) -> Vec<u8> {
    let token = token.map(|token| format!("X-Consul-Token: {token}\r\n")).unwrap_or_default();
    let length = if method == "GET" { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{token}{length}\r\n{body}").into_bytes()
}

/// What an answer says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// `X-Consul-Index`, or 0.
    pub(crate) index: u64,
    /// Of the body; `None`: it comes in chunks.
    length: Option<usize>,
}

impl Head {
    fn parse(head: &[u8]) -> anyhow::Result<Self> {
        let text = std::str::from_utf8(head)?;
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first.split(' ').nth(1).with_context(|| format!("{first:?} is no status"))?;
        let mut parsed = Self { status: status.parse()?, index: 0, length: None };
        for line in lines {
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("content-length") {
                parsed.length = Some(value.trim().parse()?);
            } else if name.eq_ignore_ascii_case("x-consul-index") {
                parsed.index = value.trim().parse()?;
            }
        }
        Ok(parsed)
    }
}

/// A connection that is used for one request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// # Errors
    /// When nobody listens.
    pub(crate) async fn open(addr: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(CAPACITY) })
    }

    /// Asks, and throws the body away.
    ///
    /// # Errors
    /// When the connection breaks, or the answer is not a 200.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Head> {
        self.exchange(request, |_| {}).await
    }

    /// Asks, and keeps the body.
    ///
    /// # Errors
    /// As [`Connection::ask`].
    pub(crate) async fn read(&mut self, request: &[u8]) -> anyhow::Result<(Head, Vec<u8>)> {
        let mut body = Vec::new();
        let head = self.exchange(request, |part| body.extend_from_slice(part)).await?;
        Ok((head, body))
    }

    async fn exchange(&mut self, request: &[u8], mut sink: impl FnMut(&[u8])) -> anyhow::Result<Head> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let end = self.until(b"\r\n\r\n").await?;
        let head = Head::parse(self.buffer.get(..end).unwrap_or_default())?;
        self.buffer.drain(..end + 4);
        let mut said = Vec::new();
        let mut both = |part: &[u8]| {
            if head.status != 200 {
                said.extend_from_slice(part);
            }
            sink(part);
        };
        match head.length {
            Some(length) => self.take(length, &mut both).await?,
            None => self.chunks(&mut both).await?,
        }
        if head.status != 200 {
            bail!("{}: {}", head.status, String::from_utf8_lossy(&said));
        }
        Ok(head)
    }

    async fn chunks(&mut self, sink: &mut impl FnMut(&[u8])) -> anyhow::Result<()> {
        loop {
            let end = self.until(b"\r\n").await?;
            let line = std::str::from_utf8(self.buffer.get(..end).unwrap_or_default())?;
            let size = usize::from_str_radix(line.trim(), 16).with_context(|| format!("chunk {line:?}"))?;
            self.buffer.drain(..end + 2);
            self.take(size, sink).await?;
            self.take(2, &mut |_: &[u8]| {}).await?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    /// Reads until `mark` is there; says where.
    async fn until(&mut self, mark: &[u8]) -> anyhow::Result<usize> {
        loop {
            if let Some(found) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                return Ok(found);
            }
            self.fill().await?;
        }
    }

    async fn take(&mut self, mut left: usize, sink: &mut impl FnMut(&[u8])) -> anyhow::Result<()> {
        while left > 0 {
            if self.buffer.is_empty() {
                self.fill().await?;
            }
            let part = left.min(self.buffer.len());
            sink(self.buffer.get(..part).unwrap_or_default());
            self.buffer.drain(..part);
            left -= part;
        }
        Ok(())
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the connection was closed before the answer was whole");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_body_is_read_whole_with_a_length_and_in_chunks() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            for answer in [
                "HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: 5\r\n\r\nabcde",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
                "HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\nno",
            ] {
                assert!(stream.read(&mut asked).await.unwrap() > 0);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        };
        let ask = async {
            let mut connection = Connection::open(addr).await.unwrap();
            let get = request("GET", "/", None, "");
            let (head, body) = connection.read(&get).await.unwrap();
            assert_eq!((head.index, &body[..]), (7, &b"abcde"[..]));
            assert_eq!(connection.read(&get).await.unwrap().1, b"abc0123456789");
            assert_eq!(connection.ask(&get).await.unwrap_err().to_string(), "500: no");
        };
        tokio::join!(serve, ask);
    }
}
