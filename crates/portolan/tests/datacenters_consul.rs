//! Two datacentres on two real Consuls that know each other: a service that is gone in one is found in the other, and an
//! operator's file goes before both.
//!
//! The Consuls are the test's own. A missing Consul fails it.

#[path = "support/consul.rs"]
#[expect(dead_code, reason = "shared; each test binary uses its part")]
mod support;

use std::{path::Path, time::Duration};

use portolan::{
    Address, Config, Discovery, Endpoint, Mark, Registration, RegistrationHandle, Resolver, Select,
    ServiceName, Source,
    registry::{Registry as _, ServiceQuery, consul::Consul},
};
use serde_json::json;
use support::{Agent, Failure, free_ports};
use tokio::time::timeout;

/// Longer than anything here takes by far: a deadline, not a measure.
const LONG: Duration = Duration::from_secs(60);

async fn joined() -> Result<[Agent; 2], Failure> {
    let [wan, other] = free_ports()?;
    let first = Agent::start_with(json!({ "datacenter": "dc1", "ports": { "serf_wan": wan } })).await?;
    let second = json!({
        "datacenter": "dc2", "ports": { "serf_wan": other },
        "retry_join_wan": [format!("127.0.0.1:{wan}")], "retry_interval_wan": "1s",
    });
    let second = Agent::start_with(second).await?;
    // Until the two have met, there is no path from one to the other.
    let consul = Consul::new(first.plain()?);
    let query = ServiceQuery::new(ServiceName::new("consul")?).datacenter(Some("dc2".into()));
    let met = async {
        while consul.service(&query).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, met).await.map_err(|_late| "the two datacentres did not meet")?;
    Ok([first, second])
}

async fn register(discovery: &Discovery, port: u16) -> Result<RegistrationHandle, Failure> {
    let registration = Registration::new("web", port).address(Address::Given("127.0.0.1".to_owned()));
    let handle = discovery.register(registration).await?;
    handle.wait_healthy(LONG).await?;
    Ok(handle)
}

/// What is picked once a pick is as it is wanted.
async fn until(
    web: &Resolver,
    wanted: impl Fn(&Endpoint) -> bool,
) -> Result<(String, Mark, Source), Failure> {
    let mut watch = web.watch();
    let seen = async {
        loop {
            let told = web.peek(|one| {
                wanted(one).then(|| (one.identity.datacenter.to_string(), one.mark(), one.freshness().source))
            });
            match told {
                Ok(Some(told)) => return Ok::<_, Failure>(told),
                _ => drop(watch.changed().await?),
            }
        }
    };
    timeout(LONG, seen).await.map_err(|_late| format!("not seen: {:?}", web.explain()))?
}

fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text)?;
    Ok(std::fs::rename(&beside, path)?)
}

#[tokio::test]
async fn a_service_is_found_in_the_next_datacentre_and_an_operators_file_goes_before_both()
-> Result<(), Failure> {
    let [first, second] = joined().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("overrides");
    replace(&file, "")?;
    let here = Discovery::new(Config::default().consul(first.plain()?).overrides(&file));
    let there = Discovery::new(Config::default().consul(second.plain()?));
    let (near, _far) = (register(&here, 8001).await?, register(&there, 8002).await?);

    let web = here.service_with("web", Select::default().fallback_datacenter("dc2")).await?;
    assert_eq!(until(&web, |one| one.port == 8001).await?, ("dc1".to_owned(), Mark::Ordinary, Source::Live));
    near.close().await?;
    assert_eq!(until(&web, |one| one.port == 8002).await?, ("dc2".to_owned(), Mark::Failover, Source::Live));

    replace(&file, "web=127.0.0.1:8003\n")?;
    assert_eq!(until(&web, |one| one.port == 8003).await?.1, Mark::Override);
    replace(&file, "other=127.0.0.1:8003\n")?;
    assert_eq!(until(&web, |one| one.port == 8002).await?.1, Mark::Failover);

    let _back = register(&here, 8004).await?;
    assert_eq!(until(&web, |one| one.port == 8004).await?, ("dc1".to_owned(), Mark::Ordinary, Source::Live));

    there.close(LONG).await.ok();
    here.close(LONG).await?;
    Ok(())
}
