//! The registry through the library's own seam, on a paused clock. The contract suite asks more.

use portolan::{Check, CheckId, ServiceName, registry::CheckDefinition};

use super::*;

fn registry() -> Embedded {
    Embedded::start(ServerConfig::default().seed(Some(1))).unwrap()
}

fn definition(id: &str) -> Definition {
    let mut definition =
        Definition::new(ServiceId::new(id).unwrap(), ServiceName::new("web").unwrap(), "", 80);
    let ttl = Check::ttl(Duration::from_secs(10)).deregister_after(Some(Duration::from_secs(60)));
    definition.checks = vec![CheckDefinition::new(CheckId::new("c").unwrap(), "the check", ttl)];
    definition.tags = vec!["v1.2.3".into()];
    definition
}

fn web() -> ServiceQuery {
    ServiceQuery::new(ServiceName::new("web").unwrap())
}

fn report(status: Status) -> Report {
    Report::new(CheckId::new("c").unwrap(), status, "note")
}

#[tokio::test(start_paused = true)]
async fn an_instance_lives_from_its_registration_to_its_silence() {
    let registry = registry();
    registry.register(&definition("w1")).await.unwrap();
    let first = registry.service(&web()).await.unwrap();
    let instance = &first.value[0];
    assert_eq!((&*instance.address, instance.port, instance.status), ("127.0.0.1", 80, Status::Critical));
    assert_eq!(instance.version, Some("1.2.3".parse().unwrap()));

    registry.report(&report(Status::Passing)).await.unwrap();
    let block = |index| web().block(index, Duration::from_secs(300));
    let well = registry.service(&block(first.meta.index)).await.unwrap();
    assert_eq!(well.value[0].status, Status::Passing);
    // The clock is paused: the TTL and the deregistration come by themselves, in order.
    let silent = registry.service(&block(well.meta.index)).await.unwrap();
    assert_eq!(silent.value[0].status, Status::Critical);
    let gone = registry.service(&block(silent.meta.index)).await.unwrap();
    assert!(gone.value.is_empty() && gone.meta.index > silent.meta.index);
    assert_eq!(registry.report(&report(Status::Passing)).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_registration_has_exactly_its_checks_and_keeps_their_status() {
    let registry = registry();
    registry.register(&definition("w1")).await.unwrap();
    registry.report(&report(Status::Warning)).await.unwrap();
    let index = registry.service(&web()).await.unwrap().meta.index;
    registry.register(&definition("w1")).await.unwrap();
    assert_eq!(registry.service(&web()).await.unwrap().meta.index, index, "the same again changes nothing");
    let ids = [ServiceId::new("w1").unwrap(), ServiceId::new("none").unwrap()];
    let held = registry.registered(&ids).await.unwrap();
    assert_eq!((held.len(), held[0].status(), &*held[0].checks["c"].output), (1, Status::Warning, "note"));

    let mut without = definition("w1");
    without.checks.clear();
    registry.register(&without).await.unwrap();
    assert!(registry.registered(&ids).await.unwrap()[0].checks.is_empty());
}

#[tokio::test]
async fn maintenance_unknown_things_and_wrong_definitions() {
    let registry = registry();
    registry.register(&definition("w1")).await.unwrap();
    let id = ServiceId::new("w1").unwrap();
    registry.maintenance(&id, Some("why")).await.unwrap();
    assert_eq!(registry.service(&web()).await.unwrap().value[0].status, Status::Maintenance);
    registry.maintenance(&id, None).await.unwrap();
    let none = ServiceId::new("none").unwrap();
    assert_eq!(registry.maintenance(&none, Some("")).await.unwrap_err().kind(), Kind::NotFound);
    registry.deregister(&none).await.unwrap();
    let mut wrong = definition("w2");
    wrong.weights.passing = 0;
    assert_eq!(registry.register(&wrong).await.unwrap_err().kind(), Kind::Rejected);
    let elsewhere = web().datacenter(Some("dc9".into()));
    assert_eq!(registry.service(&elsewhere).await.unwrap_err().kind(), Kind::Unavailable);
    let services = registry.services(&CatalogQuery::default()).await.unwrap();
    assert_eq!(services.value.keys().map(|name| &**name).collect::<Vec<_>>(), ["consul", "web"]);
    assert_eq!(&*registry.agent().await.unwrap().node, "portolan");
}

#[tokio::test]
async fn a_check_that_is_not_run_here_is_rejected_and_a_script_unless_it_is_allowed() {
    let with = |check: Check| {
        let mut definition = definition("w1");
        definition.checks = vec![CheckDefinition::new(CheckId::new("c").unwrap(), "the check", check)];
        definition
    };
    let script = || with(Check::script(["/bin/true"]));
    for (definition, says) in [
        (script(), "enable_script_checks"),
        (with(Check::os_service("sshd")), "os_service checks are not run by this registry"),
        (with(Check::docker("c1", ["true"])), "docker checks are not run by this registry"),
        (with(Check::udp()), "a UDP check needs its target"),
        (with(Check::grpc("").at("a")), "grpc: \"a\" is not"),
    ] {
        let error = registry().register(&definition).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Rejected);
        assert!(error.to_string().contains(says), "{error}");
    }
    let allowing = Embedded::start(ServerConfig::default().enable_script_checks(true)).unwrap();
    allowing.register(&script()).await.unwrap();
}

#[test]
fn without_a_runtime_it_says_so() {
    let error = Embedded::start(ServerConfig::default()).unwrap_err();
    assert!(error.to_string().contains("no tokio runtime"), "{error}");
}
