//! Two registries that hold the same, and what each answers to a filter.

use std::collections::BTreeMap;

use portolan::registry::{Registry as _, consul::Consul};
use portolan_server::{Server, ServerConfig};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Duration, sleep, timeout},
};

use crate::support::{Agent, Failure};

pub(crate) type Try<T = ()> = Result<T, Failure>;

/// No answer takes this long, unless something is broken.
const PATIENCE: Duration = Duration::from_secs(60);
/// As the agent of the tests is called.
const NODE: &str = "test-node";

pub(crate) struct World {
    /// The minor version of the real Consul 1.
    pub(crate) minor: u32,
    client: Client,
    ours: String,
    theirs: String,
    _consul: Agent,
    _server: JoinSet<()>,
}

/// What an endpoint answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The rows, by their names.
    Rows(Vec<String>),
    Wrong(u16, String),
    /// Consul's handler panics: it follows a pointer that is nil.
    Nothing,
}

impl World {
    pub(crate) async fn start() -> Try<Self> {
        let config = ServerConfig::default().http_addr(([127, 0, 0, 1], 0).into()).node(NODE);
        let server = Server::bind(config).await?;
        let ours = format!("http://{}", server.http_addr());
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(std::future::pending()));
        let consul = Agent::start().await?;
        let theirs = Consul::new(consul.plain()?).endpoint().ok_or("the agent has no address")?;
        let theirs = format!("http://{theirs}");
        let client = Client::builder().timeout(PATIENCE).build()?;
        let about: Value =
            serde_json::from_str(&client.get(format!("{theirs}/v1/agent/self")).send().await?.text().await?)?;
        let version = about["Config"]["Version"].as_str().unwrap_or_default();
        let minor = version.split('.').nth(1).and_then(|minor| minor.parse().ok());
        let minor = minor.ok_or_else(|| format!("cannot tell the version from {version:?}"))?;
        let world = Self { minor, client, ours, theirs, _consul: consul, _server: tasks };
        for (path, body) in registrations() {
            for base in [&world.ours, &world.theirs] {
                let url = format!("{base}{path}");
                let answer = world.client.put(&url).body(body.to_string()).send().await?;
                if !answer.status().is_success() {
                    return Err(format!("PUT {url}: {} {}", answer.status(), answer.text().await?).into());
                }
            }
        }
        timeout(PATIENCE, world.settled()).await??;
        Ok(world)
    }

    /// Until the agent has brought everything into its catalogue.
    async fn settled(&self) -> Try {
        for path in ["/v1/health/state/any", "/v1/catalog/service/web", "/v1/catalog/service/db"] {
            while self.ours(path, "").await? != self.theirs(path, "").await? {
                sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    pub(crate) async fn ours(&self, path: &str, filter: &str) -> Try<Told> {
        self.ask(&self.ours, path, filter).await
    }

    pub(crate) async fn theirs(&self, path: &str, filter: &str) -> Try<Told> {
        match self.ask(&self.theirs, path, filter).await {
            Err(failed)
                if failed.downcast_ref::<reqwest::Error>().is_some_and(|error| !error.is_timeout()) =>
            {
                Ok(Told::Nothing)
            }
            told => told,
        }
    }

    async fn ask(&self, base: &str, path: &str, filter: &str) -> Try<Told> {
        let answer = self.client.get(format!("{base}{path}?filter={}", escaped(filter))).send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok(if status == 200 {
            Told::Rows(rows(&serde_json::from_str(&text)?))
        } else {
            Told::Wrong(status, text)
        })
    }
}

fn escaped(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric();
    text.bytes()
        .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The names of the rows of any answer, in order; without the registry's own service, in whose meta Consul has the versions
/// of its protocols.
fn rows(body: &Value) -> Vec<String> {
    let mut rows: Vec<String> = match body {
        Value::Array(rows) => rows.iter().map(name).collect(),
        // Of a node with its services the services are what is filtered.
        Value::Object(fields) if fields.contains_key("Services") => return rows(&fields["Services"]),
        Value::Object(fields) => fields.iter().map(|(key, value)| format!("{key} {}", tags(value))).collect(),
        _ => Vec::new(),
    };
    rows.retain(|row| row.trim_end() != "consul");
    rows.sort();
    rows
}

/// The tags of a service in the list of services.
fn tags(value: &Value) -> String {
    let tags: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let tags: BTreeMap<&str, ()> = tags.into_iter().map(|tag| (tag, ())).collect();
    tags.into_keys().collect::<Vec<_>>().join(",")
}

fn name(row: &Value) -> String {
    let field =
        |row: &Value, name: &str| row[name].as_str().filter(|text| text.len() != 36).map(str::to_owned);
    let mut parts: Vec<String> = ["Name", "Node", "ServiceID", "CheckID", "ID"]
        .into_iter()
        .filter_map(|part| field(row, part))
        .collect();
    parts.extend(field(&row["Node"], "Node"));
    parts.extend(field(&row["Service"], "ID"));
    parts.join(" ")
}

/// What both hold besides themselves.
fn registrations() -> Vec<(&'static str, Value)> {
    let agent = "/v1/agent/service/register";
    let catalog = "/v1/catalog/register";
    vec![
        (
            agent,
            json!({"ID": "w1", "Name": "web", "Tags": ["a", "x y", "v.1"], "Port": 80, "Address": "10.0.0.1",
                "Meta": {"k": "v", "a-b": "x y", "n": "80", "empty": "", "a_b": "1"}, "EnableTagOverride": true,
                "TaggedAddresses": {"wan": {"Address": "h.example", "Port": 8080}},
                "Weights": {"Passing": 3, "Warning": 1},
                "Checks": [{"CheckID": "c1", "Name": "alive", "TTL": "1h", "Status": "passing", "Notes": "nn"},
                    {"CheckID": "c2", "Name": "web", "TTL": "1h", "Status": "warning"}]}),
        ),
        (agent, json!({"ID": "w2", "Name": "web", "Check": {"TTL": "1h"}})),
        (
            agent,
            json!({"ID": "w3", "Name": "web", "Tags": ["é", "web", "A"], "Port": 8080, "Meta": {"k": "É", "v": "1"}}),
        ),
        (agent, json!({"ID": "db", "Name": "db", "Tags": ["a"], "Port": 5432, "Meta": {"k": "v\tw"}})),
        ("/v1/agent/check/register", json!({"ID": "node", "Name": "disk", "TTL": "1h", "Status": "passing"})),
        (
            catalog,
            json!({"Node": "ext1", "Address": "10.1.1.1", "NodeMeta": {"rack": "r1", "external-node": "true"},
                "TaggedAddresses": {"lan": "10.1.1.1", "wan": "h.example"},
                "Service": {"ID": "e1", "Service": "web", "Tags": ["a", "b"], "Port": 80, "Meta": {"k": "v"}},
                "Checks": [{"CheckID": "c3", "Name": "out", "Status": "critical", "Output": "out put",
                    "ServiceID": "e1"}, {"CheckID": "c4", "Name": "up", "Status": "passing"}]}),
        ),
        (
            catalog,
            json!({"Node": "ext2", "Address": "10.1.1.2",
                "Service": {"ID": "w1", "Service": "web", "Address": "h.example", "Port": 1}}),
        ),
    ]
}
