//! Each kind of check that is run, from its definition to what a caller sees; and the definitions that are refused.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use portolan::registry::consul::Tls;
use portolan_server::ServerConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use crate::client::{Registry, Try, start, start_with};

impl Registry {
    async fn check(&self, name: &str, check: &str) -> Try {
        let body = format!(r#"{{"name":"{name}","check":{check}}}"#);
        self.write("/v1/agent/service/register", &body).await
    }

    /// Waits until the check of the service has this status, and gives its output.
    async fn shows(&self, name: &str, status: &str) -> Try<String> {
        let path = format!("/v1/health/checks/{name}");
        let reply = self.until(&path, |reply| reply.json()[0]["Status"] == status).await?;
        Ok(reply.json()[0]["Output"].as_str().unwrap_or_default().to_owned())
    }
}

async fn listener() -> Try<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

/// A server of HTTP/2 that answers each call with a gRPC health message of this status; it ends with the set.
fn grpc_server(listener: TcpListener, status: u8) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            // The check hangs up as soon as it knows enough.
            open.spawn(async move { drop(grpc_connection(stream, status).await) });
        }
    });
    tasks
}

async fn grpc_connection(stream: TcpStream, status: u8) -> Try {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(call) = connection.accept().await {
        let (_call, mut respond) = call?;
        let head = http::Response::builder().header("content-type", "application/grpc").body(())?;
        let mut send = respond.send_response(head, false)?;
        send.send_data(Bytes::from(vec![0, 0, 0, 0, 2, 8, status]), false)?;
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        send.send_trailers(trailers)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_grpc_check_follows_the_health_service() -> Try {
    let registry = start().await?;
    let (well, addr) = listener().await?;
    let mut server = grpc_server(well, 1);
    registry.check("web", &format!(r#"{{"grpc":"{addr}/pkg.S","interval":"1s"}}"#)).await?;
    assert_eq!(registry.shows("web", "passing").await?, format!("gRPC check {addr}/pkg.S: success"));
    server.shutdown().await;
    let output = registry.shows("web", "critical").await?;
    assert!(output.contains("connection refused"), "{output}");
    let (ill, addr) = listener().await?;
    let _server = grpc_server(ill, 2);
    registry.check("other", &format!(r#"{{"grpc":"{addr}","interval":"1s","status":"passing"}}"#)).await?;
    assert_eq!(
        registry.shows("other", "critical").await?,
        format!("gRPC {addr} serving status: NOT_SERVING")
    );
    Ok(())
}

#[tokio::test]
async fn an_h2_ping_is_answered_over_plain_http2() -> Try {
    let registry = start().await?;
    let (listener, addr) = listener().await?;
    let _server = grpc_server(listener, 1);
    let check = format!(r#"{{"h2ping":"{addr}","h2ping_use_tls":false,"interval":"1s"}}"#);
    registry.check("web", &check).await?;
    assert_eq!(registry.shows("web", "passing").await?, "HTTP2 ping was successful");
    // TLS is the default, and this server has none.
    let check = format!(r#"{{"h2ping":"{addr}","tlsskipverify":true,"interval":"1s"}}"#);
    registry.check("web", &check).await?;
    let output = registry.shows("web", "critical").await?;
    assert!(output.starts_with(&format!("Failed to dial to {addr}: the TLS handshake")), "{output}");
    Ok(())
}

#[tokio::test]
async fn a_udp_check_is_critical_once_nobody_is_there() -> Try {
    let registry = start().await?;
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    let addr = socket.local_addr()?;
    registry.check("web", &format!(r#"{{"udp":"{addr}","interval":"1s","timeout":"100ms"}}"#)).await?;
    assert_eq!(registry.shows("web", "passing").await?, format!("UDP connect {addr}: Success"));
    drop(socket);
    let output = registry.shows("web", "critical").await?;
    assert!(output.contains("connection refused"), "{output}");
    Ok(())
}

/// A certificate for `localhost`: a server that has it, and the file that makes it trusted.
fn certificate(directory: &std::path::Path) -> Try<(TlsAcceptor, Tls)> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let file = directory.join("ca.pem");
    std::fs::write(&file, made.cert.pem())?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), Tls::ca_file(file)?))
}

/// A server that answers each request over TLS; it ends with the set.
fn tls_server(listener: TcpListener, acceptor: TlsAcceptor) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A handshake that the check breaks off is what the test is about.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 1024];
            if stream.read(&mut request).await.is_ok() {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
                drop(stream.write_all(answer).await);
                drop(stream.shutdown().await);
            }
        }
    });
    tasks
}

#[tokio::test]
async fn checks_over_tls_believe_what_they_are_told_to() -> Try {
    let files = tempfile::tempdir()?;
    let (acceptor, trusted) = certificate(files.path())?;
    let registry = start_with(ServerConfig::default().check_tls(Some(trusted))).await?;
    let (listener, addr) = listener().await?;
    let (port, _server) = (addr.port(), tls_server(listener, acceptor));
    let by_name = format!("https://localhost:{port}/h");
    let by_addr = format!("https://{addr}/h");
    for (check, status) in [
        (format!(r#""http":"{by_name}""#), "passing"),
        // The certificate does not hold the address.
        (format!(r#""http":"{by_addr}""#), "critical"),
        (format!(r#""http":"{by_addr}","TLSServerName":"localhost""#), "passing"),
        (format!(r#""http":"{by_addr}","tls_server_name":"other.example""#), "critical"),
        (format!(r#""http":"{by_addr}","TLSSkipVerify":true"#), "passing"),
        (format!(r#""tcp":"{addr}","TCPUseTLS":true"#), "critical"),
        (format!(r#""tcp":"localhost:{port}","TCPUseTLS":true"#), "passing"),
        (format!(r#""tcp":"{addr}""#), "passing"),
    ] {
        let other = if status == "passing" { "critical" } else { "passing" };
        let check = format!(r#"{{{check},"interval":"1s","status":"{other}"}}"#);
        registry.check("web", &check).await?;
        let output = registry.shows("web", status).await?;
        match status {
            "passing" => assert!(output.contains("fine") || output.ends_with(": Success"), "{output}"),
            _ => assert!(output.contains("the TLS handshake with"), "{output}"),
        }
        registry.write("/v1/agent/service/deregister/web", "").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_script_runs_only_where_it_is_allowed() -> Try {
    let check = r#"{"args":["/bin/sh","-c","echo all is well; exit 1"],"interval":"1s"}"#;
    let body = format!(r#"{{"name":"web","check":{check}}}"#);
    let registry = start().await?;
    let refused = registry.put("/v1/agent/service/register", &body).await?;
    assert_eq!(
        (refused.status, refused.body.contains("enable_script_checks")),
        (500, true),
        "{}",
        refused.body
    );
    assert_eq!(registry.get("/v1/agent/services").await?.body, "{}");

    let registry = start_with(ServerConfig::default().enable_script_checks(true)).await?;
    registry.check("web", check).await?;
    assert_eq!(registry.shows("web", "warning").await?, "all is well\n");
    Ok(())
}

#[tokio::test]
async fn an_alias_follows_its_service_over_http() -> Try {
    let registry = start().await?;
    registry.check("back", r#"{"ttl":"1h","checkid":"alive","name":"alive"}"#).await?;
    registry.check("front", r#"{"alias_service":"back"}"#).await?;
    // Critical as before: the agent shows the new output, the catalogue later.
    let alias = &registry.get("/v1/agent/checks").await?.json()["service:front"];
    let shown = (&alias["Status"], &alias["Output"]);
    assert_eq!(shown, (&"critical".into(), &"Aliased check \"alive\" failing: ".into()));
    registry.write("/v1/agent/check/warn/alive?note=slow", "").await?;
    assert_eq!(registry.shows("front", "warning").await?, "Aliased check \"alive\" failing: slow");
    registry.write("/v1/agent/check/pass/alive", "").await?;
    assert_eq!(registry.shows("front", "passing").await?, "All checks passing.");
    let alias = &registry.get("/v1/agent/checks").await?.json()["service:front"];
    assert_eq!((&alias["Type"], &alias["Interval"]), (&"alias".into(), &"".into()));
    Ok(())
}

#[tokio::test]
async fn a_definition_that_cannot_be_run_is_refused_with_its_field() -> Try {
    let registry = start_with(ServerConfig::default().enable_script_checks(true)).await?;
    for (check, says) in [
        (r#"{"http":"http://a/","tcp":"a:1","interval":"1s"}"#, "HTTP and TCP are two kinds in one check"),
        (r#"{"udp":"a:1","args":["true"],"interval":"1s"}"#, "UDP and ScriptArgs are two kinds"),
        (r#"{"http":"http://a/"}"#, "Interval must be > 0"),
        (r#"{"grpc":"a:1","interval":"0s"}"#, "Interval must be > 0"),
        (r#"{"tcp":"a:1","interval":"1s","ttl":"1s"}"#, "Interval and TTL cannot both"),
        (r#"{"alias_service":"a","ttl":"1s"}"#, "TTL must be not be set for Alias"),
        (r#"{"alias_service":"a","tcp":"a:1","interval":"1s"}"#, "Interval cannot be set for Alias"),
        (r#"{"name":"nothing"}"#, "TTL must be > 0"),
        (r#"{"udp":"a","interval":"1s"}"#, "UDP: \"a\" is not \"host:port\""),
        (r#"{"grpc":"a/b","interval":"1s"}"#, "GRPC: \"a\" is not"),
        (r#"{"h2ping":"a:0","interval":"1s"}"#, "H2PING: \"a:0\" is not"),
        (r#"{"http":"ftp://a/","interval":"1s"}"#, "HTTP: \"ftp://a/\" is not a URL"),
        (r#"{"args":[""],"interval":"1s"}"#, "ScriptArgs: "),
        (r#"{"os_service":"sshd","interval":"1s"}"#, "OSService checks are not run by this registry"),
        (
            r#"{"docker_container_id":"c","args":["true"],"interval":"1s"}"#,
            "DockerContainerID checks are not run by this registry",
        ),
    ] {
        let body = format!(r#"{{"name":"web","check":{check}}}"#);
        let refused = registry.put("/v1/agent/service/register", &body).await?;
        assert_eq!(refused.status, 400, "{check}: {}", refused.body);
        assert!(refused.body.contains(says), "{check}: {}", refused.body);
    }
    assert_eq!(registry.get("/v1/agent/services").await?.body, "{}");
    Ok(())
}
