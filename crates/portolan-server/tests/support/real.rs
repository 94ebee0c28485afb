//! A real Consul with settings of the test's own: `consul agent -dev`, ended when dropped.

use std::{
    fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::{sleep, timeout};

use portolan_server::{Server, ServerConfig};

use crate::{
    support::{Failure, binary, free_ports},
    version::minor,
};

type Try<T> = Result<T, Failure>;

/// How long it may take until it has a leader.
const START: Duration = Duration::from_secs(60);

pub(crate) struct Consul {
    child: Child,
    _files: tempfile::TempDir,
    pub(crate) addr: SocketAddr,
}

impl Drop for Consul {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        if let Err(failed) = ended {
            // The process is already gone; there is nobody left to tell but the reader of the test's output.
            assert!(std::thread::panicking(), "the agent could not be ended: {failed}");
        }
    }
}

impl Consul {
    /// One whose node has this name. Readiness is asked for with `token`; `settings` are added to the agent's.
    pub(crate) async fn start(node: &str, token: &str, settings: serde_json::Value) -> Try<Self> {
        let files = tempfile::tempdir()?;
        let [http, server, serf] = free_ports()?;
        let mut ports = serde_json::json!({
            "http": http, "https": -1, "server": server, "serf_lan": serf, "serf_wan": -1, "dns": -1, "grpc": -1
        });
        if minor()? >= 14 {
            ports["grpc_tls"] = (-1).into();
        }
        let mut config = serde_json::json!({
            "node_name": node,
            "ports": ports,
            "disable_update_check": true,
            "limits": { "http_max_conns_per_client": 1000 },
        });
        if let (Some(config), serde_json::Value::Object(settings)) = (config.as_object_mut(), settings) {
            config.extend(settings);
        }
        fs::write(files.path().join("agent.json"), config.to_string())?;
        let child = Command::new(binary()?)
            .args(["agent", "-dev", "-bind=127.0.0.1", "-config-file"])
            .arg(files.path().join("agent.json"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let consul = Self { child, _files: files, addr: ([127, 0, 0, 1], http).into() };
        let url = format!("http://{}/v1/catalog/nodes?token={token}", consul.addr);
        let up = async {
            loop {
                // An agent that has a leader lists itself.
                if let Ok(answer) = reqwest::get(&url).await
                    && answer.status().is_success()
                    && answer.text().await?.contains(node)
                {
                    return Ok(consul);
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(START, up).await?
    }
}

/// Binds an embedded registry once its data directory is free: a Consul that another test is starting has all open files
/// of this process, locks among them, until it is a program of its own.
pub(crate) async fn bind(config: ServerConfig) -> Try<Server> {
    loop {
        match Server::bind(config.clone()).await {
            Err(error) if error.to_string().contains("is in use by process") => {
                tokio::task::yield_now().await
            }
            done => return Ok(done?),
        }
    }
}
