//! What every registry that keeps external nodes must do with them.
//!
//! In:  a registry that nobody else writes to, and a `Discovery` on it. Out: the first thing that was not as it must be.
//!
//! Use beside nothing else: a registry of one node only refuses all of it.

use std::{sync::Arc, time::Duration};

use portolan::{
    CheckId, Config, Discovery, ExternalCheck, ExternalNode, ExternalService, Instance, Kind, NodeName,
    Registry, ServiceId, Status,
    registry::{CheckOutput, Consistency, NodeCheck, NodeDefinition, NodePart, NodeService, ServiceQuery},
};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
type Outcome = Result<(), Failure>;

/// All of it, one after the other.
pub(crate) async fn external_nodes_are_kept(registry: Arc<dyn Registry>) -> Outcome {
    let discovery = Discovery::with_registry(Arc::clone(&registry), Config::default());
    let registry = registry.as_ref();
    it_is_in_the_catalogue_as_it_was_given_and_gone_when_it_is_removed(registry, &discovery).await?;
    the_same_again_changes_no_index_and_a_change_changes_what_differs(registry, &discovery).await?;
    what_others_put_there_by_custom_stays(registry, &discovery).await?;
    a_node_with_an_agent_is_refused_with_the_reason(registry, &discovery).await?;
    a_node_of_somebody_else_is_refused(registry, &discovery).await?;
    Ok(discovery.close(Duration::from_secs(10)).await?)
}

fn postgres(status: Status) -> ExternalService {
    ExternalService::new("postgres", 5432)
        .id("pg-1")
        .tag("primary")
        .meta("version", "16.4.0")
        .check(ExternalCheck::new("connects", status).named("pg connects").output("as we found it"))
}

fn database(status: Status) -> ExternalNode {
    ExternalNode::new("db-eu", "10.9.0.7")
        .meta("zone", "eu")
        .meta("region", "europe")
        .check(ExternalCheck::new("alive", Status::Passing))
        .service(postgres(status))
}

/// The instances of a service, as the leader knows them: the writes went there.
async fn found(registry: &dyn Registry, name: &str) -> Result<(Vec<Arc<Instance>>, u64), Failure> {
    let query = ServiceQuery::new(name.parse()?).consistency(Consistency::Default).output(CheckOutput::Keep);
    let answer = registry.service(&query).await?;
    Ok((answer.value, answer.meta.index))
}

async fn held(registry: &dyn Registry, name: &str) -> Result<Option<NodeDefinition>, Failure> {
    Ok(registry.catalog_node(&NodeName::new(name)?).await?)
}

async fn it_is_in_the_catalogue_as_it_was_given_and_gone_when_it_is_removed(
    registry: &dyn Registry,
    discovery: &Discovery,
) -> Outcome {
    discovery.put_external(&database(Status::Warning)).await?;
    let (instances, _) = found(registry, "postgres").await?;
    let [one] = &*instances else { return Err(format!("one instance, not {instances:?}").into()) };
    assert_eq!((&*one.identity.node, &*one.identity.id), ("db-eu", "pg-1"));
    assert_eq!((one.authority().as_str(), one.status), ("10.9.0.7:5432", Status::Warning));
    assert_eq!(one.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["primary"]);
    assert_eq!((one.zone.as_deref(), one.region.as_deref()), (Some("eu"), Some("europe")));
    assert!(one.version.is_some());
    let checks: Vec<_> = one.checks.iter().map(|check| (&*check.id, check.status, &*check.output)).collect();
    assert_eq!(checks, [("alive", Status::Passing, ""), ("connects", Status::Warning, "as we found it")]);
    let node = held(registry, "db-eu").await?.ok_or("the node is not there")?;
    let meta: Vec<_> = node.meta.iter().map(|(key, value)| (&**key, &**value)).collect();
    let expected =
        [("external-node", "true"), ("external-probe", "false"), ("region", "europe"), ("zone", "eu")];
    assert_eq!(meta, expected);
    discovery.remove_external("db-eu").await?;
    assert_eq!(held(registry, "db-eu").await?, None);
    assert!(found(registry, "postgres").await?.0.is_empty());
    Ok(discovery.remove_external("db-eu").await?) // it is gone already
}

async fn the_same_again_changes_no_index_and_a_change_changes_what_differs(
    registry: &dyn Registry,
    discovery: &Discovery,
) -> Outcome {
    discovery.put_external(&database(Status::Passing).service(ExternalService::new("ssh", 22))).await?;
    let ((_, postgres_at), (_, ssh_at)) = (found(registry, "postgres").await?, found(registry, "ssh").await?);
    discovery.put_external(&database(Status::Passing).service(ExternalService::new("ssh", 22))).await?;
    assert_eq!(found(registry, "postgres").await?.1, postgres_at);
    assert_eq!(found(registry, "ssh").await?.1, ssh_at);
    // A status, a port, a check that moves to the node, a service that is no longer there.
    let moved = ExternalNode::new("db-eu", "10.9.0.8")
        .probed()
        .check(ExternalCheck::new("connects", Status::Critical))
        .service(ExternalService::new("postgres", 5433).id("pg-1"));
    discovery.put_external(&moved).await?;
    let (instances, _) = found(registry, "postgres").await?;
    let [one] = &*instances else { return Err(format!("one instance, not {instances:?}").into()) };
    assert_eq!((one.authority().as_str(), one.status), ("10.9.0.8:5433", Status::Critical));
    assert!(one.tags.is_empty() && one.checks.len() == 1, "{one:?}");
    assert!(found(registry, "ssh").await?.0.is_empty());
    let node = held(registry, "db-eu").await?.ok_or("the node is not there")?;
    assert_eq!(node.meta.get("external-probe").map(String::as_str), Some("true"));
    Ok(discovery.remove_external("db-eu").await?)
}

async fn what_others_put_there_by_custom_stays(registry: &dyn Registry, discovery: &Discovery) -> Outcome {
    discovery.put_external(&database(Status::Passing)).await?;
    let mut part = held(registry, "db-eu").await?.ok_or("the node is not there")?;
    part.services.clear();
    let id = CheckId::new("externalNodeHealth")?;
    part.checks.insert(id.clone(), NodeCheck::new("External Node Status", Status::Critical, "not reached"));
    registry.catalog_register(&part).await?;
    discovery.put_external(&database(Status::Passing).meta("rack", "7")).await?;
    let (instances, _) = found(registry, "postgres").await?;
    assert_eq!(instances.iter().map(|one| one.status).collect::<Vec<_>>(), [Status::Critical]);
    let name = NodeName::new("db-eu")?;
    registry.catalog_deregister(&name, &NodePart::Check(id)).await?;
    registry.catalog_deregister(&name, &NodePart::Service(ServiceId::new("pg-1")?)).await?;
    let node = held(registry, "db-eu").await?.ok_or("the node is not there")?;
    assert!(node.services.is_empty() && node.checks.len() == 1, "{node:?}");
    Ok(discovery.remove_external("db-eu").await?)
}

async fn a_node_with_an_agent_is_refused_with_the_reason(
    registry: &dyn Registry,
    discovery: &Discovery,
) -> Outcome {
    let home = registry.agent().await?.node;
    let before = held(registry, &home).await?.ok_or("the agent has a node")?;
    assert!(before.checks.contains_key(&CheckId::new("serfHealth")?), "{before:?}");
    for name in [home.to_string(), home.to_uppercase()] {
        let node = ExternalNode::new(&*name, "10.9.0.7").service(postgres(Status::Passing));
        let put = discovery.put_external(&node).await;
        for refused in [put, discovery.remove_external(&name).await] {
            let refused = refused.err().ok_or("the node has an agent")?;
            assert_eq!(refused.kind(), Kind::Conflict, "{refused}");
            assert!(refused.to_string().contains("the node has an agent"), "{refused}");
        }
    }
    let after = held(registry, &home).await?.ok_or("the agent still has a node")?;
    // The agent itself may add to its node's meta meanwhile; what was refused would have changed these.
    assert_eq!((&after.address, &after.services), (&before.address, &before.services), "nothing was written");
    assert!(!after.meta.contains_key("external-node"), "{after:?}");
    assert!(found(registry, "postgres").await?.0.is_empty());
    Ok(())
}

async fn a_node_of_somebody_else_is_refused(registry: &dyn Registry, discovery: &Discovery) -> Outcome {
    let mut theirs = NodeDefinition::new(NodeName::new("k8s-sync")?, "127.0.0.1");
    theirs.meta.insert("external-source".into(), "kubernetes".into());
    theirs.services.insert(ServiceId::new("theirs")?, NodeService::new("theirs".parse()?, 80));
    registry.catalog_register(&theirs).await?;
    let put = discovery.put_external(&ExternalNode::new("k8s-sync", "10.9.0.7")).await;
    for refused in [put, discovery.remove_external("k8s-sync").await] {
        let refused = refused.err().ok_or("it was not written as an external node")?;
        assert_eq!(refused.kind(), Kind::Conflict, "{refused}");
    }
    assert_eq!(held(registry, "k8s-sync").await?, Some(theirs.clone()));
    // A member of the cluster whose agent is another one is told by its check.
    theirs.services.clear();
    theirs.meta.insert("external-node".into(), "true".into());
    let serf = NodeCheck::new("Serf Health Status", Status::Critical, "Agent not live or unreachable");
    theirs.checks.insert(CheckId::new("serfHealth")?, serf);
    registry.catalog_register(&theirs).await?;
    let refused = discovery.put_external(&ExternalNode::new("k8s-sync", "10.9.0.7")).await;
    let refused = refused.err().ok_or("it has an agent")?;
    assert!(refused.to_string().contains("it has the check serfHealth"), "{refused}");
    Ok(registry.catalog_deregister(&theirs.name, &NodePart::Node).await?)
}
