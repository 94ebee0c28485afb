//! Rules about registering, deregistering, and what an agent says it holds.

use std::{sync::Arc, time::Duration};

use portolan::{Registry, ServiceId, Status, Weights};

use super::{
    Failure, Outcome, clean, gone, one_is, plain, query, read, report, settled, settled_with, ttl, with_id,
    with_ttl,
};

pub(crate) async fn what_is_registered_is_seen_as_it_was_sent(registry: &dyn Registry) -> Outcome {
    let (mut definition, check) = with_ttl("whole", Some(Status::Warning))?;
    definition.address = "10.20.30.40".to_owned();
    definition.port = 65535;
    definition.tags = vec!["z-last".to_owned(), "a first".to_owned(), "ünï".to_owned()];
    definition.meta =
        [("version", "1.4.2"), ("zone", "eu-1a"), ("region", "eu-1"), ("owner", "team \"a\", ü")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
    definition.weights = Weights { passing: 65535, warning: 0 };
    registry.register(&definition).await?;

    let answer = settled(registry, "whole", one_is(Status::Warning)).await?;
    let instance = answer.value.first().ok_or("no instance")?;
    assert_eq!((&*instance.address, instance.port), ("10.20.30.40", 65535));
    assert_eq!(*instance.tags, ["z-last", "a first", "ünï"].map(Arc::<str>::from));
    let meta: Vec<(&str, &str)> = instance.meta.iter().map(|(key, value)| (&**key, &**value)).collect();
    let expected = [("owner", "team \"a\", ü"), ("region", "eu-1"), ("version", "1.4.2"), ("zone", "eu-1a")];
    assert_eq!(meta, expected);
    assert_eq!(instance.weights, definition.weights);
    assert_eq!((instance.zone.as_deref(), instance.region.as_deref()), (Some("eu-1a"), Some("eu-1")));
    assert_eq!(instance.version.as_ref().map(ToString::to_string).as_deref(), Some("1.4.2"));
    let own: Vec<_> = instance.checks.iter().filter(|state| &*state.id == check.as_str()).collect();
    assert_eq!(own.len(), 1, "{:?}", instance.checks);
    assert_eq!(
        own.first().map(|state| (state.status, &*state.name)),
        Some((Status::Warning, "alive check:whole"))
    );
    clean(registry, &[&definition]).await
}

pub(crate) async fn a_registration_without_anything_has_the_defaults(registry: &dyn Registry) -> Outcome {
    let mut definition = plain("bare")?;
    definition.address = String::new();
    definition.port = 0;
    registry.register(&definition).await?;
    let answer = settled(registry, "bare", |instances| instances.len() == 1).await?;
    let instance = answer.value.first().ok_or("no instance")?;
    assert!(!instance.address.is_empty(), "the node's address takes the place of its own");
    assert_eq!(instance.port, 0);
    assert_eq!(instance.weights, Weights { passing: 1, warning: 1 });
    assert_eq!((instance.tags.len(), instance.meta.len()), (0, 0));
    assert_eq!(
        (instance.status, instance.zone.as_deref(), &instance.version),
        (Status::Passing, None, &None)
    );
    clean(registry, &[&definition]).await
}

pub(crate) async fn the_same_definition_again_changes_no_index(registry: &dyn Registry) -> Outcome {
    let (definition, check) = with_ttl("again", None)?;
    registry.register(&definition).await?;
    registry.report(&report(&check, Status::Passing, "fine")).await?;
    let mut before = settled(registry, "again", one_is(Status::Passing)).await?;
    // What else the registry still had to write for this instance comes first.
    let mut quiet = false;
    for _turn in 0..20 {
        registry.register(&definition).await?;
        let query = query("again")?.block(before.meta.index, Duration::from_millis(300));
        let after = registry.service(&query).await?;
        assert_eq!(after.value, before.value);
        quiet = after.meta.index == before.meta.index;
        if quiet {
            break;
        }
        before = after;
    }
    assert!(quiet, "the index moved at each of 20 registrations of the same");
    clean(registry, &[&definition]).await
}

pub(crate) async fn a_new_definition_replaces_the_old_one(registry: &dyn Registry) -> Outcome {
    let mut definition = plain("moves")?;
    definition.tags = vec!["old".to_owned()];
    definition.meta.insert("old".to_owned(), "1".to_owned());
    registry.register(&definition).await?;
    let before = settled(registry, "moves", |instances| instances.len() == 1).await?;

    definition.port = 9090;
    definition.tags = vec!["new".to_owned()];
    definition.meta = [("new".to_owned(), "2".to_owned())].into();
    definition.weights = Weights { passing: 7, warning: 3 };
    registry.register(&definition).await?;
    let after =
        settled(registry, "moves", |instances| matches!(instances, [one] if one.port == 9090)).await?;
    let instance = after.value.first().ok_or("no instance")?;
    assert!(after.meta.index > before.meta.index);
    assert_eq!(*instance.tags, ["new"].map(Arc::<str>::from));
    assert_eq!(instance.meta.iter().map(|(key, _)| &**key).collect::<Vec<_>>(), ["new"]);
    assert_eq!(instance.weights, definition.weights);
    clean(registry, &[&definition]).await
}

pub(crate) async fn a_check_that_is_not_named_again_is_gone(registry: &dyn Registry) -> Outcome {
    let mut definition = plain("fewer")?;
    definition.checks = vec![ttl("fewer:1", Some(Status::Passing))?.0, ttl("fewer:2", None)?.0];
    registry.register(&definition).await?;
    settled(registry, "fewer", one_is(Status::Critical)).await?;
    definition.checks.truncate(1);
    registry.register(&definition).await?;
    let answer = settled(registry, "fewer", one_is(Status::Passing)).await?;
    let left: Vec<&str> = answer
        .value
        .iter()
        .flat_map(|instance| &instance.checks)
        .map(|state| &*state.id)
        .filter(|id| id.starts_with("fewer"))
        .collect();
    assert_eq!(left, ["fewer:1"]);
    clean(registry, &[&definition]).await
}

pub(crate) async fn a_deregistered_instance_is_gone(registry: &dyn Registry) -> Outcome {
    let one = with_id("halved", "halved-1")?;
    let two = with_id("halved", "halved-2")?;
    registry.register(&one).await?;
    registry.register(&two).await?;
    settled(registry, "halved", |instances| instances.len() == 2).await?;
    registry.deregister(&one.id).await?;
    let answer = settled(registry, "halved", |instances| instances.len() == 1).await?;
    assert_eq!(answer.value.first().map(|instance| &*instance.identity.id), Some("halved-2"));
    assert_eq!(registry.registered(std::slice::from_ref(&one.id)).await?, []);
    clean(registry, &[&two]).await
}

pub(crate) async fn deregistering_what_is_not_there_is_fine(registry: &dyn Registry) -> Outcome {
    let id = ServiceId::new("never-registered")?;
    registry.deregister(&id).await?;
    registry.deregister(&id).await?;
    Ok(())
}

pub(crate) async fn ids_of_odd_characters_can_be_used(registry: &dyn Registry) -> Outcome {
    for odd in [
        "a space",
        "100%",
        "%41",
        "ünïcode",
        "what?",
        "a#b",
        "x&y=z+w",
        "\"quoted\"",
        "back`tick\\",
        "a;b:c,d",
    ] {
        // The name stays plain: some agents refuse one that DNS cannot carry.
        let name = "odd-id";
        let mut definition = with_id(name, odd)?;
        let (check, check_id) = ttl(&format!("check of {odd}"), None)?;
        definition.checks.push(check);
        let step =
            |what: &'static str| move |error: portolan::Error| format!("{odd:?}: {what}: {}", error.chain());
        registry.register(&definition).await.map_err(step("register"))?;
        registry.report(&report(&check_id, Status::Passing, odd)).await.map_err(step("report"))?;
        let answer = settled(registry, name, one_is(Status::Passing)).await?;
        assert_eq!(answer.value.first().map(|instance| &*instance.identity.id), Some(odd));
        let held =
            registry.registered(std::slice::from_ref(&definition.id)).await.map_err(step("registered"))?;
        assert_eq!(held.iter().map(|held| held.id.as_str()).collect::<Vec<_>>(), [odd]);
        registry.maintenance(&definition.id, Some(odd)).await.map_err(step("maintenance"))?;
        settled(registry, name, one_is(Status::Maintenance)).await?;
        registry.deregister(&definition.id).await.map_err(step("deregister"))?;
        gone(registry, name).await?;
    }
    Ok(())
}

pub(crate) async fn what_the_agent_holds_is_given_for_the_asked_ids_only(registry: &dyn Registry) -> Outcome {
    let definitions = ["held-1", "held-2", "held-3"].map(|id| with_id("held", id));
    for definition in &definitions {
        registry.register(definition.as_ref().map_err(ToString::to_string)?).await?;
    }
    let asked = ["held-3", "held-1", "held-9"].map(ServiceId::new);
    let asked = asked.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut seen: Vec<String> =
        registry.registered(&asked).await?.iter().map(|held| held.id.to_string()).collect();
    seen.sort();
    assert_eq!(seen, ["held-1", "held-3"]);
    assert_eq!(registry.registered(&[]).await?, []);
    // More than fit into a filter.
    let many: Vec<ServiceId> =
        (1..100).map(|number| ServiceId::new(format!("held-{number}"))).collect::<Result<_, _>>()?;
    assert_eq!(registry.registered(&many).await?.len(), 3);
    for definition in definitions {
        registry.deregister(&definition?.id).await?;
    }
    gone(registry, "held").await?;
    Ok(())
}

pub(crate) async fn the_agent_holds_what_was_sent(registry: &dyn Registry) -> Outcome {
    let (mut definition, check) = with_ttl("kept", Some(Status::Passing))?;
    definition.tags = vec!["b".to_owned(), "a".to_owned()];
    definition.meta = [("k".to_owned(), "v".to_owned())].into();
    definition.weights = Weights { passing: 4, warning: 2 };
    registry.register(&definition).await?;
    registry.report(&report(&check, Status::Warning, "so so")).await?;
    let held = registry.registered(std::slice::from_ref(&definition.id)).await?;
    let one = held.first().ok_or("the agent does not hold it")?;
    assert_eq!((one.id.as_str(), &*one.name), ("kept", "kept"));
    assert_eq!((&*one.address, one.port), ("127.0.0.1", 8080));
    assert_eq!((&one.tags, &one.meta, one.weights), (&definition.tags, &definition.meta, definition.weights));
    assert_eq!(one.status(), Status::Warning);
    let state = one.checks.get("check:kept").ok_or("the agent does not hold its check")?;
    assert_eq!((one.checks.len(), state.status, &*state.output), (1, Status::Warning, "so so"));
    assert!(["ttl", ""].contains(&&*state.kind), "{}", state.kind);
    clean(registry, &[&definition]).await?;
    assert_eq!(read(registry, "kept").await?.value, []);
    settled_with(registry, query("kept")?, |instances| instances.is_empty()).await?;
    Ok::<_, Failure>(())
}

pub(crate) async fn tags_can_belong_to_the_catalogue(registry: &dyn Registry) -> Outcome {
    let mut definition = plain("labelled")?;
    for theirs in [false, true, false] {
        definition.enable_tag_override = theirs;
        registry.register(&definition).await?;
        let held = registry.registered(std::slice::from_ref(&definition.id)).await?;
        assert_eq!(held.first().map(|held| held.enable_tag_override), Some(theirs));
    }
    clean(registry, &[&definition]).await
}

pub(crate) async fn a_tether_ends_when_the_instance_is_changed(registry: &dyn Registry) -> Outcome {
    let (mut definition, check) = with_ttl("tethered", Some(Status::Passing))?;
    registry.register(&definition).await?;
    settled(registry, "tethered", one_is(Status::Passing)).await?;
    let changed = definition.clone();
    definition.tags.push("changed".to_owned());
    let id = changed.id.clone();
    let tethered = registry.tether(&id, Duration::from_secs(60));
    let meddling = async {
        // It does not end for what its health says; and it may not have begun when this does.
        registry.report(&report(&check, Status::Warning, "")).await?;
        for turn in 0..1_000_000 {
            definition.tags = vec![turn.to_string()];
            registry.register(&definition).await?;
            tokio::task::yield_now().await;
        }
        Ok::<_, Failure>(())
    };
    let ended = async {
        tokio::select! {
            biased;
            ended = tethered => Ok(ended?),
            ended = meddling => ended,
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ended).await??;
    assert!(registry.tether(&ServiceId::new("never-tethered")?, Duration::from_secs(60)).await.is_err());
    clean(registry, &[&changed]).await
}
