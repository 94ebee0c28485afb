//! The health service over real connections: what it may answer, and what else may be there.

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::*;
use crate::state::rows::Health;

const LIMIT: Duration = Duration::from_secs(20);

/// How a made-up server answers.
#[derive(Clone, Copy)]
enum Says {
    /// A message, and a status in the trailers.
    Message(&'static [u8], &'static str),
    /// A status in the head.
    Status(&'static str, &'static str),
    /// A message and no trailers.
    NoTrailers,
    /// Another status of HTTP.
    Http(u16),
    /// Bytes without an end.
    Endless,
    /// Nothing.
    Silence,
}

async fn server(says: Says) -> (JoinSet<()>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        // The client hangs up as soon as it knows enough.
        drop(serve(stream, says).await);
    });
    (tasks, addr)
}

async fn serve(stream: TcpStream, says: Says) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    let mut answers = JoinSet::new();
    while let Some(request) = connection.accept().await {
        let (request, respond) = request?;
        answers.spawn(answer(request, respond, says));
    }
    Ok(())
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    says: Says,
) -> Result<(), h2::Error> {
    assert_eq!((request.method(), request.uri().path()), (&Method::POST, PATH));
    let mut body = request.into_body();
    let asked = body.data().await.unwrap()?;
    assert_eq!(asked, message::question("pkg.S").unwrap());
    let head = http::Response::builder().header("content-type", "application/grpc");
    let plain = || http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    match says {
        Says::Message(bytes, status) => {
            let mut send = respond.send_response(plain(), false)?;
            send.send_data(Bytes::from_static(bytes), false)?;
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", status.parse().unwrap());
            send.send_trailers(trailers)
        }
        Says::Status(status, text) => {
            let head = head.header("grpc-status", status).header("grpc-message", text);
            respond.send_response(head.body(()).unwrap(), true).map(|_| ())
        }
        Says::NoTrailers => {
            let mut send = respond.send_response(plain(), false)?;
            send.send_data(Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1]), true)
        }
        Says::Http(status) => respond.send_response(head.status(status).body(()).unwrap(), true).map(|_| ()),
        Says::Endless => {
            let mut send = respond.send_response(plain(), false)?;
            while send.send_data(Bytes::from_static(&[0; 1000]), false).is_ok() {
                tokio::task::yield_now().await;
            }
            Ok(())
        }
        Says::Silence => std::future::pending().await,
    }
}

async fn asked(says: Says, limit: Duration) -> (String, Verdict) {
    let (_tasks, addr) = server(says).await;
    let verdict = grpc(&addr, "pkg.S", None, limit, &Trusted::default()).await;
    (addr, verdict)
}

#[tokio::test]
async fn serving_alone_is_passing() {
    for (says, status, output) in [
        (Says::Message(&[0, 0, 0, 0, 2, 8, 1], "0"), Health::Passing, "gRPC check ADDR/pkg.S: success"),
        (
            Says::Message(&[0, 0, 0, 0, 2, 8, 2], "0"),
            Health::Critical,
            "gRPC ADDR/pkg.S serving status: NOT_SERVING",
        ),
        (Says::Message(&[0; 5], "0"), Health::Critical, "gRPC ADDR/pkg.S serving status: UNKNOWN"),
        // The trailers decide.
        (Says::Message(&[0, 0, 0, 0, 2, 8, 1], "13"), Health::Critical, "rpc error: code = Internal desc = "),
        (
            Says::Status("5", "unknown service%20pkg.S"),
            Health::Critical,
            "rpc error: code = NotFound desc = unknown service pkg.S",
        ),
        (Says::Status("99", ""), Health::Critical, "rpc error: code = Unknown desc = "),
        (
            Says::NoTrailers,
            Health::Critical,
            "rpc error: code = Internal desc = server closed the stream without sending trailers",
        ),
        (
            Says::Http(404),
            Health::Critical,
            "rpc error: code = Unavailable desc = unexpected HTTP status code received from server: 404 Not Found",
        ),
        (
            Says::Endless,
            Health::Critical,
            "rpc error: code = ResourceExhausted desc = the answer is larger than a health status",
        ),
    ] {
        let (addr, verdict) = asked(says, LIMIT).await;
        assert_eq!((verdict.status, verdict.output), (status, output.replace("ADDR", &addr)));
    }
}

#[tokio::test]
async fn silence_and_what_speaks_no_http2_are_critical() {
    let (_addr, verdict) = asked(Says::Silence, Duration::from_millis(50)).await;
    assert_eq!(verdict.status, Health::Critical);
    assert_eq!(verdict.output, "rpc error: code = DeadlineExceeded desc = context deadline exceeded");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    let verdict = grpc(&addr, "", None, LIMIT, &Trusted::default()).await;
    assert_eq!(verdict.status, Health::Critical, "{}", verdict.output);
    tasks.shutdown().await;
    let verdict = grpc(&addr, "", None, LIMIT, &Trusted::default()).await;
    assert!(
        verdict.output.ends_with(&format!("dial tcp {addr}: connect: connection refused\"")),
        "{verdict:?}"
    );
}
