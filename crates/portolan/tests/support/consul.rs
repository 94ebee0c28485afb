//! A real Consul agent for tests: `consul agent -dev` on free loopback ports, killed when dropped.
//!
//! In:  a binary: `PORTOLAN_TEST_CONSUL`, or what `cargo xtask consul` unpacked below the target directory. Out: the
//! addresses it serves: plain, TLS with an authority of its own, and a unix socket.
//!
//! Never: skips. A missing binary is an error that says what to run.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use portolan::registry::{
    CatalogQuery, Registry as _,
    consul::{Consul, ConsulConfig, Tls},
};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long an agent may take until it has a leader.
const START: Duration = Duration::from_secs(60);

/// A running agent.
pub(crate) struct Agent {
    child: Child,
    files: tempfile::TempDir,
    http: u16,
    https: u16,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        if let Err(failed) = ended {
            // The process is already gone; there is nobody left to tell but the reader of the test's output.
            assert!(std::thread::panicking(), "the agent could not be ended: {failed}");
        }
    }
}

impl Agent {
    /// Starts an agent and waits until it has a leader and has registered itself. A port that was free may be taken by
    /// another process before the agent is there: then it is tried once more, on other ports.
    pub(crate) async fn start() -> Result<Self, Failure> {
        Self::start_with(serde_json::json!({})).await
    }

    /// The same, with these settings besides; an object, as `ports`, is added to what is there.
    pub(crate) async fn start_with(more: serde_json::Value) -> Result<Self, Failure> {
        match Self::start_once(&more).await {
            Err(failed) if failed.to_string().contains("address already in use") => {
                Self::start_once(&more).await
            }
            done => done,
        }
    }

    async fn start_once(more: &serde_json::Value) -> Result<Self, Failure> {
        let binary = binary()?;
        let files = tempfile::tempdir()?;
        let [http, https, server, serf] = free_ports()?;
        certificate(files.path())?;
        let path = |name: &str| files.path().join(name).display().to_string();
        let mut ports = serde_json::json!({
            "http": http, "https": https, "server": server, "serf_lan": serf, "serf_wan": -1, "dns": -1, "grpc": -1
        });
        if knows_grpc_tls(&binary)? {
            ports["grpc_tls"] = (-1).into();
        }
        let mut config = serde_json::json!({
            "node_name": "test-node",
            "ports": ports,
            "addresses": { "http": format!("127.0.0.1 unix://{}", path("agent.sock")) },
            "cert_file": path("agent.pem"),
            "key_file": path("agent.key"),
            "ca_file": path("ca.pem"),
            "disable_update_check": true,
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            match (config[name].as_object_mut(), value.as_object()) {
                (Some(there), Some(more)) => there.extend(more.clone()),
                _ => config[name] = value.clone(),
            }
        }
        fs::write(files.path().join("agent.json"), config.to_string())?;
        let log = fs::File::create(files.path().join("log"))?;
        let child = Command::new(&binary)
            .args(["agent", "-dev", "-bind=127.0.0.1", "-config-file"])
            .arg(files.path().join("agent.json"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|cause| format!("{} does not start: {cause}", binary.display()))?;
        let mut agent = Self { child, files, http, https };
        agent.ready().await?;
        Ok(agent)
    }

    /// Where it is over plain HTTP.
    pub(crate) fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// Over plain HTTP.
    pub(crate) fn plain(&self) -> Result<ConsulConfig, Failure> {
        Ok(ConsulConfig::default().address(self.http_url())?)
    }

    /// Over TLS.
    pub(crate) fn tls(&self) -> Result<ConsulConfig, Failure> {
        let tls = Tls::ca_file(self.files.path().join("ca.pem"))?;
        Ok(ConsulConfig::default().address(format!("https://localhost:{}", self.https))?.tls(tls))
    }

    /// Over a unix socket.
    pub(crate) fn socket(&self) -> Result<ConsulConfig, Failure> {
        let path = self.files.path().join("agent.sock");
        Ok(ConsulConfig::default().address(format!("unix://{}", path.display()))?)
    }

    async fn ready(&mut self) -> Result<(), Failure> {
        let consul = Consul::new(self.plain()?);
        let up = async {
            // An agent that has a leader lists itself.
            while !consul.services(&CatalogQuery::default()).await.is_ok_and(|list| !list.value.is_empty()) {
                if let Some(status) = self.child.try_wait()? {
                    return Err(format!("ended with {status}").into());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok::<_, Failure>(())
        };
        let failed = match tokio::time::timeout(START, up).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failed)) => failed.to_string(),
            Err(_late) => "has no leader in time".to_owned(),
        };
        let log = fs::read_to_string(self.files.path().join("log"))?;
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n");
        Err(format!("the Consul agent {failed}; the end of its log:\n{tail}").into())
    }
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment where Consul is")]
pub(crate) fn binary() -> Result<PathBuf, Failure> {
    if let Ok(path) = std::env::var("PORTOLAN_TEST_CONSUL") {
        let path = PathBuf::from(path);
        if path.is_file() {
            return Ok(path);
        }
        return Err(format!("PORTOLAN_TEST_CONSUL: there is no file {}", path.display()).into());
    }
    let target = std::env::var("CARGO_TARGET_DIR").ok().map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|directory| directory.join("target"));
    target
        .into_iter()
        .chain(above)
        .map(|target| target.join("consul/usr/bin/consul"))
        .find(|path| path.is_file())
        .ok_or_else(|| "no Consul to test with: run `cargo xtask consul`, or set PORTOLAN_TEST_CONSUL".into())
}

/// Consul before 1.14 refuses the setting, and later ones would all take the same port.
fn knows_grpc_tls(binary: &Path) -> Result<bool, Failure> {
    let output = Command::new(binary).arg("version").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let minor = text.split_once("v1.").and_then(|(_, rest)| rest.split('.').next()?.parse::<u32>().ok());
    Ok(minor.ok_or_else(|| format!("cannot tell the version from {text:?}"))? >= 14)
}

/// Ports that were free a moment ago.
pub(crate) fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT], Failure> {
    let held = [(); COUNT].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut ports = [0; COUNT];
    for (port, listener) in ports.iter_mut().zip(held) {
        *port = listener?.local_addr()?.port();
    }
    Ok(ports)
}

/// An authority and a certificate for `localhost`, as PEM files.
fn certificate(directory: &Path) -> Result<(), Failure> {
    let mut ca = rcgen::CertificateParams::new(Vec::new())?;
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate()?;
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate()?;
    let params = rcgen::CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    fs::write(directory.join("agent.pem"), params.signed_by(&key, &issuer)?.pem())?;
    fs::write(directory.join("agent.key"), key.serialize_pem())?;
    fs::write(directory.join("ca.pem"), ca_pem)?;
    Ok(())
}
