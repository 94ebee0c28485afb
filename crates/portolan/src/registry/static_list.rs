//! A registry that never changes: instances from code or from a few lines of text.
//!
//! In:  services with their instances, given once. Out: the same answer to every read, with index 1.
//!
//! Never: takes a registration; opens a socket. It is what a program falls back to, or what runs without any registry.
//!
//! Proof: `static_list/tests.rs`, and the reading part of the contract suite.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, str::FromStr, sync::Arc};

use super::{
    AgentInfo, Answer, Block, CatalogQuery, Definition, Registered, Registry, Reply, Report, ServiceQuery,
    ServiceTags,
};
use crate::{
    error::{Error, Kind},
    model::{Identity, Instance, ServiceId, ServiceName},
};

/// Stands for node and datacenter where text names neither.
const NOWHERE: &str = "static";
/// The index of every answer.
const INDEX: u64 = 1;

/// Fixed instances of fixed services.
///
/// As text, a line for each service; blank lines and those that start with `#` say nothing. The port is needed, and an
/// IPv6 address stands in brackets:
///
/// ```
/// use portolan::registry::static_list::StaticList;
///
/// let list: StaticList = "
///     web=10.0.0.1:80,10.0.0.2:80
///     db=[fd00::1]:5432
/// ".parse()?;
/// # Ok::<(), portolan::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct StaticList {
    services: BTreeMap<ServiceName, Vec<Arc<Instance>>>,
}

impl StaticList {
    /// A list without services.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with these instances of `service`, in place of those it had.
    #[must_use]
    pub fn with(mut self, service: ServiceName, instances: impl IntoIterator<Item = Instance>) -> Self {
        self.services.insert(service, instances.into_iter().map(Arc::new).collect());
        self
    }

    /// Every service with its instances, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&ServiceName, &Vec<Arc<Instance>>)> {
        self.services.iter()
    }

    fn read_line(&mut self, line: &str) -> Result<(), String> {
        let (name, addresses) =
            line.split_once('=').ok_or("has no \"=\"; write name=address:port,address:port")?;
        let name = ServiceName::new(name.trim()).map_err(|error| error.to_string())?;
        let mut instances: Vec<Arc<Instance>> = Vec::new();
        for text in addresses.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let (address, port) = address_and_port(text).ok_or_else(|| {
                format!("{text:?} is not address:port with a port from 1 to 65535 (IPv6 as \"[fd00::1]:80\")")
            })?;
            if instances.iter().any(|known| *known.identity.id == *text) {
                return Err(format!("{text:?} is given twice; leave one out"));
            }
            instances.push(Arc::new(Instance::new(
                Identity::new(NOWHERE, NOWHERE, text),
                name.as_str(),
                address,
                port,
            )));
        }
        match self.services.insert(name.clone(), instances) {
            Some(_) => {
                Err(format!("service {:?} has a line already; put all its addresses on one", name.as_str()))
            }
            None => Ok(()),
        }
    }
}

fn address_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host = match bracketed {
        Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_ok() => inner,
        Some(_) => return None,
        None => host,
    };
    let plain = bracketed.is_some() || !host.contains([':', '[', ']', '/']);
    let spaced = host.contains(|c: char| c.is_whitespace() || c.is_control());
    (!host.is_empty() && plain && !spaced).then_some((host, port))
}

impl FromStr for StaticList {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut list = Self::new();
        for (number, line) in (1u64..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            list.read_line(line)
                .map_err(|problem| Error::config(format!("static list, line {number}: {problem}")))?;
        }
        Ok(list)
    }
}

fn refused<'a, T: 'a>(what: &str) -> Reply<'a, T> {
    let error =
        format!("a static list: {what} is not possible, it never changes; use a registry such as Consul");
    Box::pin(async { Err(Error::new(Kind::Rejected, error)) })
}

/// Nothing ever changes, so a blocking read is a wait.
async fn waited(block: Option<Block>) {
    if let Some(block) = block.filter(|block| block.index >= INDEX) {
        tokio::time::sleep(block.wait).await;
    }
}

impl Registry for StaticList {
    fn describe(&self) -> String {
        format!("a static list of {} services", self.services.len())
    }

    fn watches(&self) -> Option<usize> {
        Some(usize::MAX)
    }

    fn service<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Vec<Arc<Instance>>>> {
        Box::pin(async move {
            waited(query.block).await;
            Ok(Answer::new(self.services.get(&query.service).cloned().unwrap_or_default(), INDEX))
        })
    }

    fn services<'a>(&'a self, query: &'a CatalogQuery) -> Reply<'a, Answer<ServiceTags>> {
        Box::pin(async move {
            waited(query.block).await;
            let tags = |instances: &Vec<Arc<Instance>>| {
                let mut tags: Vec<Arc<str>> =
                    instances.iter().flat_map(|instance| instance.tags.iter().map(Arc::clone)).collect();
                tags.sort_unstable();
                tags.dedup();
                tags
            };
            let all = self.services.iter().map(|(name, instances)| (name.as_str().into(), tags(instances)));
            Ok(Answer::new(all.collect(), INDEX))
        })
    }

    fn agent(&self) -> Reply<'_, AgentInfo> {
        Box::pin(async { Ok(AgentInfo::new(NOWHERE, NOWHERE, env!("CARGO_PKG_VERSION"))) })
    }

    fn registered<'a>(&'a self, _: &'a [ServiceId]) -> Reply<'a, Vec<Registered>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn register<'a>(&'a self, _: &'a Definition) -> Reply<'a, ()> {
        refused("a registration")
    }

    fn deregister<'a>(&'a self, _: &'a ServiceId) -> Reply<'a, ()> {
        refused("a deregistration")
    }

    fn report<'a>(&'a self, _: &'a Report) -> Reply<'a, ()> {
        refused("a health report")
    }

    fn maintenance<'a>(&'a self, _: &'a ServiceId, _: Option<&'a str>) -> Reply<'a, ()> {
        refused("maintenance")
    }
}

#[cfg(test)]
mod tests;
