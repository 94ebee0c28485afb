//! The JSON that Consul speaks, as far as it is read or written here. No rules: those are in `health.rs` and `agent.rs`.
//!
//! Consul writes `null` for empty lists and maps, and leaves fields out by version and edition: everything that is not
//! needed has a default. A wrong JSON type is an error of the whole answer.
//!
//! Source: api/health.go, api/agent.go; CONSUL-WIRE in COMPATIBILITY.md.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Deserializer, Serialize};
use smallvec::SmallVec;

mod pairs;

pub(super) use pairs::{Pairs, PlaceOf};

/// A text that may be `null`; borrowed from the body where it has no escapes.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
        let found: Option<Borrowed<'a>> = Option::deserialize(deserializer)?;
        Ok(Self(found.map_or(Cow::Borrowed(""), |text| text.0)))
    }
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// An element of `/v1/health/service/:name`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry<'a> {
    #[serde(borrow)]
    pub(super) node: Node<'a>,
    #[serde(borrow)]
    pub(super) service: Service<'a>,
    #[serde(borrow, default, deserialize_with = "null_is_default")]
    pub(super) checks: SmallVec<[CheckEntry<'a>; 2]>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Node<'a> {
    #[serde(borrow)]
    pub(super) node: Text<'a>,
    #[serde(borrow, default)]
    pub(super) address: Text<'a>,
    #[serde(borrow, default)]
    pub(super) datacenter: Text<'a>,
    #[serde(borrow, default, deserialize_with = "null_is_default")]
    pub(super) meta: PlaceOf<'a>,
    #[serde(borrow, default)]
    pub(super) locality: Option<Locality<'a>>,
}

/// A service of an instance or of an agent.
#[derive(Debug, Deserialize)]
pub(super) struct Service<'a> {
    #[serde(borrow, rename = "ID")]
    pub(super) id: Text<'a>,
    #[serde(borrow, rename = "Service")]
    pub(super) name: Text<'a>,
    #[serde(borrow, rename = "Address", default)]
    pub(super) address: Text<'a>,
    #[serde(rename = "Port", default)]
    pub(super) port: i64,
    #[serde(borrow, rename = "Tags", default, deserialize_with = "null_is_default")]
    pub(super) tags: SmallVec<[Text<'a>; 4]>,
    #[serde(borrow, rename = "Meta", default, deserialize_with = "null_is_default")]
    pub(super) meta: Pairs<'a>,
    #[serde(rename = "Weights", default)]
    pub(super) weights: Option<WeightsEntry>,
    #[serde(borrow, rename = "Namespace", default)]
    pub(super) namespace: Text<'a>,
    #[serde(borrow, rename = "Partition", default)]
    pub(super) partition: Text<'a>,
    #[serde(borrow, rename = "PeerName", default)]
    pub(super) peer: Text<'a>,
    #[serde(borrow, rename = "Locality", default)]
    pub(super) locality: Option<Locality<'a>>,
}

/// Read as wide numbers: what does not fit is judged by `health.rs`, not by the parser.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WeightsEntry {
    pub(super) passing: i64,
    pub(super) warning: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Locality<'a> {
    #[serde(borrow, rename = "Zone", default)]
    pub(super) zone: Text<'a>,
    #[serde(borrow, rename = "Region", default)]
    pub(super) region: Text<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckEntry<'a> {
    #[serde(borrow, rename = "CheckID")]
    pub(super) id: Text<'a>,
    #[serde(borrow, rename = "Name", default)]
    pub(super) name: Text<'a>,
    #[serde(borrow, rename = "Status")]
    pub(super) status: Text<'a>,
    #[serde(borrow, rename = "Output", default)]
    pub(super) output: Text<'a>,
    #[serde(borrow, rename = "ServiceID", default)]
    pub(super) service_id: Text<'a>,
}

/// A service in `/v1/agent/services`.
#[derive(Debug, Deserialize)]
pub(super) struct Held<'a> {
    #[serde(borrow, rename = "ID")]
    pub(super) id: Text<'a>,
    #[serde(borrow, rename = "Service")]
    pub(super) name: Text<'a>,
    #[serde(borrow, rename = "Address", default)]
    pub(super) address: Text<'a>,
    #[serde(rename = "Port", default)]
    pub(super) port: i64,
    #[serde(borrow, rename = "Tags", default, deserialize_with = "null_is_default")]
    pub(super) tags: Vec<Text<'a>>,
    #[serde(borrow, rename = "Meta", default, deserialize_with = "null_is_default")]
    pub(super) meta: Pairs<'a>,
    #[serde(rename = "Weights", default)]
    pub(super) weights: Option<WeightsEntry>,
    #[serde(rename = "EnableTagOverride", default)]
    pub(super) enable_tag_override: bool,
}

/// `/v1/agent/service/:id`, which holds much more.
#[derive(Debug, Deserialize)]
pub(super) struct ServiceHash<'a> {
    #[serde(borrow, rename = "ContentHash", default)]
    pub(super) hash: Text<'a>,
}

/// A check in `/v1/agent/checks`.
#[derive(Debug, Deserialize)]
pub(super) struct HeldCheck<'a> {
    #[serde(borrow, rename = "CheckID")]
    pub(super) id: Text<'a>,
    #[serde(borrow, rename = "Status")]
    pub(super) status: Text<'a>,
    #[serde(borrow, rename = "Output", default)]
    pub(super) output: Text<'a>,
    #[serde(borrow, rename = "Notes", default)]
    pub(super) notes: Text<'a>,
    #[serde(borrow, rename = "ServiceID", default)]
    pub(super) service_id: Text<'a>,
    #[serde(borrow, rename = "Type", default)]
    pub(super) kind: Text<'a>,
}

/// `/v1/agent/self`, which holds much more.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AgentSelf<'a> {
    #[serde(borrow)]
    pub(super) config: AgentConfig<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AgentConfig<'a> {
    #[serde(borrow)]
    pub(super) datacenter: Text<'a>,
    #[serde(borrow)]
    pub(super) node_name: Text<'a>,
    #[serde(borrow, default)]
    pub(super) version: Text<'a>,
}

/// The body of `/v1/agent/service/register`.
#[derive(Debug, Serialize)]
pub(super) struct Register<'a> {
    #[serde(rename = "ID")]
    pub(super) id: &'a str,
    #[serde(rename = "Name")]
    pub(super) name: &'a str,
    #[serde(rename = "Address")]
    pub(super) address: &'a str,
    #[serde(rename = "Port")]
    pub(super) port: u16,
    #[serde(rename = "Tags")]
    pub(super) tags: &'a [String],
    #[serde(rename = "Meta")]
    pub(super) meta: &'a BTreeMap<String, String>,
    #[serde(rename = "Weights")]
    pub(super) weights: WeightsEntry,
    #[serde(rename = "EnableTagOverride", skip_serializing_if = "is_false")]
    pub(super) enable_tag_override: bool,
    #[serde(rename = "TaggedAddresses", skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tagged_addresses: BTreeMap<&'a str, TaggedAddress<'a>>,
    #[serde(rename = "Checks")]
    pub(super) checks: Vec<RegisterCheck<'a>>,
}

/// One of its other addresses.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TaggedAddress<'a> {
    pub(super) address: &'a str,
    pub(super) port: u16,
}

/// A check in that body. What is unset is left out: an older agent refuses a field that it does not know.
#[derive(Debug, Default, Serialize)]
pub(super) struct RegisterCheck<'a> {
    #[serde(rename = "CheckID")]
    pub(super) id: &'a str,
    #[serde(rename = "Name")]
    pub(super) name: &'a str,
    #[serde(rename = "Notes", skip_serializing_if = "Option::is_none")]
    pub(super) notes: Option<&'a str>,
    #[serde(rename = "HTTP", skip_serializing_if = "Option::is_none")]
    pub(super) http: Option<&'a str>,
    #[serde(rename = "Method", skip_serializing_if = "Option::is_none")]
    pub(super) method: Option<&'a str>,
    #[serde(rename = "Header", skip_serializing_if = "Option::is_none")]
    pub(super) header: Option<&'a BTreeMap<String, Vec<String>>>,
    #[serde(rename = "Body", skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<&'a str>,
    #[serde(rename = "TCP", skip_serializing_if = "Option::is_none")]
    pub(super) tcp: Option<&'a str>,
    #[serde(rename = "TCPUseTLS", skip_serializing_if = "is_false")]
    pub(super) tcp_use_tls: bool,
    #[serde(rename = "UDP", skip_serializing_if = "Option::is_none")]
    pub(super) udp: Option<&'a str>,
    #[serde(rename = "GRPC", skip_serializing_if = "Option::is_none")]
    pub(super) grpc: Option<Cow<'a, str>>,
    #[serde(rename = "GRPCUseTLS", skip_serializing_if = "is_false")]
    pub(super) grpc_use_tls: bool,
    #[serde(rename = "H2PING", skip_serializing_if = "Option::is_none")]
    pub(super) h2_ping: Option<&'a str>,
    #[serde(rename = "H2PingUseTLS", skip_serializing_if = "Option::is_none")]
    pub(super) h2_ping_use_tls: Option<bool>,
    #[serde(rename = "TLSSkipVerify", skip_serializing_if = "is_false")]
    pub(super) tls_skip_verify: bool,
    #[serde(rename = "TLSServerName", skip_serializing_if = "Option::is_none")]
    pub(super) tls_server_name: Option<&'a str>,
    #[serde(rename = "AliasNode", skip_serializing_if = "Option::is_none")]
    pub(super) alias_node: Option<&'a str>,
    #[serde(rename = "AliasService", skip_serializing_if = "Option::is_none")]
    pub(super) alias_service: Option<&'a str>,
    #[serde(rename = "ScriptArgs", skip_serializing_if = "<[_]>::is_empty")]
    pub(super) script_args: &'a [String],
    #[serde(rename = "OSService", skip_serializing_if = "Option::is_none")]
    pub(super) os_service: Option<&'a str>,
    #[serde(rename = "DockerContainerID", skip_serializing_if = "Option::is_none")]
    pub(super) docker_container_id: Option<&'a str>,
    #[serde(rename = "Shell", skip_serializing_if = "Option::is_none")]
    pub(super) shell: Option<&'a str>,
    #[serde(rename = "TTL", skip_serializing_if = "Option::is_none")]
    pub(super) ttl: Option<String>,
    #[serde(rename = "Interval", skip_serializing_if = "Option::is_none")]
    pub(super) interval: Option<String>,
    #[serde(rename = "Timeout", skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<String>,
    #[serde(rename = "Status", skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<&'static str>,
    #[serde(rename = "SuccessBeforePassing", skip_serializing_if = "is_zero")]
    pub(super) success_before_passing: u16,
    #[serde(rename = "FailuresBeforeWarning", skip_serializing_if = "is_zero")]
    pub(super) failures_before_warning: u16,
    #[serde(rename = "FailuresBeforeCritical", skip_serializing_if = "is_zero")]
    pub(super) failures_before_critical: u16,
    #[serde(rename = "DeregisterCriticalServiceAfter", skip_serializing_if = "Option::is_none")]
    pub(super) deregister_after: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u16) -> bool {
    *number == 0
}

/// The body of `/v1/catalog/deregister`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CatalogDeregister<'a> {
    pub(super) datacenter: &'a str,
    pub(super) node: &'a str,
    #[serde(rename = "ServiceID")]
    pub(super) service_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) partition: Option<&'a str>,
}

/// The body of `/v1/agent/check/update/:id`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Update<'a> {
    pub(super) status: &'a str,
    pub(super) output: &'a str,
}
