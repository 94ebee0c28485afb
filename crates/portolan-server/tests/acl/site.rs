//! A registry that is asked with tokens: the embedded one, or a real Consul.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use portolan_server::{DefaultPolicy, Secret, ServerConfig};
use reqwest::{Client, Method};
use tokio::{sync::oneshot, task::JoinSet, time::timeout};

use crate::{
    real::{self, Consul},
    support::Failure,
    version,
};

pub(crate) type Try<T = ()> = Result<T, Failure>;

/// The token that may do everything.
pub(crate) const ROOT: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const NODE: &str = "n1";
/// No answer takes this long, unless something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

enum Running {
    Embedded {
        stop: oneshot::Sender<()>,
        tasks: JoinSet<()>,
    },
    /// Ends when it is dropped.
    Real {
        _consul: Consul,
    },
}

pub(crate) struct Site {
    pub(crate) name: &'static str,
    addr: SocketAddr,
    client: Client,
    running: Running,
}

pub(crate) fn config() -> ServerConfig {
    ServerConfig::default()
        .http_addr(([127, 0, 0, 1], 0).into())
        .node(NODE)
        .acl_enabled(true)
        .acl_default_policy(DefaultPolicy::Deny)
        .acl_initial_management(Some(Secret::new(ROOT)))
}

impl Site {
    pub(crate) async fn embedded() -> Try<Self> {
        Self::with(config()).await
    }

    pub(crate) async fn with(config: ServerConfig) -> Try<Self> {
        let server = timeout(PATIENCE, real::bind(config)).await??;
        let addr = server.http_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(async move { drop(stopped.await) }));
        Ok(Self { name: "embedded", addr, client: client()?, running: Running::Embedded { stop, tasks } })
    }

    pub(crate) async fn real() -> Try<Self> {
        // The word for the first token was another one before 1.11.
        let word = if version::minor()? >= 11 { "initial_management" } else { "master" };
        let tokens = serde_json::json!({ word: ROOT, "agent": ROOT, "default": "" });
        let acl = serde_json::json!({ "enabled": true, "default_policy": "deny", "tokens": tokens });
        let consul = Consul::start(NODE, ROOT, serde_json::json!({ "acl": acl })).await?;
        let (addr, client) = (consul.addr, client()?);
        Ok(Self { name: "Consul", addr, client, running: Running::Real { _consul: consul } })
    }

    pub(crate) async fn stop(self) -> Try {
        if let Running::Embedded { stop, mut tasks } = self.running {
            drop(stop);
            timeout(PATIENCE, tasks.join_next()).await?.ok_or("it never ran")??;
        }
        Ok(())
    }

    /// Asks with a token in Consul's header; `None`: without.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str, token: Option<&str>) -> Try<Reply> {
        let header = token.map(|token| ("X-Consul-Token", token));
        self.ask_with(method, path, body, header).await
    }

    pub(crate) async fn ask_with(
        &self,
        method: &str,
        path: &str,
        body: &str,
        header: Option<(&str, &str)>,
    ) -> Try<Reply> {
        let url = format!("http://{}{path}", self.addr);
        let mut request = self.client.request(Method::from_bytes(method.as_bytes())?, url);
        if method == "PUT" {
            request = request.body(body.to_owned());
        }
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let answer = timeout(PATIENCE, request.send()).await??;
        let headers = answer.headers().iter();
        let headers =
            headers.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
        let (status, headers) = (answer.status().as_u16(), headers.collect());
        Ok(Reply { status, headers, body: answer.text().await? })
    }

    /// A write with all rights, which must succeed.
    pub(crate) async fn write(&self, path: &str, body: &str) -> Try<Reply> {
        let reply = self.ask("PUT", path, body, Some(ROOT)).await?;
        if reply.status == 200 {
            return Ok(reply);
        }
        Err(format!("{} {path}: {} {}", self.name, reply.status, reply.body).into())
    }

    /// A token with these rules and this secret.
    pub(crate) async fn token(&self, name: &str, rules: &str, accessor: &str, secret: &str) -> Try {
        let policy = serde_json::json!({ "Name": name, "Rules": rules }).to_string();
        self.write("/v1/acl/policy", &policy).await?;
        let policies = [serde_json::json!({ "Name": name })];
        let token = serde_json::json!({ "AccessorID": accessor, "SecretID": secret, "Policies": policies });
        self.write("/v1/acl/token", &token.to_string()).await?;
        Ok(())
    }
}

fn client() -> Try<Client> {
    Ok(Client::builder().build()?)
}
