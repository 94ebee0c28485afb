//! HTTPS: who is let in, both versions of HTTP, certificates that are renewed under load, and an end that answers.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portolan::{
    Registry as _, ServiceName,
    registry::{
        ServiceQuery,
        consul::{Consul, ConsulConfig, Tls},
    },
};
use portolan_server::{Certificates, Https, Server, ServerConfig};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};

use crate::client::{PATIENCE, Try, parse};

/// An authority, and the files that it signed.
struct Authority {
    files: TempDir,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Try<Self> {
        let files = TempDir::new()?;
        let mut ca = rcgen::CertificateParams::new(Vec::new())?;
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate()?;
        std::fs::write(files.path().join("ca.pem"), ca.self_signed(&key)?.pem())?;
        Ok(Self { issuer: rcgen::Issuer::new(ca, key), files })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// A certificate in `NAME.pem` and its key in `NAME.key`, in place of those before.
    fn sign(&self, name: &str) -> Try {
        let key = rcgen::KeyPair::generate()?;
        let names = ["localhost", "127.0.0.1", "registry.example"].map(str::to_owned);
        let signed = rcgen::CertificateParams::new(names)?.signed_by(&key, &self.issuer)?;
        std::fs::write(self.path(&format!("{name}.pem")), signed.pem())?;
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem())?;
        Ok(())
    }

    fn https(&self) -> Https {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Https::new(anywhere, self.path("server.pem"), self.path("server.key"))
            .client_ca(Some(self.path("ca.pem")))
    }

    /// A client that trusts the authority, and has its certificate.
    fn client(&self, offers: &[&str]) -> Try<TlsConnector> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(self.path("ca.pem"))? {
            roots.add(root?)?;
        }
        let chain = CertificateDer::pem_file_iter(self.path("client.pem"))?.collect::<Result<Vec<_>, _>>()?;
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(self.path("client.key"))?)?;
        config.alpn_protocols = offers.iter().map(|offer| offer.as_bytes().to_vec()).collect();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// A registry with mutual TLS, until it is dropped.
struct Secured {
    authority: Authority,
    https: SocketAddr,
    certificates: Certificates,
    stop: Option<oneshot::Sender<()>>,
    tasks: JoinSet<()>,
}

async fn secured() -> Try<Secured> {
    let authority = Authority::new()?;
    authority.sign("server")?;
    authority.sign("client")?;
    let config = ServerConfig::default()
        .http_addr(SocketAddr::from(([127, 0, 0, 1], 0)))
        .https(Some(authority.https()))
        // Longer than a test waits: what is only cut at its end does not pass.
        .grace(PATIENCE * 3);
    let server = Server::bind(config).await?;
    let https = server.https_addr().ok_or("no HTTPS")?;
    let certificates = server.certificates().ok_or("no certificates")?;
    let (stop, stopped) = oneshot::channel::<()>();
    let mut tasks = JoinSet::new();
    tasks.spawn(server.run(async move {
        // An error means that the sender is gone: the test has ended.
        drop(stopped.await);
    }));
    Ok(Secured { authority, https, certificates, stop: Some(stop), tasks })
}

impl Secured {
    async fn connect(&self, offers: &[&str], name: &'static str) -> Try<TlsStream<TcpStream>> {
        let connector = self.authority.client(offers)?;
        let stream = TcpStream::connect(self.https).await?;
        Ok(connector.connect(ServerName::try_from(name)?, stream).await?)
    }

    fn consul(&self, tls: Tls) -> Try<Consul> {
        Ok(Consul::new(ConsulConfig::default().address(format!("https://{}", self.https))?.tls(tls)))
    }

    fn mutual(&self) -> Try<Tls> {
        let path = |name| self.authority.path(name);
        Ok(Tls::mutual(Some(&path("ca.pem")), &path("client.pem"), &path("client.key"))?)
    }
}

async fn ask(stream: &mut TlsStream<TcpStream>, host: &str) -> Try<u16> {
    let request = format!("GET /v1/status/leader HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = vec![0; 4096];
    let read = timeout(PATIENCE, stream.read(&mut answer)).await??;
    answer.truncate(read);
    Ok(parse(&String::from_utf8(answer)?)?.status)
}

#[tokio::test]
async fn only_clients_with_a_certificate_get_beyond_the_handshake() -> Try {
    let registry = secured().await?;
    let info = registry.consul(registry.mutual()?)?.agent().await?;
    assert_eq!(&*info.datacenter, "dc1");
    let stranger = registry.consul(Tls::ca_file(registry.authority.path("ca.pem"))?)?;
    let refused = stranger.agent().await.err().ok_or("let in without a certificate")?;
    assert_eq!(refused.kind(), portolan::Kind::Unreachable, "{refused}");
    // Signed by somebody else.
    let other = Authority::new()?;
    other.sign("client")?;
    let [cert, key] = ["client.pem", "client.key"].map(|name| other.path(name));
    let foreign = registry.consul(Tls::mutual(Some(&registry.authority.path("ca.pem")), &cert, &key)?)?;
    assert_eq!(foreign.agent().await.err().ok_or("let in")?.kind(), portolan::Kind::Unreachable);
    Ok(())
}

#[tokio::test]
async fn consuls_variables_lead_a_client_there() -> Try {
    let registry = secured().await?;
    let shown = |name: &str| registry.authority.path(name).display().to_string();
    let config = ConsulConfig::from_vars(|name| match name {
        "CONSUL_HTTP_ADDR" => Some(format!("https://{}", registry.https)),
        "CONSUL_CACERT" => Some(shown("ca.pem")),
        "CONSUL_CLIENT_CERT" => Some(shown("client.pem")),
        "CONSUL_CLIENT_KEY" => Some(shown("client.key")),
        _ => None,
    })?;
    let query = ServiceQuery::new(ServiceName::new("web")?);
    assert_eq!(Consul::new(config).service(&query).await?.value.len(), 0);
    Ok(())
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_as_agreed_in_the_handshake() -> Try {
    let registry = secured().await?;
    let mut plain = registry.connect(&["http/1.1"], "localhost").await?;
    assert_eq!(plain.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!((ask(&mut plain, "localhost").await?, ask(&mut plain, "localhost").await?), (200, 200));
    let both = registry.connect(&["h2", "http/1.1"], "localhost").await?;
    assert_eq!(both.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut silent = registry.connect(&[], "localhost").await?;
    assert_eq!(ask(&mut silent, "localhost").await?, 200);
    Ok(())
}

#[tokio::test]
async fn the_name_in_the_certificate_may_be_asked_under_and_no_other() -> Try {
    let registry = secured().await?;
    let mut stream = registry.connect(&[], "registry.example").await?;
    assert_eq!(ask(&mut stream, "registry.example:8501").await?, 200);
    assert_eq!(ask(&mut stream, "evil.example").await?, 403);
    Ok(())
}

fn shown_by(stream: &TlsStream<TcpStream>) -> Option<Vec<u8>> {
    Some(stream.get_ref().1.peer_certificates()?.first()?.as_ref().to_vec())
}

#[tokio::test]
async fn a_bad_file_keeps_the_old_certificate_and_a_good_one_takes_its_place() -> Try {
    let registry = secured().await?;
    let mut before = registry.connect(&[], "localhost").await?;
    let (cert, key) = (registry.authority.path("server.pem"), registry.authority.path("server.key"));
    let good = std::fs::read(&cert)?;
    std::fs::write(&cert, "no certificate")?;
    for (says, spoil) in [("https.cert: ", None), ("https.key: ", Some(&key)), ("https.cert: ", Some(&cert))]
    {
        if let Some(path) = spoil {
            std::fs::write(&cert, &good)?;
            std::fs::write(path, b"-----BEGIN NOTHING-----\n")?;
        }
        let error = registry.certificates.reload().await.err().ok_or("a bad file was taken")?;
        assert!(error.to_string().starts_with(says), "{error}");
        let mut new = registry.connect(&[], "localhost").await?;
        assert_eq!((shown_by(&new), ask(&mut new, "localhost").await?), (shown_by(&before), 200));
    }
    // Half renewed: the new key is not there yet.
    registry.authority.sign("server")?;
    let newer = std::fs::read(&key)?;
    registry.authority.sign("other")?;
    std::fs::copy(registry.authority.path("other.key"), &key)?;
    let error = registry.certificates.reload().await.err().ok_or("the wrong key was taken")?;
    assert!(error.to_string().contains("is not the key of the certificate in"), "{error}");
    std::fs::write(&key, newer)?;
    registry.certificates.reload().await?;
    let mut after = registry.connect(&[], "localhost").await?;
    assert_ne!(shown_by(&after), shown_by(&before));
    assert_eq!((ask(&mut after, "localhost").await?, ask(&mut before, "localhost").await?), (200, 200));
    Ok(())
}

/// What asks while certificates are renewed: how often, until it is told to end.
struct Load {
    end: AtomicBool,
    asked: AtomicUsize,
}

impl Load {
    fn counts(&self) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed);
        !self.end.load(Ordering::Relaxed)
    }
}

async fn on_kept(mut stream: TlsStream<TcpStream>, load: Arc<Load>) -> Result<(), String> {
    while load.counts() {
        let status = ask(&mut stream, "localhost").await.map_err(|error| format!("kept: {error}"))?;
        if status != 200 {
            return Err(format!("kept: {status}"));
        }
    }
    Ok(())
}

async fn on_new(connector: TlsConnector, addr: SocketAddr, load: Arc<Load>) -> Result<(), String> {
    let once = || async {
        let stream = TcpStream::connect(addr).await?;
        let mut stream = connector.connect(ServerName::try_from("localhost")?, stream).await?;
        ask(&mut stream, "localhost").await
    };
    while load.counts() {
        let status = once().await.map_err(|error| format!("new: {error}"))?;
        if status != 200 {
            return Err(format!("new: {status}"));
        }
    }
    Ok(())
}

async fn by_library(consul: Consul, load: Arc<Load>) -> Result<(), String> {
    let query = ServiceQuery::new(ServiceName::new("web").map_err(|error| error.to_string())?);
    while load.counts() {
        consul.service(&query).await.map_err(|error| format!("library: {error}"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_renewed_under_load_and_no_request_fails() -> Try {
    let registry = secured().await?;
    let load = Arc::new(Load { end: AtomicBool::new(false), asked: AtomicUsize::new(0) });
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        tasks.spawn(on_kept(registry.connect(&[], "localhost").await?, Arc::clone(&load)));
        tasks.spawn(on_new(registry.authority.client(&[])?, registry.https, Arc::clone(&load)));
    }
    tasks.spawn(by_library(registry.consul(registry.mutual()?)?, Arc::clone(&load)));
    let (mut renewed, first) = (0, shown_by(&registry.connect(&[], "localhost").await?));
    while renewed < 30 || load.asked.load(Ordering::Relaxed) < 3000 {
        registry.authority.sign("server")?;
        registry.certificates.reload().await?;
        renewed += 1;
        assert_ne!(shown_by(&registry.connect(&[], "localhost").await?), first);
        if let Some(ended) = tasks.try_join_next() {
            return Err(format!("after {renewed}: {:?}", ended?).into());
        }
    }
    load.end.store(true, Ordering::Relaxed);
    while let Some(ended) = timeout(PATIENCE, tasks.join_next()).await? {
        ended??;
    }
    Ok(())
}

#[tokio::test]
async fn stopping_answers_those_who_wait_over_tls_and_http2() -> Try {
    let mut registry = secured().await?;
    // One that never ends its handshake must not hold the end up.
    let _silent = TcpStream::connect(registry.https).await?;
    let stream = registry.connect(&["h2"], "localhost").await?;
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // It ends with the registry.
        drop(connection.await);
    });
    let mut waits = JoinSet::new();
    for n in 0..100 {
        let mut sender = sender.clone();
        let uri = format!("https://localhost/v1/health/service/s?index=1&wait=10m&n={n}");
        waits.spawn(async move {
            let request =
                http::Request::get(uri).body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.map_err(|error| error.to_string())?;
            Ok::<_, String>((status, body.to_bytes()))
        });
    }
    assert!(timeout(Duration::from_millis(200), waits.join_next()).await.is_err(), "all wait");
    drop(registry.stop.take());
    let mut answered = 0;
    while let Some(done) = timeout(PATIENCE, waits.join_next()).await? {
        assert_eq!(done??, (200, Bytes::from_static(b"[]")));
        answered += 1;
    }
    assert_eq!(answered, 100);
    timeout(PATIENCE, registry.tasks.join_next()).await?.ok_or("it never ran")??;
    timeout(PATIENCE, tasks.join_next()).await?.ok_or("no connection")??;
    Ok(())
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_at_the_start() -> Try {
    let authority = Authority::new()?;
    authority.sign("server")?;
    authority.sign("client")?;
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let (cert, key) = (authority.path("server.pem"), authority.path("server.key"));
    let missing = Path::new("/nonexistent/file.pem");
    for (https, says) in [
        (Https::new(local, missing, &key), "https.cert: /nonexistent/file.pem cannot be read"),
        (Https::new(local, &cert, missing), "https.key: /nonexistent/file.pem cannot be read"),
        (Https::new(local, &cert, authority.path("client.key")), "https.key: "),
        (Https::new(local, &key, &key), "https.cert: "),
        (Https::new(local, &cert, &key).client_ca(Some(key.clone())), "https.client_ca: "),
    ] {
        let config = ServerConfig::default().http_addr(local).https(Some(https));
        let error = Server::bind(config).await.err().ok_or("it was taken")?;
        assert!(error.to_string().starts_with(says), "{says}: {error}");
        assert_eq!(error.kind(), portolan::Kind::Config);
    }
    Ok(())
}
