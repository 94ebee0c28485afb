//! One run of a check against real services on the loopback.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

/// A service that says `reply` to each connection and keeps it open.
async fn service(reply: &'static [u8]) -> (JoinSet<()>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            if read > 0 {
                stream.write_all(reply).await.unwrap();
            }
            open.push(stream);
        }
    });
    (tasks, addr)
}

fn get(url: String) -> HttpProbe {
    let (method, headers, body) = ("GET".into(), Default::default(), "".into());
    HttpProbe { url: url.into(), method, headers, body }
}

#[tokio::test]
async fn the_status_code_decides_and_the_output_is_consuls() {
    for (reply, status, says) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"[..], Health::Passing, "200 OK Output: ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Health::Passing, "204 No Content Output: "),
        (
            b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n",
            Health::Warning,
            "429 Too Many Requests Output: ",
        ),
        (
            b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 3\r\n\r\nbad",
            Health::Critical,
            "503 Service Unavailable Output: bad",
        ),
        (
            b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",
            Health::Critical,
            "302 Found Output: ",
        ),
    ] {
        let (_tasks, addr) = service(reply).await;
        let url = format!("http://{addr}/health?a=b");
        let verdict = http(&get(url.clone()), LIMIT).await;
        assert_eq!(verdict.status, status, "{}", verdict.output);
        assert_eq!(verdict.output, format!("HTTP GET {url}: {says}"));
    }
}

#[tokio::test]
async fn an_endless_body_is_not_read_to_its_end() {
    static HEAD_AND_MORE: &[u8] = &{
        let head = *b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n";
        let mut reply = [b'x'; 60_000];
        let mut at = 0;
        while at < head.len() {
            reply[at] = head[at];
            at += 1;
        }
        reply
    };
    let (_tasks, addr) = service(HEAD_AND_MORE).await;
    let verdict = http(&get(format!("http://{addr}/")), LIMIT).await;
    assert_eq!(verdict.status, Health::Passing);
    assert!(verdict.output.len() < OUTPUT_LIMIT + 100, "{}", verdict.output.len());
}

#[tokio::test]
async fn nobody_there_is_critical_and_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let verdict = tcp(&addr, LIMIT).await;
    assert_eq!((verdict.status, verdict.output), (Health::Passing, format!("TCP connect {addr}: Success")));
    drop(listener);
    let verdict = tcp(&addr, LIMIT).await;
    assert_eq!(verdict.status, Health::Critical);
    assert_eq!(verdict.output, format!("dial tcp {addr}: connect: connection refused"));
    let url = format!("http://{addr}/");
    let verdict = http(&get(url.clone()), LIMIT).await;
    assert_eq!(verdict.output, format!("GET {url:?}: dial tcp {addr}: connect: connection refused"));
}

#[tokio::test]
async fn silence_is_critical_at_the_limit() {
    let (_tasks, addr) = service(b"").await;
    let verdict = http(&get(format!("http://{addr}/")), Duration::from_millis(50)).await;
    assert_eq!(verdict.status, Health::Critical);
    assert!(verdict.output.contains("deadline exceeded"), "{}", verdict.output);
}
