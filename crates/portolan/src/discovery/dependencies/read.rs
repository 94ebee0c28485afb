//! The graph, read once through the guard.
//!
//! In:  the list of services, and each of them. Out: a [`Graph`], or the error of the first read that failed.
//!
//! Never: shows a graph without a service of its own datacentre; asks for more than a few services at once, or for more
//! than there may be.

use std::{collections::BTreeMap, sync::Arc};

use tokio::task::JoinSet;

use crate::{
    depend::{Graph, MOST_SERVICES, ServiceAt},
    error::{Error, Kind},
    guard::Guard,
    model::{Instance, ServiceName},
    registry::{CatalogQuery, Registry as _, ServiceQuery},
};

/// How many services are asked for at once.
const AT_ONCE: usize = 16;

/// What the registry said of each service; `None`: it could not be asked.
type Found = BTreeMap<ServiceAt, Option<Vec<Arc<Instance>>>>;

pub(super) async fn read(guard: &Arc<Guard>) -> Result<Graph, Error> {
    let names = guard.services(&CatalogQuery::default()).await?.value;
    let mut next: Vec<ServiceAt> =
        names.keys().filter_map(|name| ServiceName::new(name).ok()).map(ServiceAt::here).collect();
    let mut found = Found::new();
    let mut home = None;
    loop {
        let room = MOST_SERVICES.saturating_sub(found.len());
        if next.len() > room {
            tracing::warn!(services = MOST_SERVICES, "there are more services than are looked at");
            next.truncate(room);
        }
        read_all(guard, next, &mut found).await?;
        let known = || found.iter().filter_map(|(at, all)| Some((at.clone(), all.as_deref()?)));
        let mut here = known().filter(|(at, _)| at.datacenter().is_none()).flat_map(|(_, all)| all);
        home = home.or_else(|| here.next().map(|one| Arc::clone(&one.identity.datacenter)));
        let graph = Graph::of(home.as_deref(), known());
        let wanted: Vec<ServiceAt> = graph.wanted().filter(|at| !found.contains_key(at)).cloned().collect();
        if wanted.is_empty() || found.len() >= MOST_SERVICES {
            return Ok(graph);
        }
        // What is needed here, and not on the list, is known to have no instance; elsewhere it is asked for.
        let (elsewhere, missing): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|at| at.datacenter().is_some());
        found.extend(missing.into_iter().map(|at| (at, Some(Vec::new()))));
        next = elsewhere;
    }
}

/// Reads services, a few at once. One of another datacentre that cannot be read is not known.
async fn read_all(guard: &Arc<Guard>, all: Vec<ServiceAt>, found: &mut Found) -> Result<(), Error> {
    let mut open = JoinSet::new();
    let mut rest = all.into_iter();
    loop {
        while open.len() < AT_ONCE {
            let Some(at) = rest.next() else { break };
            let guard = Arc::clone(guard);
            open.spawn(async move {
                let query = ServiceQuery::new(at.service().clone()).datacenter(at.datacenter().cloned());
                let answer = guard.service(&query).await;
                (at, answer)
            });
        }
        match open.join_next().await {
            Some(Ok((at, Ok(answer)))) => drop(found.insert(at, Some(answer.value))),
            Some(Ok((at, Err(error)))) if at.datacenter().is_some() => {
                tracing::warn!(service = %at, error = error.chain(), "a service of another datacentre cannot be read");
                found.insert(at, None);
            }
            Some(Ok((_, Err(error)))) => return Err(error),
            Some(Err(ended)) => {
                return Err(Error::new(Kind::Closed, "dependencies: a read was ended").caused_by(ended));
            }
            None => return Ok(()),
        }
    }
}
