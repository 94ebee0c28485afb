//! A registry that is asked: the embedded one, or a real Consul.

use std::{collections::BTreeMap, time::Duration};

use portolan_server::{Server, ServerConfig};
use reqwest::{Client, Method};
use tokio::{sync::oneshot, task::JoinSet, time::timeout};

use crate::support::{Agent, Failure};

pub(crate) type Try<T = ()> = Result<T, Failure>;

/// What a Consul of the tests calls its node.
const NODE: &str = "test-node";
/// No answer takes this long, unless something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub(crate) fn index(&self) -> &str {
        self.headers.get("x-consul-index").map_or("", String::as_str)
    }
}

enum Running {
    Embedded {
        stop: oneshot::Sender<()>,
        tasks: JoinSet<()>,
    },
    /// Ends when it is dropped.
    Real {
        _agent: Box<Agent>,
    },
}

pub(crate) struct Site {
    pub(crate) address: String,
    client: Client,
    running: Running,
}

impl Site {
    pub(crate) async fn embedded() -> Try<Self> {
        let config = ServerConfig::default().http_addr(([127, 0, 0, 1], 0).into()).node(NODE);
        let server = timeout(PATIENCE, Server::bind(config)).await??;
        let address = format!("http://{}", server.http_addr());
        let (stop, stopped) = oneshot::channel::<()>();
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(async move { drop(stopped.await) }));
        Ok(Self { address, client: client()?, running: Running::Embedded { stop, tasks } })
    }

    pub(crate) async fn real() -> Try<Self> {
        let agent = Agent::start().await?;
        let address = agent.http_url();
        Ok(Self { address, client: client()?, running: Running::Real { _agent: Box::new(agent) } })
    }

    pub(crate) async fn stop(self) -> Try {
        if let Running::Embedded { stop, mut tasks } = self.running {
            drop(stop);
            timeout(PATIENCE, tasks.join_next()).await?.ok_or("it never ran")??;
        }
        Ok(())
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: impl Into<reqwest::Body>) -> Try<Reply> {
        let mut request =
            self.client.request(Method::from_bytes(method.as_bytes())?, format!("{}{path}", self.address));
        if method == "PUT" || method == "POST" {
            request = request.body(body);
        }
        let answer = timeout(PATIENCE, request.send()).await??;
        let headers = answer.headers().iter();
        let headers =
            headers.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
        let (status, headers) = (answer.status().as_u16(), headers.collect());
        Ok(Reply { status, headers, body: answer.text().await? })
    }

    /// A write that must succeed.
    pub(crate) async fn write(&self, path: &str, body: &str) -> Try<Reply> {
        let reply = self.ask("PUT", path, body.to_owned()).await?;
        if reply.status == 200 {
            return Ok(reply);
        }
        Err(format!("{path}: {} {}", reply.status, reply.body).into())
    }

    /// A new session.
    pub(crate) async fn session(&self, body: &str) -> Try<String> {
        let reply = self.write("/v1/session/create", body).await?;
        let id = reply.json()["ID"].as_str().map(str::to_owned);
        id.ok_or_else(|| format!("no id in {:?}", reply.body).into())
    }
}

fn client() -> Try<Client> {
    Ok(Client::builder().redirect(reqwest::redirect::Policy::none()).build()?)
}
