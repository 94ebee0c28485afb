//! What every registry must do: one suite for the in-process one, the embedded one and a real Consul.
//!
//! In:  a registry that nobody else writes to while a rule runs. Out: the first thing that was not as it must be.
//!
//! Each rule uses names of its own and takes its instances out again. Nothing sleeps: a rule waits for its condition by
//! blocking reads, within [`DEADLINE`].
//!
//! Use: `#[macro_use] #[path = "contract/suite.rs"] mod suite;`, then `contract_tests!(make)` for one test a rule, where
//! `make` is an async function that returns `Result<(Arc<dyn Registry>, guard), suite::Failure>`; or `run_all` in
//! `all.rs`, where one registry serves all rules.

use std::{sync::Arc, time::Duration};

use portolan::{
    Check, CheckId, Instance, Registry, ServiceId, ServiceName, Status,
    registry::{Answer, CheckDefinition, Definition, Report, ServiceQuery},
};

#[path = "suite/checks.rs"]
mod checks;
#[path = "suite/reads.rs"]
mod reads;
#[path = "suite/writes.rs"]
mod writes;

pub(crate) use checks::*;
pub(crate) use reads::*;
pub(crate) use writes::*;

/// Why a rule does not hold.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
/// What a rule returns; much of what it finds out it says by an assertion.
pub(crate) type Outcome = Result<(), Failure>;

/// How long a rule waits for its condition.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long one blocking read waits.
const WAIT: Duration = Duration::from_secs(5);

/// The list of all rules, for a macro that does something with each.
#[macro_export]
macro_rules! contract_rules {
    ($each:ident $($with:tt)*) => {
        $each! { ($($with)*)
            an_unknown_service_is_an_empty_answer_with_an_index,
            a_wait_on_an_unknown_service_does_not_spin,
            a_wait_on_an_unknown_service_sees_it_come,
            a_wait_returns_at_a_change_with_a_higher_index,
            a_wait_without_a_change_ends_with_the_same_index,
            the_last_instance_going_wakes_a_waiter_and_the_index_does_not_go_back,
            twenty_waits_at_once_all_see_the_change,
            instances_are_sorted_by_identity,
            every_consistency_gives_the_same_instances,
            services_are_listed_with_their_tags,
            an_unknown_datacenter_is_an_error,
            the_agent_says_where_its_instances_are,
            what_is_registered_is_seen_as_it_was_sent,
            a_registration_without_anything_has_the_defaults,
            the_same_definition_again_changes_no_index,
            a_new_definition_replaces_the_old_one,
            a_check_that_is_not_named_again_is_gone,
            a_deregistered_instance_is_gone,
            deregistering_what_is_not_there_is_fine,
            ids_of_odd_characters_can_be_used,
            what_the_agent_holds_is_given_for_the_asked_ids_only,
            the_agent_holds_what_was_sent,
            a_check_is_critical_until_it_is_reported,
            a_report_changes_the_status,
            a_report_for_an_unknown_check_is_not_found,
            a_report_for_a_check_that_is_not_ttl_is_not_found,
            a_check_keeps_its_status_when_it_is_registered_again,
            the_worst_check_is_the_status,
            the_output_is_kept_only_where_it_is_asked_for,
            maintenance_takes_an_instance_out_and_back,
            maintenance_of_what_is_not_there_is_not_found,
            an_instance_can_come_in_maintenance,
            a_registration_ends_the_maintenance_that_it_does_not_name,
            tags_can_belong_to_the_catalogue,
            a_tether_ends_when_the_instance_is_changed
        }
    };
}

/// One test for each rule, on a registry of its own.
#[macro_export]
macro_rules! contract_tests {
    ($make:path) => {
        $crate::contract_rules! { contract_test_each $make }
    };
}

/// Part of [`contract_tests`].
#[macro_export]
macro_rules! contract_test_each {
    (($make:path) $($rule:ident),*) => {
        $(
            #[tokio::test]
            async fn $rule() -> suite::Outcome {
                let (registry, _guard) = $make().await?;
                suite::$rule(registry.as_ref()).await
            }
        )*
    };
}

/// A definition with a port and nothing else; its service and its id are `name`.
fn plain(name: &str) -> Result<Definition, Failure> {
    with_id(name, name)
}

fn with_id(name: &str, id: &str) -> Result<Definition, Failure> {
    Ok(Definition::new(ServiceId::new(id)?, ServiceName::new(name)?, "127.0.0.1", 8080))
}

/// The same with a TTL check `check:ID` of half an hour that starts as `status`.
fn with_ttl(name: &str, status: Option<Status>) -> Result<(Definition, CheckId), Failure> {
    let mut definition = plain(name)?;
    let (check, id) = ttl(&format!("check:{name}"), status)?;
    definition.checks.push(check);
    Ok((definition, id))
}

fn ttl(id: &str, status: Option<Status>) -> Result<(CheckDefinition, CheckId), Failure> {
    let id = CheckId::new(id)?;
    let mut check = Check::ttl(Duration::from_secs(1800)).deregister_after(None);
    check.initial = status;
    Ok((CheckDefinition::new(id.clone(), format!("alive {id}"), check), id))
}

fn query(name: &str) -> Result<ServiceQuery, Failure> {
    Ok(ServiceQuery::new(ServiceName::new(name)?))
}

async fn read(registry: &dyn Registry, name: &str) -> Result<Answer<Vec<Arc<Instance>>>, Failure> {
    Ok(registry.service(&query(name)?).await?)
}

/// Reads, blocking, until the instances of `name` are as `want` has them.
async fn settled(
    registry: &dyn Registry,
    name: &str,
    want: impl Fn(&[Arc<Instance>]) -> bool,
) -> Result<Answer<Vec<Arc<Instance>>>, Failure> {
    settled_with(registry, query(name)?, want).await
}

async fn settled_with(
    registry: &dyn Registry,
    query: ServiceQuery,
    want: impl Fn(&[Arc<Instance>]) -> bool,
) -> Result<Answer<Vec<Arc<Instance>>>, Failure> {
    let mut answer = registry.service(&query).await?;
    let turns = async {
        while !want(&answer.value) {
            answer = registry.service(&query.clone().block(answer.meta.index, WAIT)).await?;
        }
        Ok::<_, Failure>(())
    };
    match tokio::time::timeout(DEADLINE, turns).await {
        Ok(done) => done?,
        Err(_late) => return Err(format!("not as wanted in time; last answer: {answer:?}").into()),
    }
    Ok(answer)
}

async fn gone(registry: &dyn Registry, name: &str) -> Result<Answer<Vec<Arc<Instance>>>, Failure> {
    settled(registry, name, <[Arc<Instance>]>::is_empty).await
}

/// Takes instances out again, and waits until the catalogue has seen it.
async fn clean(registry: &dyn Registry, definitions: &[&Definition]) -> Outcome {
    for definition in definitions {
        registry.deregister(&definition.id).await?;
    }
    for definition in definitions {
        gone(registry, definition.name.as_str()).await?;
    }
    Ok(())
}

fn report(check: &CheckId, status: Status, output: &str) -> Report {
    Report::new(check.clone(), status, output)
}

/// Whether there is one instance, and it has this status.
fn one_is(status: Status) -> impl Fn(&[Arc<Instance>]) -> bool {
    move |instances| matches!(instances, [one] if one.status == status)
}
