//! A registry in this process, on a port: a panic of any of its tasks ends the fuzzer, which sets such a hook.
//!
//! In:  bytes of a client. Out: what came back in a moment.
//!
//! What was registered is taken back every so often, by a restore, so that the fuzzer finds limits of the registry and not of
//! memory.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use portolan_server::{Limits, Server, ServerConfig};

/// How long an answer is waited for: a query may wait for a change.
const MOMENT: Duration = Duration::from_millis(100);
/// How long one is waited for that must come.
const PATIENCE: Duration = Duration::from_secs(8);
/// So many requests, and the registry is as it was.
const ROUND: u32 = 2_000;

const BACKUP: &[u8] = b"GET /v1/portolan/backup HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const LEADER: &[u8] = b"GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

struct Served {
    addr: SocketAddr,
    empty: Vec<u8>,
}

fn served() -> &'static Served {
    static SERVED: OnceLock<Served> = OnceLock::new();
    SERVED.get_or_init(|| {
        let (told, addr) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let config = ServerConfig::default().http_addr(([127, 0, 0, 1], 0).into()).max_checks(1);
                let config = config.limits(Limits::default().max_connections_per_address(None));
                let server = Server::bind(config).await.expect("a free port");
                told.send(server.http_addr()).expect("somebody waits");
                server.run(std::future::pending()).await;
            });
        });
        let addr = addr.recv().expect("it starts");
        let answer = ask(addr, BACKUP, Then::Waits(PATIENCE));
        Served { addr, empty: unchunked(&answer) }
    })
}

/// The body of an answer that came in chunks.
fn unchunked(answer: &[u8]) -> Vec<u8> {
    let at = answer.windows(4).position(|seen| seen == b"\r\n\r\n").expect("a head") + 4;
    let (mut rest, mut body) = (&answer[at..], Vec::new());
    loop {
        let end = rest.windows(2).position(|seen| seen == b"\r\n").expect("a length");
        let length = std::str::from_utf8(&rest[..end]).expect("a number");
        let length = usize::from_str_radix(length, 16).expect("a number");
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 2 + length + 2..];
    }
}

/// What a client does after its last byte.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It waits for an answer, so long.
    Waits(Duration),
    /// It says that nothing follows, so that what is not whole need not be waited for.
    Ends,
}

#[allow(dead_code, reason = "one of the targets ends instead")]
pub const WAITS: Then = Then::Waits(MOMENT);

fn ask(addr: SocketAddr, bytes: &[u8], then: Then) -> Vec<u8> {
    let mut stream = TcpStream::connect(addr).expect("it listens");
    let wait = if let Then::Waits(wait) = then { wait } else { MOMENT };
    stream.set_read_timeout(Some(wait)).expect("a timeout");
    // It may close before it has read all.
    let mut _closed = stream.write_all(bytes);
    if then == Then::Ends {
        _closed = stream.shutdown(Shutdown::Write);
    }
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(read @ 1..) => answer.extend_from_slice(&piece[..read]),
            // libFuzzer looks at its watch by a signal.
            Err(failed) if failed.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return answer,
        }
    }
}

/// What comes back for these bytes.
pub fn asked(bytes: &[u8], then: Then) -> Vec<u8> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let Served { addr, empty } = served();
    if COUNT.fetch_add(1, Ordering::Relaxed) % ROUND == ROUND - 1 {
        let head = format!(
            "PUT /v1/portolan/restore HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            empty.len()
        );
        let answer = ask(*addr, &[head.as_bytes(), empty].concat(), Then::Waits(PATIENCE));
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
    ask(*addr, bytes, then)
}

/// It still answers.
#[allow(dead_code, reason = "one of the targets looks at each answer instead")]
pub fn lives() {
    let asked = Instant::now();
    let answer = ask(served().addr, LEADER, Then::Waits(PATIENCE));
    let said = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with(b"HTTP/1.1 200"), "after {:?}: {said:?}", asked.elapsed());
}
