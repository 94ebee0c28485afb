//! Rules about health: reports, statuses, maintenance.

use std::sync::Arc;

use portolan::{
    Check, CheckId, Instance, Kind, Registry, ServiceId, Status,
    registry::{CheckDefinition, CheckOutput},
};

use super::{Outcome, clean, one_is, plain, query, report, settled, settled_with, ttl, with_ttl};

pub(crate) async fn a_check_is_critical_until_it_is_reported(registry: &dyn Registry) -> Outcome {
    let (definition, check) = with_ttl("quiet", None)?;
    registry.register(&definition).await?;
    settled(registry, "quiet", one_is(Status::Critical)).await?;
    registry.report(&report(&check, Status::Passing, "")).await?;
    settled(registry, "quiet", one_is(Status::Passing)).await?;
    clean(registry, &[&definition]).await
}

pub(crate) async fn a_report_changes_the_status(registry: &dyn Registry) -> Outcome {
    let (definition, check) = with_ttl("reports", None)?;
    registry.register(&definition).await?;
    for status in [Status::Passing, Status::Warning, Status::Critical, Status::Passing] {
        registry.report(&report(&check, status, "as told")).await?;
        settled(registry, "reports", one_is(status)).await?;
    }
    clean(registry, &[&definition]).await
}

pub(crate) async fn a_report_for_an_unknown_check_is_not_found(registry: &dyn Registry) -> Outcome {
    let report = report(&CheckId::new("nobody's check")?, Status::Passing, "");
    let error = registry.report(&report).await.err().ok_or("a report for no check was taken")?;
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    Ok(())
}

pub(crate) async fn a_report_for_a_check_that_is_not_ttl_is_not_found(registry: &dyn Registry) -> Outcome {
    let mut definition = plain("probed")?;
    let id = CheckId::new("check:probed")?;
    let check = Check::tcp_at("127.0.0.1:1").starting(Status::Passing).deregister_after(None);
    definition.checks.push(CheckDefinition::new(id.clone(), "probe", check));
    registry.register(&definition).await?;
    let error =
        registry.report(&report(&id, Status::Passing, "")).await.err().ok_or("the report was taken")?;
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    clean(registry, &[&definition]).await
}

pub(crate) async fn a_check_keeps_its_status_when_it_is_registered_again(registry: &dyn Registry) -> Outcome {
    let (mut definition, check) = with_ttl("restored", None)?;
    registry.register(&definition).await?;
    registry.report(&report(&check, Status::Passing, "well")).await?;
    settled(registry, "restored", one_is(Status::Passing)).await?;
    definition.port = 8081;
    registry.register(&definition).await?;
    let answer =
        settled(registry, "restored", |instances| matches!(instances, [one] if one.port == 8081)).await?;
    assert_eq!(answer.value.first().map(|instance| instance.status), Some(Status::Passing));
    clean(registry, &[&definition]).await
}

pub(crate) async fn the_worst_check_is_the_status(registry: &dyn Registry) -> Outcome {
    let mut definition = plain("several")?;
    let (well, _well) = ttl("several:1", Some(Status::Passing))?;
    let (ill, check) = ttl("several:2", Some(Status::Warning))?;
    definition.checks = vec![well, ill];
    registry.register(&definition).await?;
    settled(registry, "several", one_is(Status::Warning)).await?;
    registry.report(&report(&check, Status::Critical, "")).await?;
    settled(registry, "several", one_is(Status::Critical)).await?;
    registry.report(&report(&check, Status::Passing, "")).await?;
    settled(registry, "several", one_is(Status::Passing)).await?;
    clean(registry, &[&definition]).await
}

pub(crate) async fn the_output_is_kept_only_where_it_is_asked_for(registry: &dyn Registry) -> Outcome {
    let (definition, check) = with_ttl("chatty", None)?;
    registry.register(&definition).await?;
    registry.report(&report(&check, Status::Passing, "all is well")).await?;
    let output = |instances: &[Arc<Instance>]| {
        let states = instances.iter().flat_map(|instance| &instance.checks);
        states
            .filter(|state| &*state.id == "check:chatty")
            .map(|state| state.output.to_string())
            .collect::<Vec<_>>()
    };
    let kept = query("chatty")?.output(CheckOutput::Keep);
    settled_with(registry, kept, |instances| output(instances) == ["all is well"]).await?;
    let dropped = settled(registry, "chatty", one_is(Status::Passing)).await?;
    assert_eq!(output(&dropped.value), [""]);
    clean(registry, &[&definition]).await
}

pub(crate) async fn maintenance_takes_an_instance_out_and_back(registry: &dyn Registry) -> Outcome {
    let (definition, _check) = with_ttl("serviced", Some(Status::Passing))?;
    registry.register(&definition).await?;
    settled(registry, "serviced", one_is(Status::Passing)).await?;
    registry.maintenance(&definition.id, Some("new disks, 50% done & more?")).await?;
    settled(registry, "serviced", one_is(Status::Maintenance)).await?;
    let held = registry.registered(std::slice::from_ref(&definition.id)).await?;
    assert_eq!(held.first().map(|held| held.status()), Some(Status::Maintenance));
    // Twice is once.
    registry.maintenance(&definition.id, Some("")).await?;
    registry.maintenance(&definition.id, None).await?;
    settled(registry, "serviced", one_is(Status::Passing)).await?;
    registry.maintenance(&definition.id, None).await?;
    clean(registry, &[&definition]).await
}

pub(crate) async fn maintenance_of_what_is_not_there_is_not_found(registry: &dyn Registry) -> Outcome {
    let id = ServiceId::new("never-registered")?;
    let error = registry.maintenance(&id, Some("why not")).await.err().ok_or("it was taken")?;
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    Ok(())
}

/// The whole of the answers in which the instance was seen: in none of them callers could choose it.
pub(crate) async fn an_instance_can_come_in_maintenance(registry: &dyn Registry) -> Outcome {
    let (mut definition, check) = with_ttl("warming", Some(Status::Passing))?;
    definition.maintenance = Some("warming up".to_owned());
    registry.register(&definition).await?;
    settled(registry, "warming", |instances| {
        assert!(instances.iter().all(|one| one.status == Status::Maintenance), "{instances:?}");
        !instances.is_empty()
    })
    .await?;
    let ids = std::slice::from_ref(&definition.id);
    let held = registry.registered(ids).await?;
    assert_eq!(held.first().and_then(|held| held.maintenance()), Some("warming up"));
    // Sent again, as a repair is, it stays; and its own check keeps its status.
    registry.report(&report(&check, Status::Warning, "")).await?;
    definition.tags.push("repaired".to_owned());
    registry.register(&definition).await?;
    let held = registry.registered(ids).await?;
    assert_eq!(held.first().map(|held| (held.status(), held.checks.len())), Some((Status::Maintenance, 2)));
    registry.maintenance(&definition.id, None).await?;
    settled(registry, "warming", one_is(Status::Warning)).await?;
    clean(registry, &[&definition]).await
}

pub(crate) async fn a_registration_ends_the_maintenance_that_it_does_not_name(
    registry: &dyn Registry,
) -> Outcome {
    let (mut definition, _check) = with_ttl("ended", Some(Status::Passing))?;
    registry.register(&definition).await?;
    registry.maintenance(&definition.id, Some("new disks")).await?;
    settled(registry, "ended", one_is(Status::Maintenance)).await?;
    definition.tags.push("changed".to_owned());
    registry.register(&definition).await?;
    settled(registry, "ended", one_is(Status::Passing)).await?;
    registry.maintenance(&definition.id, Some("new disks")).await?;
    definition.tags.push("again".to_owned());
    definition.maintenance = Some("new disks".to_owned());
    registry.register(&definition).await?;
    let held = registry.registered(std::slice::from_ref(&definition.id)).await?;
    assert_eq!(held.first().and_then(|held| held.maintenance()), Some("new disks"));
    clean(registry, &[&definition]).await
}
