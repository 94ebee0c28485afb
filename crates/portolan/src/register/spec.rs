//! What a service says of itself: the [`Registration`] a user writes. PURE.
//!
//! In:  names, a port, checks, as a person writes them. Out: the same, found to be right, with every default filled in
//! that needs neither the network nor the host.
//!
//! Never: fails in a constructor or a setter. [`Registration::validate`] looks at all of it at once, before anything is
//! sent, so nothing is ever half registered.
//!
//! Rules from Consul: agent/structs/structs.go (`ValidateServiceMetadata`, `ValidateWeights`).
//! Proof: `spec/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    str::FromStr,
};

use crate::{
    check::{Check, DEFAULT_TTL},
    error::Error,
    model::{Need, Needs, ServiceId, ServiceName, Weights, declare},
};

/// How many pairs `meta` may hold. Consul: agent/structs/structs.go `metaMaxKeyPairs`.
const META_PAIRS: usize = 64;
/// How long a key of `meta` may be, in bytes.
const META_KEY: usize = 128;
/// How long a value of `meta` may be, in bytes.
const META_VALUE: usize = 512;
/// How many tags are accepted. Consul has no limit; every answer carries them all.
const TAGS: usize = 256;
/// How many checks are accepted. Consul has no limit.
const CHECKS: usize = 64;

/// One instance of a service, as it is to be registered.
///
/// ```
/// use portolan::{Address, Check, Registration};
///
/// let web = Registration::http("web", 8080)
///     .address(Address::Interface("eth0".into()))
///     .tag("blue")
///     .version("1.2.3")
///     .check(Check::tcp());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a registration does nothing until it is given to `Discovery::register`"]
pub struct Registration {
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) id: Option<String>,
    pub(crate) address: Address,
    pub(crate) tags: Vec<String>,
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) weights: Weights,
    pub(crate) tagged_addresses: BTreeMap<String, (String, u16)>,
    pub(crate) checks: Vec<Check>,
    pub(crate) enable_tag_override: bool,
    pub(crate) maintenance: Option<String>,
    pub(crate) needs: Needs,
}

/// Under which address an instance is registered.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Address {
    /// The local address from which the route to the registry leaves. With the registry on this machine that is
    /// 127.0.0.1, which others cannot reach: give an address there.
    #[default]
    Auto,
    /// This IP address or host name.
    Given(String),
    /// The first global address of this network interface, IPv4 before IPv6.
    Interface(String),
    /// The address of the agent's node: none is sent, as in a definition file of Consul's that names none. Its checks
    /// need whole targets.
    Node,
}

impl FromStr for Address {
    type Err = Error;

    /// Reads `auto`, `node`, `interface:eth0`, or an address.
    fn from_str(text: &str) -> Result<Self, Error> {
        let address = match text.split_once(':') {
            Some(("interface", name)) => Self::Interface(name.to_owned()),
            _ if text == "auto" => Self::Auto,
            _ if text == "node" => Self::Node,
            _ => Self::Given(text.to_owned()),
        };
        address.validate_as("address")?;
        Ok(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Given(address) => f.write_str(address),
            Self::Interface(name) => write!(f, "interface:{name}"),
            Self::Node => f.write_str("node"),
        }
    }
}

impl Address {
    /// The same, of the field it stands in.
    pub(super) fn validate_as(&self, field: &str) -> Result<(), Error> {
        let (shown, problem) = match self {
            Self::Interface(name) if name.is_empty() => {
                ("interface:", "names no interface; write \"interface:eth0\"")
            }
            Self::Given(text) => {
                let ip: Option<std::net::IpAddr> = text.parse().ok();
                let odd = |c: char| c.is_whitespace() || c.is_control() || "/[]:?#@".contains(c);
                if text.is_empty() {
                    ("", "is empty; write an IP address, a host name, \"auto\" or \"interface:eth0\"")
                } else if ip.is_some_and(|ip| ip.is_unspecified()) {
                    (
                        &**text,
                        "means every address and none to connect to; write one of this machine's, or \"auto\"",
                    )
                } else if ip.is_some_and(|ip| ip.is_multicast()) {
                    (&**text, "is a multicast address; write one of this machine's, or \"auto\"")
                } else if ip.is_none() && (text.contains(odd) || text.len() > 253) {
                    (&**text, "is neither an IP address nor a host name; write it without brackets and port")
                } else {
                    return Ok(());
                }
            }
            Self::Auto | Self::Interface(_) | Self::Node => return Ok(()),
        };
        Err(Error::config(format!("{field}: {shown:?} {problem}")))
    }
}

impl Registration {
    /// An instance without a check: it counts as passing for as long as it is registered.
    pub fn new(name: impl Into<String>, port: u16) -> Self {
        Self {
            name: name.into(),
            port,
            id: None,
            address: Address::Auto,
            tags: Vec::new(),
            meta: BTreeMap::new(),
            weights: Weights::default(),
            tagged_addresses: BTreeMap::new(),
            checks: Vec::new(),
            enable_tag_override: false,
            maintenance: None,
            needs: Needs::default(),
        }
    }

    /// An instance with an HTTP check on `/health` each 10 s.
    pub fn http(name: impl Into<String>, port: u16) -> Self {
        Self::new(name, port).check(Check::http("/health"))
    }

    /// An instance with a TCP check each 10 s.
    pub fn tcp(name: impl Into<String>, port: u16) -> Self {
        Self::new(name, port).check(Check::tcp())
    }

    /// An instance that reports its own health, with a TTL of 30 s. It reports passing until
    /// [`RegistrationHandle::report`](crate::RegistrationHandle::report) says otherwise.
    pub fn ttl(name: impl Into<String>, port: u16) -> Self {
        Self::new(name, port).check(Check::ttl(DEFAULT_TTL))
    }

    /// Its id on the agent, in place of `name-host-port-` and a random part. Give one only if it stays the same from
    /// run to run and no two instances share it.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The address under which others reach it. Default [`Address::Auto`].
    pub fn address(mut self, address: Address) -> Self {
        self.address = address;
        self
    }

    /// The port, and the address if it is one to connect to, of a socket that is bound: for one that was bound to port 0.
    pub fn listens_on(mut self, bound: SocketAddr) -> Self {
        self.port = bound.port();
        let ip = bound.ip().to_canonical();
        if ip.is_unspecified() { self } else { self.address(Address::Given(ip.to_string())) }
    }

    /// One more tag.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// These tags in place of those it had. At most 256.
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags = tags.into_iter().map(Into::into).collect();
        self
    }

    /// One more pair: at most 64, keys up to 128 of `A-Z a-z 0-9 _ -`, values up to 512 bytes.
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.meta.insert(key.into(), value.into());
        self
    }

    /// Its version, as meta `version`: a semantic version, so that callers can ask for one.
    pub fn version(self, version: impl Into<String>) -> Self {
        self.meta("version", version)
    }

    /// Its zone, as meta `zone`, so that callers can prefer their own.
    pub fn zone(self, zone: impl Into<String>) -> Self {
        self.meta("zone", zone)
    }

    /// Its region, as meta `region`, so that callers can prefer their own.
    pub fn region(self, region: impl Into<String>) -> Self {
        self.meta("region", region)
    }

    /// What it needs, in place of what it needed: declared in meta under [`NEEDS_KEY`](crate::depend::NEEDS_KEY), so that
    /// everyone can read it. It takes a pair of meta for each 511 bytes, of the 64 that there are.
    pub fn needs(mut self, needs: impl IntoIterator<Item = Need>) -> Self {
        self.needs = needs.into_iter().collect();
        self
    }

    /// Its share of requests. Default 1 while passing, 1 while warning; passing is at least 1.
    pub fn weights(mut self, weights: Weights) -> Self {
        self.weights = weights;
        self
    }

    /// Another address and port under which it can be reached, by its tag: `lan`, `wan`, `wan_ipv6`, … Port 0: the
    /// instance's own. Consul adds some by itself; see its `tagged_addresses`.
    pub fn tagged_address(mut self, tag: impl Into<String>, address: impl Into<String>, port: u16) -> Self {
        self.tagged_addresses.insert(tag.into(), (address.into(), port));
        self
    }

    /// One more check. At most 64.
    pub fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// These checks in place of those it had; none at all with an empty list.
    pub fn checks(mut self, checks: impl IntoIterator<Item = Check>) -> Self {
        self.checks = checks.into_iter().collect();
        self
    }

    /// Whether its tags belong to the catalogue once it is registered, so that others may change them there. Then the
    /// tags given here are those that it starts with, and other tags are no drift. Default no. Consul:
    /// agent/local/state.go (`EnableTagOverride`).
    pub fn enable_tag_override(mut self, enable: bool) -> Self {
        self.enable_tag_override = enable;
        self
    }

    /// It comes into the registry out of service, for this reason, so that nobody chooses it until
    /// [`announce`](crate::RegistrationHandle::announce). There is no moment in which it is in service before.
    pub fn in_maintenance(mut self, reason: impl Into<String>) -> Self {
        self.maintenance = Some(reason.into());
        self
    }

    /// Looks at everything that can be judged without the network.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config), naming the first field that is wrong, what was found, what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        ServiceName::new(&self.name)?;
        if let Some(id) = &self.id {
            ServiceId::new(id)?;
        }
        self.address.validate_as("address")?;
        validate_tags("tags", &self.tags)?;
        validate_meta("meta", &self.meta)?;
        declare::fit(&self.needs, &self.meta)?;
        for (tag, (address, _)) in &self.tagged_addresses {
            if tag.is_empty() || tag.contains(char::is_control) || address.contains(char::is_control) {
                let what = format!(
                    "tagged_addresses: {tag:?} is empty or holds a control character; write it as \"lan\" or \"wan\""
                );
                return Err(Error::config(what));
            }
        }
        validate_weights("weights", self.weights)?;
        self.validate_checks()
    }

    /// What it needs: as it was given, or as its meta declares it.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config): the declaration cannot be read, or does not fit.
    pub(crate) fn needs_declared(&self) -> Result<Needs, Error> {
        declare::fit(&self.needs, &self.meta)?;
        Ok(if self.needs.is_empty() { declare::needs_in(&self.meta) } else { self.needs.clone() })
    }

    /// What is allowed, but hardly meant.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let checks = self.checks.iter().enumerate();
        checks.flat_map(|(place, check)| check.warnings(&format!("check[{place}]"))).collect()
    }

    fn validate_checks(&self) -> Result<(), Error> {
        if self.checks.len() > CHECKS {
            return Err(Error::config(format!(
                "checks: {} are given; {CHECKS} are allowed",
                self.checks.len()
            )));
        }
        let mut ids = BTreeSet::new();
        for (place, check) in self.checks.iter().enumerate() {
            let field = format!("check[{place}]");
            check.validate(&field)?;
            if let Some(id) = check.id.as_ref().filter(|id| !ids.insert((*id).clone())) {
                return Err(Error::config(format!(
                    "{field}.id: {id:?} is the id of another check; give it its own"
                )));
            }
            if self.port == 0 && check.kind.asks_own_port() {
                return Err(Error::config(format!(
                    "port: 0 cannot be checked by {field}; give the port it listens on, or the check a whole target"
                )));
            }
            if self.address == Address::Node && check.kind.asks_own_port() {
                return Err(Error::config(format!(
                    "address: {field} asks the instance's own address, which only the agent knows; give the address, or \
                     the check a whole target"
                )));
            }
        }
        Ok(())
    }
}

/// Looks at the tags of a service.
pub(super) fn validate_tags(field: &str, tags: &[String]) -> Result<(), Error> {
    if tags.len() > TAGS {
        return Err(Error::config(format!("{field}: {} are given; {TAGS} are allowed", tags.len())));
    }
    match tags.iter().position(|tag| tag.is_empty() || tag.contains(char::is_control)) {
        Some(place) => Err(Error::config(format!(
            "{field}[{place}]: it is empty or holds a control character; leave it out or write it in letters"
        ))),
        None => Ok(()),
    }
}

/// Looks at the pairs of a service or a node.
pub(super) fn validate_meta(field: &str, meta: &BTreeMap<String, String>) -> Result<(), Error> {
    if meta.len() > META_PAIRS {
        let what = format!("{field}: {} pairs are given; {META_PAIRS} are allowed", meta.len());
        return Err(Error::config(what));
    }
    for (key, value) in meta {
        let shown: String = key.chars().take(META_KEY).collect();
        let odd = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if key.is_empty() || key.len() > META_KEY || key.contains(odd) {
            return Err(Error::config(format!(
                "{field}: the key {shown:?} is not 1 to {META_KEY} of A-Z a-z 0-9 _ -; rename it"
            )));
        }
        if value.len() > META_VALUE {
            let bytes = value.len();
            return Err(Error::config(format!(
                "{field}.{key}: the value has {bytes} bytes; {META_VALUE} are allowed"
            )));
        }
    }
    Ok(())
}

/// Looks at the weights of a service.
pub(super) fn validate_weights(field: &str, weights: Weights) -> Result<(), Error> {
    if weights.passing == 0 {
        let what =
            format!("{field}.passing: 0 is under 1, Consul's least; to take no requests, use maintenance");
        return Err(Error::config(what));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
