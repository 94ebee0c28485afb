//! The fields of each shape, in the order in which an error names them. PURE: tables.
//!
//! Never: has a field that Consul cannot filter by.
//!
//! Rules from Consul 1.21: the types that `shape.rs` names.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use super::{
    Fields,
    Kind::{Bool, Bytes, Group, Int, List, Map, Pairs, Text, Texts, Uint},
};

const WEIGHTS: Fields = &[("Passing", Int), ("Warning", Int)];
const ADDRESS: Fields = &[("Address", Text), ("Port", Int)];
const CONNECT: Fields = &[("Native", Bool)];
const MODE: Fields = &[("Mode", Text)];

pub(super) const NODE: Fields = &[
    ("ID", Text),
    ("Node", Text),
    ("Address", Text),
    ("Datacenter", Text),
    ("Partition", Text),
    ("PeerName", Text),
    ("TaggedAddresses", Pairs),
    ("Meta", Pairs),
];

pub(super) const SERVICE: Fields = &[
    ("Kind", Text),
    ("ID", Text),
    ("Service", Text),
    ("Tags", Texts),
    ("Address", Text),
    ("TaggedAddresses", Map(ADDRESS)),
    ("Meta", Pairs),
    ("Port", Int),
    ("SocketPath", Text),
    ("Weights", Group(WEIGHTS)),
    ("EnableTagOverride", Bool),
    ("Proxy", Group(PROXY)),
    ("Connect", Group(CONNECT)),
    ("PeerName", Text),
];

/// The same names and kinds as [`SERVICE`], in another order: an agent's own instance.
pub(super) const AGENT_SERVICE: Fields = SERVICE;

pub(super) const SERVICE_NODE: Fields = &[
    ("ID", Text),
    ("Node", Text),
    ("Address", Text),
    ("Datacenter", Text),
    ("TaggedAddresses", Pairs),
    ("NodeMeta", Pairs),
    ("ServiceKind", Text),
    ("ServiceID", Text),
    ("ServiceName", Text),
    ("ServiceTags", Texts),
    ("ServiceAddress", Text),
    ("ServiceTaggedAddresses", Map(ADDRESS)),
    ("ServiceWeights", Group(WEIGHTS)),
    ("ServiceMeta", Pairs),
    ("ServicePort", Int),
    ("ServiceSocketPath", Text),
    ("ServiceEnableTagOverride", Bool),
    ("ServiceProxy", Group(PROXY)),
    ("ServiceConnect", Group(CONNECT)),
    ("PeerName", Text),
];

pub(super) const CHECK: Fields = &[
    ("Node", Text),
    ("CheckID", Text),
    ("Name", Text),
    ("Status", Text),
    ("Notes", Text),
    ("Output", Text),
    ("ServiceID", Text),
    ("ServiceName", Text),
    ("ServiceTags", Texts),
    ("Type", Text),
    ("Interval", Text),
    ("Timeout", Text),
    ("ExposedPort", Int),
    ("PeerName", Text),
];

pub(super) const ENTRY: Fields =
    &[("Node", Group(NODE)), ("Service", Group(SERVICE)), ("Checks", List(CHECK))];

pub(super) const INSTANCE: Fields = &[
    ("Node", Group(&[("Node", Text), ("Datacenter", Text)])),
    (
        "Service",
        Group(&[
            ("ID", Text),
            ("Service", Text),
            ("Tags", Texts),
            ("Address", Text),
            ("Port", Int),
            ("Meta", Pairs),
            ("Weights", Group(WEIGHTS)),
        ]),
    ),
    ("Checks", List(&[("CheckID", Text), ("Name", Text), ("Status", Text)])),
];

pub(super) const MEMBER: Fields = &[
    ("Name", Text),
    ("Addr", Bytes),
    ("Port", Uint(65_535)),
    ("Tags", Pairs),
    ("Status", Int),
    ("ProtocolMin", Uint(255)),
    ("ProtocolMax", Uint(255)),
    ("ProtocolCur", Uint(255)),
    ("DelegateMin", Uint(255)),
    ("DelegateMax", Uint(255)),
    ("DelegateCur", Uint(255)),
];

const PROXY: Fields = &[
    ("EnvoyExtensions", List(EXTENSION)),
    ("DestinationServiceName", Text),
    ("DestinationServiceID", Text),
    ("LocalServiceAddress", Text),
    ("LocalServicePort", Int),
    ("LocalServiceSocketPath", Text),
    ("Mode", Text),
    ("Upstreams", List(UPSTREAM)),
    ("MeshGateway", Group(MODE)),
    ("Expose", Group(EXPOSE)),
    ("TransparentProxy", Group(&[("OutboundListenerPort", Int), ("DialedDirectly", Bool)])),
    ("AccessLogs", Group(ACCESS_LOGS)),
];

const EXTENSION: Fields =
    &[("Name", Text), ("Required", Bool), ("ConsulVersion", Text), ("EnvoyVersion", Text)];

const UPSTREAM: Fields = &[
    ("DestinationType", Text),
    ("DestinationNamespace", Text),
    ("DestinationPartition", Text),
    ("DestinationPeer", Text),
    ("DestinationName", Text),
    ("Datacenter", Text),
    ("LocalBindAddress", Text),
    ("LocalBindPort", Int),
    ("LocalBindSocketPath", Text),
    ("LocalBindSocketMode", Text),
    ("MeshGateway", Group(MODE)),
];

const EXPOSE: Fields = &[
    ("Checks", Bool),
    (
        "Paths",
        List(&[
            ("ListenerPort", Int),
            ("Path", Text),
            ("LocalPathPort", Int),
            ("Protocol", Text),
            ("ParsedFromCheck", Bool),
        ]),
    ),
];

const ACCESS_LOGS: Fields = &[
    ("Enabled", Bool),
    ("DisableListenerLogs", Bool),
    ("Type", Text),
    ("Path", Text),
    ("JSONFormat", Text),
    ("TextFormat", Text),
];
