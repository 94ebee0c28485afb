//! What is asked: a real Consul, and the registry, each with its HTTP and its DNS address.

use std::{
    error::Error,
    fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use portolan_server::{Dns, Server, ServerConfig};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    support::{binary, free_ports},
    version::minor,
};

pub(crate) type Try<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// No answer takes this long, unless something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How long Consul may take until it has a leader.
const START: Duration = Duration::from_secs(60);
pub(crate) const NODE: &str = "n1";
/// The token that may do everything, where rules are on.
pub(crate) const ROOT: &str = "11111111-1111-4111-8111-111111111111";

/// Something that is asked.
pub(crate) struct Site {
    pub(crate) http: SocketAddr,
    pub(crate) dns: SocketAddr,
    _runs: Runs,
}

enum Runs {
    Consul { child: Child, _files: tempfile::TempDir },
    Registry(#[expect(dead_code, reason = "ends when it is dropped")] JoinSet<()>),
}

impl Drop for Runs {
    fn drop(&mut self) {
        if let Self::Consul { child, .. } = self
            && let Err(failed) = child.kill().and_then(|()| child.wait())
        {
            // The process is already gone; there is nobody left to tell but the reader of the test's output.
            assert!(std::thread::panicking(), "the agent could not be ended: {failed}");
        }
    }
}

impl Site {
    /// A registry with these settings of DNS.
    pub(crate) async fn registry(dns: Dns) -> Try<Self> {
        Self::registry_with(dns, ServerConfig::default()).await
    }

    /// A registry with these settings.
    pub(crate) async fn registry_with(dns: Dns, config: ServerConfig) -> Try<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = config.http_addr(any).node(NODE).seed(Some(1)).dns(Some(dns.addr(any)));
        let server = Server::bind(config).await?;
        let (http, dns) = (server.http_addr(), server.dns_addr().ok_or("it does not answer DNS")?);
        let mut task = JoinSet::new();
        task.spawn(server.run(std::future::pending()));
        Ok(Self { http, dns, _runs: Runs::Registry(task) })
    }

    /// A Consul with these settings beside those of the ports.
    pub(crate) async fn consul(settings: Value) -> Try<Self> {
        let files = tempfile::tempdir()?;
        let [http, server, serf, dns] = free_ports()?;
        let mut ports = json!({
            "http": http, "https": -1, "server": server, "serf_lan": serf, "serf_wan": -1, "dns": dns, "grpc": -1
        });
        if minor()? >= 14 {
            ports["grpc_tls"] = (-1).into();
        }
        let mut config = json!({ "node_name": NODE, "ports": ports, "disable_update_check": true });
        for (key, value) in settings.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        fs::write(files.path().join("agent.json"), config.to_string())?;
        let child = Command::new(binary()?)
            .args(["agent", "-dev", "-bind=127.0.0.1", "-config-file"])
            .arg(files.path().join("agent.json"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let [http, dns] = [http, dns].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let site = Self { http, dns, _runs: Runs::Consul { child, _files: files } };
        let url = format!("http://{http}/v1/health/service/consul?passing&token={ROOT}");
        let up = async {
            loop {
                // An agent that has a leader lists itself, and its checks pass.
                if let Ok(answer) = reqwest::get(&url).await
                    && answer.status().is_success()
                    && answer.text().await?.contains(NODE)
                {
                    return Ok::<_, reqwest::Error>(());
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(START, up).await??;
        Ok(site)
    }

    /// A write that must succeed.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Try {
        self.send(reqwest::Method::PUT, path, body).await
    }

    pub(crate) async fn send(&self, method: reqwest::Method, path: &str, body: &Value) -> Try {
        let url = format!("http://{}{path}", self.http);
        let request = reqwest::Client::new().request(method.clone(), url).header("X-Consul-Token", ROOT);
        let answer = request.body(body.to_string()).send().await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(format!("{method} {path} {body}: {status} {}", answer.text().await?).into())
    }
}
