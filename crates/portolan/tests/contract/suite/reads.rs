//! Rules about reading: indexes, waits, lists.

use std::{sync::Arc, time::Duration};

use portolan::{
    Kind, Registry, Status,
    registry::{CatalogQuery, Consistency},
};

use super::{
    DEADLINE, Failure, Outcome, WAIT, clean, gone, one_is, plain, query, read, report, settled, with_id,
    with_ttl,
};

pub(crate) async fn an_unknown_service_is_an_empty_answer_with_an_index(registry: &dyn Registry) -> Outcome {
    let answer = read(registry, "never-there").await?;
    assert_eq!(answer.value, []);
    assert!(answer.meta.index >= 1);
    Ok(())
}

/// A registry that answers such waits at once would be asked again without end. One that is woken now and then by
/// something else is fine: within 20 turns there must be a wait that really waits.
pub(crate) async fn a_wait_on_an_unknown_service_does_not_spin(registry: &dyn Registry) -> Outcome {
    let mut index = read(registry, "never-there").await?.meta.index;
    for _turn in 0..20 {
        let query = query("never-there")?.block(index, DEADLINE);
        match tokio::time::timeout(Duration::from_millis(300), registry.service(&query)).await {
            Err(_still_waiting) => return Ok(()),
            Ok(answered) => index = answered?.meta.index,
        }
    }
    Err("20 waits in a row were answered at once".into())
}

pub(crate) async fn a_wait_on_an_unknown_service_sees_it_come(registry: &dyn Registry) -> Outcome {
    let definition = plain("comes-late")?;
    let before = read(registry, "comes-late").await?;
    assert_eq!(before.value, []);
    let waiting = settled(registry, "comes-late", |instances| instances.len() == 1);
    let (seen, registered) = tokio::join!(waiting, registry.register(&definition));
    registered?;
    assert!(seen?.meta.index > 1);
    clean(registry, &[&definition]).await
}

pub(crate) async fn a_wait_returns_at_a_change_with_a_higher_index(registry: &dyn Registry) -> Outcome {
    let (definition, check) = with_ttl("changes", Some(Status::Passing))?;
    registry.register(&definition).await?;
    let before = settled(registry, "changes", one_is(Status::Passing)).await?;
    let change = report(&check, Status::Critical, "down");
    let waiting = async {
        // Another write may answer the first wait: it is the change that counts.
        let mut index = before.meta.index;
        loop {
            let answer = registry.service(&query("changes")?.block(index, DEADLINE)).await?;
            assert!(answer.meta.index >= index, "{} after {index}", answer.meta.index);
            if one_is(Status::Critical)(&answer.value) {
                return Ok::<_, Failure>(answer);
            }
            index = answer.meta.index;
        }
    };
    let (after, reported) = tokio::join!(tokio::time::timeout(DEADLINE, waiting), registry.report(&change));
    reported?;
    assert!(after??.meta.index > before.meta.index);
    clean(registry, &[&definition]).await
}

pub(crate) async fn a_wait_without_a_change_ends_with_the_same_index(registry: &dyn Registry) -> Outcome {
    let definition = plain("stays")?;
    registry.register(&definition).await?;
    let mut before = settled(registry, "stays", |instances| instances.len() == 1).await?;
    // A registry may still be writing what it knows of the node; that ends.
    for _turn in 0..20 {
        let query = query("stays")?.block(before.meta.index, Duration::from_millis(200));
        let after = registry.service(&query).await?;
        if after.meta.index == before.meta.index {
            assert_eq!(after.value, before.value);
            return clean(registry, &[&definition]).await;
        }
        before = after;
    }
    Err("the index moved 20 times though nothing was written".into())
}

pub(crate) async fn the_last_instance_going_wakes_a_waiter_and_the_index_does_not_go_back(
    registry: &dyn Registry,
) -> Outcome {
    let definition = plain("leaves")?;
    registry.register(&definition).await?;
    let before = settled(registry, "leaves", |instances| instances.len() == 1).await?;
    let waiting = async {
        let mut index = before.meta.index;
        loop {
            let answer = registry.service(&query("leaves")?.block(index, DEADLINE)).await?;
            assert!(answer.meta.index >= index, "{} after {index}", answer.meta.index);
            index = answer.meta.index;
            if answer.value.is_empty() {
                return Ok::<_, Failure>(index);
            }
        }
    };
    let (woken, left) =
        tokio::join!(tokio::time::timeout(DEADLINE, waiting), registry.deregister(&definition.id));
    left?;
    let woken = woken??;
    assert!(woken > before.meta.index);
    // Asked in the same way: an agent that streams gives waits an index of their own, which may be above a plain read's.
    let after = registry.service(&query("leaves")?.block(woken, Duration::from_millis(200))).await?;
    assert_eq!(after.value, []);
    assert!(after.meta.index >= woken, "{} after {woken}", after.meta.index);
    Ok(())
}

pub(crate) async fn twenty_waits_at_once_all_see_the_change(registry: &dyn Registry) -> Outcome {
    let (definition, check) = with_ttl("popular", Some(Status::Passing))?;
    registry.register(&definition).await?;
    settled(registry, "popular", one_is(Status::Passing)).await?;
    let wait = || settled(registry, "popular", one_is(Status::Warning));
    let all = async {
        tokio::try_join!(
            wait(),
            wait(),
            wait(),
            wait(),
            wait(),
            wait(),
            wait(),
            wait(),
            wait(),
            wait(),
            wait(),
            wait(),
            wait(),
            wait(),
            wait(),
            wait(),
            wait(),
            wait(),
            wait(),
            wait(),
        )
    };
    let change = report(&check, Status::Warning, "slow");
    let (all, reported) = tokio::join!(all, registry.report(&change));
    reported?;
    all?;
    clean(registry, &[&definition]).await
}

pub(crate) async fn instances_are_sorted_by_identity(registry: &dyn Registry) -> Outcome {
    let ids = ["sorted-c", "sorted-a", "sorted-b"];
    let definitions = ids.map(|id| with_id("sorted", id));
    for definition in &definitions {
        registry.register(definition.as_ref().map_err(ToString::to_string)?).await?;
    }
    let answer = settled(registry, "sorted", |instances| instances.len() == 3).await?;
    let seen: Vec<&str> = answer.value.iter().map(|instance| &*instance.identity.id).collect();
    assert_eq!(seen, ["sorted-a", "sorted-b", "sorted-c"]);
    for definition in definitions {
        registry.deregister(&definition?.id).await?;
    }
    gone(registry, "sorted").await?;
    Ok(())
}

pub(crate) async fn every_consistency_gives_the_same_instances(registry: &dyn Registry) -> Outcome {
    let definition = plain("consistent")?;
    registry.register(&definition).await?;
    let stale = settled(registry, "consistent", |instances| instances.len() == 1).await?;
    for consistency in [Consistency::Default, Consistency::Stale, Consistency::Consistent] {
        let answer = registry.service(&query("consistent")?.consistency(consistency)).await?;
        assert_eq!(answer.value, stale.value, "{consistency:?}");
        if let Some(served) = answer.meta.consistency {
            assert_eq!(served, consistency);
        }
    }
    clean(registry, &[&definition]).await
}

pub(crate) async fn services_are_listed_with_their_tags(registry: &dyn Registry) -> Outcome {
    let mut one = with_id("listed", "listed-1")?;
    one.tags = vec!["b".to_owned(), "a".to_owned()];
    let mut two = with_id("listed", "listed-2")?;
    two.tags = vec!["c".to_owned(), "a".to_owned()];
    registry.register(&one).await?;
    registry.register(&two).await?;
    settled(registry, "listed", |instances| instances.len() == 2).await?;

    let answer = registry.services(&CatalogQuery::default()).await?;
    let tags = answer.value.get("listed").ok_or("the service is not in the list")?;
    assert_eq!(tags, &["a", "b", "c"].map(Arc::<str>::from));

    clean(registry, &[&one, &two]).await?;
    let mut query = CatalogQuery::default();
    let turns = async {
        loop {
            let answer = registry.services(&query).await?;
            if !answer.value.contains_key("listed") {
                return Ok::<_, Failure>(());
            }
            query.block = Some(portolan::registry::Block { index: answer.meta.index, wait: WAIT });
        }
    };
    tokio::time::timeout(DEADLINE, turns).await?
}

pub(crate) async fn an_unknown_datacenter_is_an_error(registry: &dyn Registry) -> Outcome {
    let query = query("web")?.datacenter(Some("nowhere".into()));
    let error =
        registry.service(&query).await.err().ok_or("an answer from a datacenter that is not there")?;
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    Ok(())
}

pub(crate) async fn the_agent_says_where_its_instances_are(registry: &dyn Registry) -> Outcome {
    let definition = plain("placed")?;
    registry.register(&definition).await?;
    let answer = settled(registry, "placed", |instances| instances.len() == 1).await?;
    let agent = registry.agent().await?;
    for instance in &answer.value {
        assert_eq!(
            (&instance.identity.node, &instance.identity.datacenter),
            (&agent.node, &agent.datacenter)
        );
        assert_eq!(&*instance.identity.id, "placed");
        assert_eq!(&*instance.service, "placed");
    }
    clean(registry, &[&definition]).await
}
