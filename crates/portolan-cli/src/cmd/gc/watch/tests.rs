//! Who stays critical and who does not, on a paused clock.

use portolan::{
    Check, CheckId, Config, Registry, ServiceId, ServiceName,
    registry::{CheckDefinition, Definition, Report, ServiceQuery, memory::Memory},
};

use super::*;

const TTL: Duration = Duration::from_secs(3600);

fn definition(id: &str) -> Definition {
    let name = ServiceName::new("web").unwrap();
    let mut definition = Definition::new(ServiceId::new(id).unwrap(), name, "10.0.0.1", 80);
    definition.checks = vec![CheckDefinition::new(CheckId::new(id).unwrap(), "c", Check::ttl(TTL))];
    definition
}

async fn report(registry: &Memory, id: &str, status: Status) {
    registry.report(&Report::new(CheckId::new(id).unwrap(), status, "")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_was_well_for_a_moment_or_has_left_is_not_dead() {
    let registry = Memory::new();
    for id in ["dead", "left", "recovered", "blinked"] {
        registry.register(&definition(id)).await.unwrap();
        report(&registry, id, Status::Critical).await;
    }
    let query = ServiceQuery::new(ServiceName::new("web").unwrap());
    let all = registry.service(&query).await.unwrap().value;
    assert_eq!(all.len(), 4);
    let discovery = Discovery::with_registry(Arc::new(registry.clone()), Config::default());
    let begun = Instant::now();
    let happens = async {
        let at = |seconds| begun + Duration::from_secs(seconds);
        sleep_until(at(100)).await;
        report(&registry, "recovered", Status::Passing).await;
        report(&registry, "blinked", Status::Warning).await;
        sleep_until(at(200)).await;
        report(&registry, "blinked", Status::Critical).await;
        registry.deregister(&ServiceId::new("left").unwrap()).await.unwrap();
    };
    let time = Duration::from_secs(600);
    let (stayed, ()) = tokio::join!(stay_critical(&discovery, all, time), happens);
    let stayed: Vec<String> = stayed.unwrap().iter().map(|one| one.identity.id.to_string()).collect();
    assert_eq!(stayed, ["dead"]);
    assert!(begun.elapsed() >= time, "it takes all the time that was asked for");
}
