//! `portolan serve` for others than this machine: mutual TLS, SIGHUP, and what it warns of.
#![cfg(unix)]

use std::{path::Path, process::Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::Child,
    time::timeout,
};

#[path = "registries/both.rs"]
#[expect(dead_code, reason = "no subcommand is run here")]
mod both;

use both::{DEADLINE, Outcome, Running, portolan};

/// An authority in `ca.pem`, and the certificates that it signed, in `NAME.pem` and `NAME.key`.
struct Authority {
    files: tempfile::TempDir,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Outcome<Self> {
        let files = tempfile::TempDir::new()?;
        let mut ca = rcgen::CertificateParams::new(Vec::new())?;
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate()?;
        std::fs::write(files.path().join("ca.pem"), ca.self_signed(&key)?.pem())?;
        Ok(Self { issuer: rcgen::Issuer::new(ca, key), files })
    }

    fn path(&self, name: &str) -> String {
        self.files.path().join(name).display().to_string()
    }

    fn sign(&self, name: &str, host: &str) -> Outcome {
        let key = rcgen::KeyPair::generate()?;
        let signed = rcgen::CertificateParams::new([host.to_owned()])?.signed_by(&key, &self.issuer)?;
        std::fs::write(self.path(&format!("{name}.pem")), signed.pem())?;
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem())?;
        Ok(())
    }
}

/// The registry, its two addresses, and what it logs.
async fn serve(flags: &[&str]) -> Outcome<(Child, String, String)> {
    let words = [&["serve", "-dev", "--http-addr", "127.0.0.1:0"][..], flags].concat();
    let mut child = portolan(&words).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("stdout is piped")?).lines();
    let mut address = async |scheme: &str| {
        let line = timeout(DEADLINE, lines.next_line()).await??.ok_or("it does not serve")?;
        let word = line.split_whitespace().find(|word| word.starts_with(scheme)).map(str::to_owned);
        Outcome::Ok(word.ok_or(line)?)
    };
    let (http, https) = (address("http://").await?, address("https://").await?);
    Ok((child, http, https))
}

/// `portolan services` by the variables that Consul's own command reads.
async fn services(https: &str, authority: &Authority, certificate: Option<&str>) -> Outcome<Option<i32>> {
    let mut command = portolan(&["services"]);
    command.env("CONSUL_HTTP_ADDR", https).env("CONSUL_CACERT", authority.path("ca.pem"));
    if let Some(name) = certificate {
        command.env("CONSUL_CLIENT_CERT", authority.path(&format!("{name}.pem")));
        command.env("CONSUL_CLIENT_KEY", authority.path(&format!("{name}.key")));
    }
    Ok(timeout(DEADLINE, command.output()).await??.status.code())
}

#[tokio::test]
async fn certificates_let_in_and_are_read_again_at_sighup() -> Outcome {
    let authority = Authority::new()?;
    authority.sign("server", "127.0.0.1")?;
    authority.sign("client", "client.example")?;
    let [cert, key, ca] = ["server.pem", "server.key", "ca.pem"].map(|name| authority.path(name));
    let flags =
        ["--https-addr", "127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key, "--tls-client-ca", &ca];
    let (mut child, _http, https) = serve(&flags).await?;
    assert_eq!(services(&https, &authority, Some("client")).await?, Some(0));
    assert_eq!(services(&https, &authority, None).await?, Some(3), "let in without a certificate");
    let pid = Pid::from_raw(i32::try_from(child.id().ok_or("it ended")?)?).ok_or("no process")?;
    let mut log = BufReader::new(child.stderr.take().ok_or("stderr is piped")?).lines();
    std::fs::write(&cert, "nothing")?;
    kill_process(pid, Signal::HUP)?;
    loop {
        let line = timeout(DEADLINE, log.next_line()).await??.ok_or("the log ended")?;
        if line.contains("those from before stay in use") {
            assert!(line.contains("https.cert: ") && line.contains(&cert), "{line}");
            break;
        }
    }
    assert_eq!(services(&https, &authority, Some("client")).await?, Some(0));
    // One for another host: clients find out once it is in use.
    authority.sign("server", "elsewhere.example")?;
    kill_process(pid, Signal::HUP)?;
    let renewed = async {
        while services(&https, &authority, Some("client")).await? == Some(0) {}
        Outcome::Ok(())
    };
    timeout(DEADLINE, renewed).await??;
    kill_process(pid, Signal::TERM)?;
    assert_eq!(timeout(DEADLINE, child.wait()).await??.code(), Some(0));
    Ok(())
}

/// What it says to somebody at a terminal until it is told to stop.
async fn said(flags: &[&str], addr: &str) -> Outcome<String> {
    let mut command = portolan(&["serve", "-dev", "--http-addr", addr]);
    let mut child = command.args(flags).stdin(Stdio::null()).spawn()?;
    let mut out = BufReader::new(child.stdout.take().ok_or("stdout is piped")?).lines();
    timeout(DEADLINE, out.next_line()).await??.ok_or("it does not serve")?;
    let pid = Pid::from_raw(i32::try_from(child.id().ok_or("it ended")?)?).ok_or("no process")?;
    kill_process(pid, Signal::TERM)?;
    let mut said = String::new();
    let mut stderr = child.stderr.take().ok_or("stderr is piped")?;
    timeout(DEADLINE, stderr.read_to_string(&mut said)).await??;
    Ok(said)
}

#[tokio::test]
async fn who_listens_to_everybody_is_warned_and_told_what_helps() -> Outcome {
    let open = said(&[], "0.0.0.0:0").await?;
    assert!(open.contains("can read and change the registry") && open.contains("--tls-client-ca"), "{open}");
    let local = said(&[], "127.0.0.1:0").await?;
    assert!(!local.contains("can read and change"), "{local}");
    Ok(())
}

/// The flags of `serve` that stand in a file, beside its comments.
fn flags(file: &Path) -> Outcome<Vec<String>> {
    let text = std::fs::read_to_string(file)?.replace("\\\n", " ");
    let starts =
        text.lines().filter(|line| line.contains("portolan serve") || line.starts_with("CMD [\"serve\""));
    let words = starts.filter(|line| !line.starts_with('#')).flat_map(|line| line.split([' ', '"', ',']));
    Ok(words.filter(|word| word.starts_with("--")).map(str::to_owned).collect())
}

#[tokio::test]
async fn every_flag_in_the_packaging_is_one_of_serves() -> Outcome {
    let help = String::from_utf8(portolan(&["serve", "--help"]).output().await?.stdout)?;
    let known: Vec<_> = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).collect();
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging");
    for (name, some) in [
        ("portolan.service", "--http-addr"),
        ("tls.conf", "--tls-client-ca"),
        ("Containerfile", "--data-dir"),
    ] {
        let flags = flags(&packaging.join(name))?;
        assert!(flags.iter().any(|flag| flag == some), "{name}: {flags:?}");
        for flag in flags {
            assert!(known.contains(&&*flag), "{name}: `portolan serve` has no {flag}");
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn systemd_finds_nothing_wrong_with_the_unit() -> Outcome {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging");
    let copy = tempfile::TempDir::new()?;
    std::fs::create_dir(copy.path().join("portolan.service.d"))?;
    for (name, to) in [("portolan.service", "portolan.service"), ("tls.conf", "portolan.service.d/tls.conf")]
    {
        let text = std::fs::read_to_string(packaging.join(name))?;
        // The program has to be there.
        let text = text.replace("/usr/local/bin/portolan", env!("CARGO_BIN_EXE_portolan"));
        std::fs::write(copy.path().join(to), text)?;
    }
    let mut verify = tokio::process::Command::new("systemd-analyze");
    let said = verify.arg("verify").arg(copy.path().join("portolan.service")).output().await;
    let said = said.map_err(|failed| format!("systemd-analyze: {failed}; install systemd, which has it"))?;
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && !text.contains("portolan"), "{text}");
    Ok(())
}

/// Status and body of what comes back for these bytes.
async fn talk(registry: &Running, bytes: &[u8]) -> Outcome<(u16, String)> {
    let mut stream = TcpStream::connect(registry.url.trim_start_matches("http://")).await?;
    // What is refused early may not be taken to its end.
    drop(timeout(DEADLINE, stream.write_all(bytes)).await?);
    let mut answer = Vec::new();
    drop(timeout(DEADLINE, stream.read_to_end(&mut answer)).await?);
    let answer = String::from_utf8(answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no whole answer")?;
    Ok((head.split(' ').nth(1).ok_or("no status")?.parse()?, body.to_owned()))
}

const TOO_MANY: &str = "one connection too many";

/// What each kind of too much comes to.
async fn refusals(registry: &Running) -> Outcome<Vec<(&'static str, u16, String)>> {
    let get = "GET /v1/status/leader HTTP/1.1\r\nConnection: close\r\n";
    let large = format!("{get}Host: localhost\r\nX: {}\r\n\r\n", "x".repeat(2 << 20));
    let crowd: String = (0..100_000).map(|number| format!("X-{number}: y\r\n")).collect();
    let mut found = Vec::new();
    for (what, bytes, told) in [
        ("a large head", large, false),
        ("many headers", format!("{get}Host: localhost\r\n{crowd}\r\n"), false),
        ("no host", format!("{get}\r\n"), true),
        ("a host that is none", format!("{get}Host: a b\r\n\r\n"), true),
        ("two hosts", format!("{get}Host: localhost\r\nHost: localhost\r\n\r\n"), false),
    ] {
        let (status, body) = talk(registry, bytes.as_bytes()).await?;
        found.push((what, status, if told { body } else { String::new() }));
    }
    let mut held = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(registry.url.trim_start_matches("http://")).await?;
        stream.write_all(b"GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
        let answer = timeout(DEADLINE, stream.read_u8()).await?;
        held.push(stream);
        if answer.is_err() {
            // Those from before may count still.
            break;
        }
    }
    // 0: it is closed without a word.
    let (status, body) = talk(registry, b"").await.unwrap_or_default();
    found.push((TOO_MANY, status, body));
    Ok(found)
}

#[tokio::test]
async fn what_is_too_much_gets_consuls_answer() -> Outcome {
    let ours = refusals(&Running::ours().await?).await?;
    let statuses: Vec<_> = ours.iter().map(|(_, status, _)| *status).collect();
    assert_eq!(statuses, [431, 431, 400, 400, 400, 429]);
    let consul = Running::consul().await?;
    // Of 1.0, so that it comes in one piece.
    let (_, agent) = talk(&consul, b"GET /v1/agent/self HTTP/1.0\r\n\r\n").await?;
    let is_older = agent.contains(r#""Version": "1.8."#);
    let mut theirs = refusals(&consul).await?;
    for (of, ours) in theirs.iter_mut().zip(&ours).filter(|(of, _)| is_older && of.0 == TOO_MANY) {
        // Consul 1.8 closes without a word.
        assert_eq!(of.1, 0);
        of.clone_from(ours);
    }
    assert_eq!(ours, theirs);
    Ok(())
}
