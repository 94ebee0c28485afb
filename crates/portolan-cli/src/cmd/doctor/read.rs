//! Reads a registry for the doctor.
//!
//! In:  a client. Out: all that it could read, and what it could not, with the reason.
//!
//! Never: changes anything; gives up because one endpoint refuses.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use portolan::{
    Kind, Registry, ServiceName,
    registry::{CatalogQuery, Consistency, ServiceQuery, consul::Consul},
};

use super::{
    super::ask,
    seen::{self, Clock, Seen},
    sockets,
};
use crate::output::clock;

/// The question whose index is compared over time.
pub(super) const CHECKS: &str = "/v1/health/state/any";

/// # Errors
/// The list of services cannot be read, or the registry went away.
pub(super) async fn registry(client: &Consul) -> anyhow::Result<Seen> {
    let registry: Arc<dyn Registry> = Arc::new(client.clone());
    let mut seen = Seen { registry: registry.describe(), ..Seen::default() };
    list(&registry, &mut seen).await?;
    if let Some(body) = document(client, &mut seen, "/v1/agent/self", "the agent's settings").await? {
        seen.agent = seen::agent(&body).unwrap_or_default();
    }
    // Before and after the catalogue: what comes or goes meanwhile is in one of them.
    let before = held(client, &mut seen).await?;
    services(&registry, &mut seen).await?;
    if let Some(body) = document(client, &mut seen, "/v1/catalog/nodes", "nodes").await? {
        seen.nodes = seen::nodes(&body).unwrap_or_default();
    }
    if let Some(body) = document(client, &mut seen, CHECKS, "checks").await? {
        seen.checks = seen::checks(&body).unwrap_or_default();
    }
    seen.held = match before {
        Some(before) => held(client, &mut seen).await?.map(|after| before.union(&after).cloned().collect()),
        None => None,
    };
    others(&mut seen);
    load(&registry, &mut seen).await;
    // Once more, for its index.
    list(&registry, &mut seen).await?;
    Ok(seen)
}

async fn list(registry: &Arc<dyn Registry>, seen: &mut Seen) -> anyhow::Result<()> {
    let query = CatalogQuery::default();
    let answer = ask(registry, registry.services(&query)).await?;
    seen.names = answer.value;
    seen.indexes.push(("/v1/catalog/services".to_owned(), answer.meta.index));
    seen.answers.push(("/v1/catalog/services".to_owned(), answer.meta));
    Ok(())
}

async fn services(registry: &Arc<dyn Registry>, seen: &mut Seen) -> anyhow::Result<()> {
    for name in seen.names.keys().cloned().collect::<Vec<_>>() {
        let service = match ServiceName::new(&*name) {
            Ok(service) => service,
            Err(wrong) => {
                seen.unread(format!("service {name}"), wrong.chain());
                continue;
            }
        };
        let query = ServiceQuery::new(service);
        match registry.service(&query).await {
            Ok(answer) => {
                seen.answers.push((format!("/v1/health/service/{name}"), answer.meta));
                seen.services.insert(name, answer.value);
            }
            Err(error) if is_gone(error.kind()) => return Err(error.into()),
            Err(error) => seen.unread(format!("service {name}"), error.chain()),
        }
    }
    Ok(())
}

fn is_gone(kind: Kind) -> bool {
    matches!(kind, Kind::Unreachable | Kind::Timeout)
}

/// The answer of an endpoint; `None`: it refuses, which is noted.
async fn document(
    client: &Consul,
    seen: &mut Seen,
    path: &'static str,
    what: &str,
) -> anyhow::Result<Option<Bytes>> {
    let before = clock::since_1970();
    match client.document(path, Consistency::Stale, None).await {
        Ok(answer) => {
            let after = clock::since_1970();
            if let Some(theirs) = answer.date.as_deref().and_then(clock::http_date) {
                seen.clocks.push(Clock { before, after, theirs });
            }
            // The agent answers by itself, without an index.
            if !path.starts_with("/v1/agent/") {
                seen.indexes.push((path.to_owned(), answer.meta.index));
                seen.answers.push((path.to_owned(), answer.meta));
            }
            Ok(Some(answer.body))
        }
        Err(error) if is_gone(error.kind()) => Err(error.into()),
        Err(error) => {
            seen.unread(what, error.chain());
            Ok(None)
        }
    }
}

async fn held(client: &Consul, seen: &mut Seen) -> anyhow::Result<Option<BTreeSet<String>>> {
    let body = document(client, seen, "/v1/agent/services", "what the agent holds").await?;
    Ok(body.and_then(|body| seen::held(&body)))
}

/// Other agents can be asked only where they are.
fn others(seen: &mut Seen) {
    let with_agent: BTreeSet<&str> =
        seen.checks.iter().filter(|check| check.id == *seen::SERF).map(|check| &*check.node).collect();
    let others = with_agent.into_iter().filter(|node| *node != seen.agent.node).count();
    if others > 0 {
        let what = format!("what the agents of {others} other nodes hold");
        seen.unread(what, "each is asked where it is: run doctor with --registry at each of them");
    }
}

/// How many connections this machine holds to the registry.
async fn load(registry: &Arc<dyn Registry>, seen: &mut Seen) {
    let Some(limit) = seen.agent.connections else { return };
    // A socket file counts for nobody.
    let Some(endpoint) = registry.endpoint() else { return };
    let Ok(found) = tokio::net::lookup_host(&endpoint).await else { return };
    let addresses: Vec<SocketAddr> = found.collect();
    // Where there are no such files, nothing is told.
    let read = || {
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap_or_default())
    };
    let tables = tokio::task::spawn_blocking(read).await.unwrap_or_default().concat();
    if tables.is_empty() {
        let what = format!("how many of the {limit} connections of this address are taken");
        seen.unread(what, "this system does not tell its sockets in /proc/net/tcp");
    }
    seen.load = sockets::count(&tables, &addresses);
}
