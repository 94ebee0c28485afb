//! What the catalogue is made of: nodes, services and checks as they are kept. PURE: values, no behaviour.
//!
//! In:  definitions that were checked at the edge. Out: rows behind an `Arc`, which an answer shares and never copies.
//!
//! What is kept on disk is written from these types as they stand: a field that comes, goes or moves is another format
//! (`kept.rs`), and a test there turns red.
//!
//! Never: changes in place. A row is replaced whole, so that whoever encodes an older one is not disturbed.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::kept::RowKey;

/// Text that rows, answers and indexes share.
pub(crate) type Text = Arc<str>;
/// A service's name as it is looked up: Consul does that without case (agent/consul/state/catalog_schema.go).
pub(crate) fn folded(name: &str) -> Text {
    if name.chars().any(char::is_uppercase) { name.to_lowercase().into() } else { name.into() }
}

/// Key-value pairs, in the order they are shown.
pub(crate) type Pairs = BTreeMap<Text, Text>;

/// The health of a check. Maintenance is a critical check of its own ([`Probe::Maintenance`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Health {
    Passing,
    Warning,
    Critical,
}

impl Health {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// Consul's word for a status; nothing else is one.
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word {
            "passing" => Some(Self::Passing),
            "warning" => Some(Self::Warning),
            "critical" => Some(Self::Critical),
            _ => None,
        }
    }
}

/// A node as it is defined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeSpec {
    pub(crate) name: Text,
    /// A UUID, or empty for an external node without one.
    pub(crate) id: Text,
    pub(crate) address: Text,
    /// `None` is `null` on the wire: an external node that was given none.
    pub(crate) tagged: Option<Pairs>,
    pub(crate) meta: Option<Pairs>,
}

/// A node with its indexes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeRow {
    /// What it is kept under.
    #[serde(skip)]
    pub(crate) key: RowKey,
    pub(crate) spec: NodeSpec,
    pub(crate) create: u64,
    pub(crate) modify: u64,
}

/// An address under a tag such as `lan_ipv4`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaggedAddress {
    pub(crate) address: Text,
    pub(crate) port: u16,
}

/// Where an instance runs, as far as it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Locality {
    pub(crate) region: Text,
    pub(crate) zone: Text,
}

/// What an instance says of the mesh. It is kept and told, and nothing is done with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mesh {
    /// `connect-proxy`, `mesh-gateway`, …; empty for a service like any other.
    pub(crate) kind: Text,
    pub(crate) socket_path: Text,
    /// It speaks the mesh's protocol itself.
    pub(crate) native: bool,
    /// Its `Proxy` as the catalogue tells it, in JSON; empty where there is none.
    pub(crate) proxy: Text,
    /// The service that it is a proxy for.
    pub(crate) destination: Text,
    /// It came with its service, and goes with it.
    pub(crate) is_sidecar: bool,
}

impl Default for Mesh {
    fn default() -> Self {
        let empty = || Text::from("");
        let (kind, socket_path, proxy, destination) = (empty(), empty(), empty(), empty());
        Self { kind, socket_path, native: false, proxy, destination, is_sidecar: false }
    }
}

impl Mesh {
    pub(crate) fn is_connect_proxy(&self) -> bool {
        &*self.kind == "connect-proxy"
    }
}

/// An instance as it is defined: complete, with an id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServiceSpec {
    pub(crate) id: Text,
    pub(crate) name: Text,
    pub(crate) tags: Arc<[Text]>,
    pub(crate) address: Text,
    pub(crate) port: u16,
    pub(crate) tagged: BTreeMap<Text, TaggedAddress>,
    pub(crate) meta: Pairs,
    pub(crate) passing_weight: u16,
    pub(crate) warning_weight: u16,
    pub(crate) enable_tag_override: bool,
    pub(crate) locality: Option<Locality>,
    /// Kept beside it, in a row of another kind ([`Kept::Meshed`](super::kept::Kept::Meshed)).
    #[serde(skip)]
    pub(crate) mesh: Option<Arc<Mesh>>,
}

impl ServiceSpec {
    /// An instance with nothing but a name and an id.
    pub(crate) fn new(name: &str, id: &str) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            tags: Arc::from([]),
            address: "".into(),
            port: 0,
            tagged: BTreeMap::new(),
            meta: Pairs::new(),
            passing_weight: 1,
            warning_weight: 1,
            enable_tag_override: false,
            locality: None,
            mesh: None,
        }
    }

    /// The service that it is a proxy for.
    pub(crate) fn destination(&self) -> Option<&Text> {
        self.mesh.as_ref().filter(|mesh| mesh.is_connect_proxy()).map(|mesh| &mesh.destination)
    }
}

/// Who put an instance in: the agent answers for its own only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Origin {
    Agent,
    Catalog,
}

/// An instance with its node and indexes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServiceRow {
    /// What it is kept under.
    #[serde(skip)]
    pub(crate) key: RowKey,
    pub(crate) spec: ServiceSpec,
    pub(crate) origin: Origin,
    pub(crate) create: u64,
    pub(crate) modify: u64,
}

/// The instance that a check speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CheckOf {
    pub(crate) id: Text,
    /// Repeats what the instance has, as the tags do: not kept.
    #[serde(skip)]
    pub(crate) name: Text,
    #[serde(skip)]
    pub(crate) tags: Arc<[Text]>,
}

/// What the catalogue tells of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CheckFacts {
    pub(crate) id: Text,
    pub(crate) name: Text,
    pub(crate) notes: Text,
    pub(crate) status: Health,
    pub(crate) output: Text,
    /// `ttl`, `http`, …, `maintenance`; empty for one that the agent does not run.
    pub(crate) kind: Text,
    /// As Go writes durations; empty where there is none.
    pub(crate) interval: Text,
    pub(crate) timeout: Text,
    /// `None`: a check of the node.
    pub(crate) of: Option<CheckOf>,
    /// What it would do, in Consul's JSON, where it came through the catalogue and says so. Kept beside it, in a row of
    /// another kind ([`Kept::Defined`](super::kept::Kept::Defined)).
    #[serde(skip)]
    pub(crate) definition: Option<Text>,
}

/// A check with its node and indexes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CheckRow {
    /// What it is kept under.
    #[serde(skip)]
    pub(crate) key: RowKey,
    /// Kept as the key of its row.
    #[serde(skip)]
    pub(crate) node: Text,
    pub(crate) facts: CheckFacts,
    pub(crate) create: u64,
    pub(crate) modify: u64,
}

/// A request that an HTTP check sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HttpProbe {
    pub(crate) url: Text,
    pub(crate) method: Text,
    pub(crate) headers: BTreeMap<Text, Vec<Text>>,
    pub(crate) body: Text,
    /// Follow redirects within the scheme.
    pub(crate) redirects: bool,
    /// For `https`.
    pub(crate) trust: Trust,
}

/// What is believed of the certificate of a checked service.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Trust {
    pub(crate) skip_verify: bool,
    /// The name it must hold; `None`: the target's host.
    pub(crate) server_name: Option<Text>,
}

/// What is asked of a service at an interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ask {
    Http(Arc<HttpProbe>),
    /// Connect to `host:port`.
    Tcp {
        target: Text,
        tls: Option<Trust>,
    },
    /// Send a datagram to `host:port`.
    Udp {
        target: Text,
    },
    /// Ask the gRPC health service at `host:port` about a service; empty: about the whole.
    Grpc {
        target: Text,
        service: Text,
        tls: Option<Trust>,
    },
    /// Send an HTTP/2 ping to `host:port`.
    H2Ping {
        target: Text,
        tls: Option<Trust>,
    },
    /// Run a program with its arguments.
    Script {
        args: Arc<[Text]>,
    },
}

impl Ask {
    /// The time a run may take where none was given (Consul: agent/checks/check.go).
    pub(crate) fn default_limit(&self) -> Duration {
        Duration::from_secs(match self {
            Self::Script { .. } => 30,
            _ => 10,
        })
    }
}

/// How a check learns of the health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Probe {
    /// The service reports; silence for this long is critical.
    Ttl(Duration),
    /// The agent asks.
    Run { ask: Ask, interval: Duration, timeout: Option<Duration> },
    /// It follows a service (by id), or a node. No node: the agent's own.
    Alias { node: Option<Text>, service: Option<Text> },
    /// It stays critical until it is taken away.
    Maintenance,
}

impl Probe {
    /// Whether the agent has to do something at its interval.
    pub(crate) fn is_run(&self) -> bool {
        matches!(self, Self::Run { .. })
    }

    /// The word on the wire.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Ttl(_) => "ttl",
            Self::Run { ask: Ask::Http(_), .. } => "http",
            Self::Run { ask: Ask::Tcp { .. }, .. } => "tcp",
            Self::Run { ask: Ask::Udp { .. }, .. } => "udp",
            Self::Run { ask: Ask::Grpc { .. }, .. } => "grpc",
            Self::Run { ask: Ask::H2Ping { .. }, .. } => "h2ping",
            Self::Run { ask: Ask::Script { .. }, .. } => "script",
            Self::Alias { .. } => "alias",
            Self::Maintenance => "maintenance",
        }
    }
}

/// A check of the agent as it is defined: complete, with an id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CheckSpec {
    pub(crate) id: Text,
    pub(crate) name: Text,
    pub(crate) notes: Text,
    pub(crate) probe: Probe,
    /// The status until it has run; `None`: critical.
    pub(crate) initial: Option<Health>,
    pub(crate) success_before_passing: u32,
    /// 0: the same as for critical, so that there is no warning stage.
    pub(crate) failures_before_warning: u32,
    pub(crate) failures_before_critical: u32,
    /// How long it may be critical before its instance is removed.
    pub(crate) deregister_after: Option<Duration>,
}

impl CheckSpec {
    /// A check without notes and thresholds, critical until it has run.
    pub(crate) fn new(id: &str, name: &str, probe: Probe) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            notes: "".into(),
            probe,
            initial: None,
            success_before_passing: 0,
            failures_before_warning: 0,
            failures_before_critical: 0,
            deregister_after: None,
        }
    }
}
