//! The guard as a registry: which lane, which places and which budget each kind of call takes.
//!
//! In:  the trait's calls. Out: the same calls, through the guard.
//!
//! Never: lets a call past its lane.

use std::{sync::Arc, time::Duration};

use super::{Guard, Retry, Waiting, now};
use crate::{
    model::{Instance, NodeName, ServiceId},
    registry::{
        AgentInfo, Answer, Block, CatalogQuery, Definition, NodeDefinition, NodePart, Registered, Registry,
        Reply, Report, ServiceQuery, ServiceTags,
    },
};

impl Registry for Guard {
    fn describe(&self) -> String {
        self.registry.describe()
    }

    fn endpoint(&self) -> Option<String> {
        self.registry.endpoint()
    }

    fn watches(&self) -> Option<usize> {
        self.registry.watches()
    }

    fn service<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Vec<Arc<Instance>>>> {
        let ServiceQuery { datacenter, used, failed, .. } = query;
        let (datacenter, used, failed) = (datacenter.as_ref(), *used, *failed);
        Box::pin(async move {
            if let Some(block) = query.block {
                let ask = |block: Option<Block>| -> Reply<'a, _> {
                    let query = ServiceQuery { block, ..query.clone() };
                    Box::pin(async move { self.timed(&query).await })
                };
                return self.watch(Waiting { datacenter, block, used, failed }, ask).await;
            }
            let retry = Retry { purse: &self.purse, failed };
            let (lane, asked) = (self.lane(datacenter), self.timed(query));
            self.call(&lane, &self.places.reads, Some(retry), asked).await
        })
    }

    fn services<'a>(&'a self, query: &'a CatalogQuery) -> Reply<'a, Answer<ServiceTags>> {
        let datacenter = query.datacenter.as_ref();
        Box::pin(async move {
            if let Some(block) = query.block {
                let ask = |block: Option<Block>| -> Reply<'a, _> {
                    let query = CatalogQuery { block, ..query.clone() };
                    Box::pin(async move { self.registry.services(&query).await })
                };
                // There is one of these for many services: it always is in use.
                return self.watch(Waiting { datacenter, block, used: Some(now()), failed: None }, ask).await;
            }
            let retry = Retry { purse: &self.purse, failed: None };
            let (lane, asked) = (self.lane(datacenter), self.registry.services(query));
            self.call(&lane, &self.places.reads, Some(retry), asked).await
        })
    }

    fn agent(&self) -> Reply<'_, AgentInfo> {
        Box::pin(self.call(&self.writes, &self.places.writes, None, self.registry.agent()))
    }

    fn registered<'a>(&'a self, ids: &'a [ServiceId]) -> Reply<'a, Vec<Registered>> {
        Box::pin(self.call(&self.writes, &self.places.writes, None, self.registry.registered(ids)))
    }

    fn tether<'a>(&'a self, id: &'a ServiceId, wait: Duration) -> Reply<'a, ()> {
        // It has a place of its own, for there is one for each agent; and says nothing to the breaker that the sweep
        // after it does not say better.
        Box::pin(self.within(wait.saturating_add(self.call), self.registry.tether(id, wait)))
    }

    fn register<'a>(&'a self, definition: &'a Definition) -> Reply<'a, ()> {
        Box::pin(self.call(&self.writes, &self.places.writes, None, self.registry.register(definition)))
    }

    fn deregister<'a>(&'a self, id: &'a ServiceId) -> Reply<'a, ()> {
        Box::pin(self.call(&self.writes, &self.places.writes, None, self.registry.deregister(id)))
    }

    fn report<'a>(&'a self, report: &'a Report) -> Reply<'a, ()> {
        Box::pin(self.call(&self.reports, &self.places.reports, None, self.registry.report(report)))
    }

    fn maintenance<'a>(&'a self, id: &'a ServiceId, reason: Option<&'a str>) -> Reply<'a, ()> {
        Box::pin(self.call(&self.writes, &self.places.writes, None, self.registry.maintenance(id, reason)))
    }

    fn catalog_node<'a>(&'a self, node: &'a NodeName) -> Reply<'a, Option<NodeDefinition>> {
        Box::pin(self.call(&self.writes, &self.places.writes, None, self.registry.catalog_node(node)))
    }

    fn catalog_register<'a>(&'a self, part: &'a NodeDefinition) -> Reply<'a, ()> {
        Box::pin(self.call(&self.writes, &self.places.writes, None, self.registry.catalog_register(part)))
    }

    fn catalog_deregister<'a>(&'a self, node: &'a NodeName, part: &'a NodePart) -> Reply<'a, ()> {
        let deregistered = self.registry.catalog_deregister(node, part);
        Box::pin(self.call(&self.writes, &self.places.writes, None, deregistered))
    }
}
