//! Who needs an instance that is about to leave: said before it does.
//!
//! In:  the graph of dependencies, read once. Out: a line on stderr for each need that would not be met any more.
//!
//! Never: holds up for longer than a second; fails what it only warns of.

use std::time::Duration;

use portolan::{
    Discovery, ServiceId, ServiceName,
    depend::{Graph, ServiceAt},
};

use crate::config::Shell;

/// How long it may take to read the graph. In a catalogue that is too big for that nothing is said.
const LOOK: Duration = Duration::from_secs(1);

/// Says who needs the instance, if without it too few are left.
pub(crate) async fn warn(discovery: &Discovery, service: &ServiceName, id: &ServiceId, shell: &Shell) {
    match discovery.read_dependencies(LOOK).await {
        Ok(graph) => lines(&graph, service, id).iter().for_each(|line| shell.hint(line)),
        Err(error) => tracing::debug!(error = error.chain(), "it is not known who needs the instance"),
    }
}

fn lines(graph: &Graph, service: &ServiceName, id: &ServiceId) -> Vec<String> {
    let at = ServiceAt::here(service.clone());
    let instances = graph.node(&at).map_or(&[][..], |node| node.instances());
    let Some(gone) = instances.iter().find(|one| *one.identity.id == *id.as_str()) else {
        return Vec::new();
    };
    let lost = graph.lost_without(&at, &gone.identity);
    lost.iter().map(|(from, need, lack)| format!("{id}: {from} needs {need}; without it: {lack}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portolan::{Identity, Instance};

    use super::*;

    #[test]
    fn the_last_one_is_missed_by_who_needs_it() {
        let one = |service: &str, id: &str, needs: &str| {
            let one = Instance::new(Identity::new("dc1", "n", id), service, "10.0.0.1", 80);
            vec![Arc::new(one.with_meta([("portolan-needs", needs)]))]
        };
        let (db, web) = (one("db", "db-1", ""), one("web", "web-1", "db, cache?"));
        let all = [("db", &db[..]), ("web", &web[..])];
        let graph = Graph::of(None, all.map(|(name, all)| (name.parse().unwrap(), all)));
        let says = |service: &str, id: &str| lines(&graph, &service.parse().unwrap(), &id.parse().unwrap());
        assert_eq!(says("db", "db-1"), ["db-1: web needs db; without it: no instance is registered"]);
        assert!(says("web", "web-1").is_empty() && says("db", "db-2").is_empty());
    }
}
