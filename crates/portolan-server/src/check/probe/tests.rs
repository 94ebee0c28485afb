//! One run of a check against real services on the loopback.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};

use super::{
    http::http,
    socket::{tcp, udp},
    *,
};
use crate::state::{
    OUTPUT_LIMIT,
    rows::{HttpProbe, Trust},
};

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
    HttpProbe { url: url.into(), method, headers, body, redirects: true, trust: Trust::default() }
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
        (b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n", Health::Critical, "302 Found Output: "),
    ] {
        let (_tasks, addr) = service(reply).await;
        let url = format!("http://{addr}/health?a=b");
        let verdict = http(&get(url.clone()), LIMIT, &Trusted::default()).await;
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
    let verdict = http(&get(format!("http://{addr}/")), LIMIT, &Trusted::default()).await;
    assert_eq!(verdict.status, Health::Passing);
    assert!(verdict.output.len() < OUTPUT_LIMIT + 100, "{}", verdict.output.len());
}

#[tokio::test]
async fn nobody_there_is_critical_and_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let verdict = tcp(&addr, None, LIMIT, &Trusted::default()).await;
    assert_eq!((verdict.status, verdict.output), (Health::Passing, format!("TCP connect {addr}: Success")));
    drop(listener);
    let verdict = tcp(&addr, None, LIMIT, &Trusted::default()).await;
    assert_eq!(verdict.status, Health::Critical);
    assert_eq!(verdict.output, format!("dial tcp {addr}: connect: connection refused"));
    let url = format!("http://{addr}/");
    let verdict = http(&get(url.clone()), LIMIT, &Trusted::default()).await;
    assert_eq!(verdict.output, format!("GET {url:?}: dial tcp {addr}: connect: connection refused"));
}

#[tokio::test]
async fn silence_is_critical_at_the_limit() {
    let (_tasks, addr) = service(b"").await;
    let verdict = http(&get(format!("http://{addr}/")), Duration::from_millis(50), &Trusted::default()).await;
    assert_eq!(verdict.status, Health::Critical);
    assert!(verdict.output.contains("deadline exceeded"), "{}", verdict.output);
}

/// A service that answers the first request with `first` and the others with `then`, each on its own connection, and
/// gives back the heads it got.
async fn two_steps(first: String, then: &'static str) -> (JoinSet<Vec<String>>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut heads = Vec::new();
        for reply in [&*first, then] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            heads.push(String::from_utf8_lossy(&head[..read]).into_owned());
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
        heads
    });
    (tasks, addr)
}

#[tokio::test]
async fn a_redirect_is_followed_within_its_scheme_unless_it_is_not_to_be() {
    let redirect = |to: &str| format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
    let fine = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let (mut tasks, addr) = two_steps(redirect("/other"), fine).await;
    let url = format!("http://{addr}/health");
    let mut probe = get(url.clone());
    probe.method = "POST".into();
    probe.body = "hello".into();
    probe.headers = [("X-Probe".into(), vec!["1".into(), "2".into()])].into();
    let verdict = http(&probe, LIMIT, &Trusted::default()).await;
    assert_eq!(verdict.status, Health::Passing);
    assert_eq!(verdict.output, format!("HTTP POST {url}: 200 OK Output: ok"));
    let heads = tasks.join_next().await.unwrap().unwrap();
    assert!(
        heads[0].starts_with("POST /health HTTP/1.1\r\n") && heads[0].ends_with("\r\n\r\nhello"),
        "{heads:?}"
    );
    assert!(heads[0].contains("x-probe: 1\r\nx-probe: 2\r\n"), "{heads:?}");
    assert!(heads[1].starts_with("GET /other HTTP/1.1\r\n") && heads[1].ends_with("\r\n\r\n"), "{heads:?}");

    let (_tasks, addr) = two_steps(redirect("/other"), fine).await;
    let probe = HttpProbe { redirects: false, ..get(format!("http://{addr}/")) };
    let verdict = http(&probe, LIMIT, &Trusted::default()).await;
    assert_eq!(verdict.output, format!("HTTP GET http://{addr}/: 302 Found Output: "));

    let (_tasks, addr) = two_steps(redirect("https://127.0.0.1:1/"), fine).await;
    let verdict = http(&get(format!("http://{addr}/")), LIMIT, &Trusted::default()).await;
    assert_eq!(verdict.status, Health::Critical);
    assert!(verdict.output.ends_with("another scheme, https, which is not followed"), "{}", verdict.output);
}

#[tokio::test]
async fn a_ring_of_redirects_ends() {
    let (_tasks, addr) = service(b"HTTP/1.1 307 Temporary\r\nlocation: /\r\ncontent-length: 0\r\n\r\n").await;
    let verdict = http(&get(format!("http://{addr}/")), LIMIT, &Trusted::default()).await;
    assert_eq!(verdict.status, Health::Critical);
    assert!(verdict.output.ends_with(": stopped after 10 redirects"), "{}", verdict.output);
}

#[tokio::test]
async fn a_udp_service_is_critical_only_when_it_refuses() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap().to_string();
    let well = (Health::Passing, format!("UDP connect {addr}: Success"));
    let silent = udp(&addr, Duration::from_millis(50)).await;
    assert_eq!((silent.status, silent.output), well);
    let mut byte = [0];
    assert_eq!(socket.recv_from(&mut byte).await.unwrap().0, 0, "an empty datagram came");

    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (_, from) = socket.recv_from(&mut [0]).await.unwrap();
        socket.send_to(b"hello", from).await.unwrap();
        socket
    });
    let answered = udp(&addr, LIMIT).await;
    assert_eq!((answered.status, answered.output), well);
    drop(tasks.join_next().await);
    let refused = udp(&addr, LIMIT).await;
    assert_eq!(refused.status, Health::Critical, "{}", refused.output);
    assert!(
        refused.output.ends_with(&format!("udp {addr}: connect: connection refused")),
        "{}",
        refused.output
    );
}
