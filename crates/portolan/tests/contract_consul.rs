//! The contract suite on a real Consul: over plain HTTP, over TLS (HTTP/2), and over a unix socket.
//!
//! Each test starts an agent of its own and ends it. A missing Consul fails these tests.

#[macro_use]
#[path = "contract/suite.rs"]
mod suite;
#[path = "contract/all.rs"]
mod all;
#[path = "contract/external.rs"]
mod external;
#[path = "contract/needs.rs"]
mod needs;
#[path = "contract/probes.rs"]
mod probes;
#[path = "contract/services.rs"]
mod services;
#[path = "support/consul.rs"]
mod support;
#[path = "contract/versions.rs"]
mod versions;

use std::{sync::Arc, time::Duration};

use portolan::{
    Kind, Registry as _, ServiceName,
    registry::{
        ServiceQuery,
        consul::{Consul, ConsulConfig},
    },
};
use tokio::{task::JoinSet, time::timeout};

/// More than an agent's `http_max_conns_per_client`, which is 200, and than the 250 streams of one HTTP/2 connection.
const MANY: usize = 300;
/// How long each waits; with [`SLACK`], one that had to wait for the end of another is late.
const WAIT: Duration = Duration::from_secs(5);
const SLACK: Duration = Duration::from_secs(4);

#[tokio::test]
async fn every_rule_holds_over_plain_http() -> suite::Outcome {
    let agent = support::Agent::start().await?;
    all::run_all(Arc::new(Consul::new(agent.plain()?))).await
}

#[tokio::test]
async fn every_rule_holds_over_http2_and_tls() -> suite::Outcome {
    let agent = support::Agent::start().await?;
    all::run_all(Arc::new(Consul::new(agent.tls()?))).await
}

#[tokio::test]
async fn every_rule_holds_over_a_unix_socket() -> suite::Outcome {
    let agent = support::Agent::start().await?;
    all::run_all(Arc::new(Consul::new(agent.socket()?))).await
}

#[tokio::test]
async fn checks_are_run() -> suite::Outcome {
    let agent = support::Agent::start().await?;
    probes::checks_are_run(Arc::new(Consul::new(agent.plain()?))).await
}

#[tokio::test]
async fn any_declaration_of_needs_survives() -> suite::Outcome {
    let agent = support::Agent::start().await?;
    needs::any_declaration_survives(Arc::new(Consul::new(agent.plain()?))).await
}

#[tokio::test]
async fn the_graph_of_dependencies_is_followed() -> suite::Outcome {
    let agent = support::Agent::start().await?;
    needs::the_graph_is_followed(Arc::new(Consul::new(agent.plain()?))).await
}

#[tokio::test]
async fn external_nodes_are_kept() -> suite::Outcome {
    let agent = support::Agent::start().await?;
    external::external_nodes_are_kept(Arc::new(Consul::new(agent.plain()?))).await
}

#[tokio::test]
async fn versions_of_others_are_found_however_they_are_registered() -> suite::Outcome {
    for by in [versions::By::Http, versions::By::Command(&support::binary()?)] {
        let agent = support::Agent::start().await?;
        versions::versions_of_others_are_found(agent.plain()?, by).await?;
    }
    Ok(())
}

#[tokio::test]
async fn services_that_come_and_go_are_told_once() -> suite::Outcome {
    let agent = support::Agent::start().await?;
    services::what_comes_and_goes_is_told_once(Arc::new(Consul::new(agent.plain()?))).await
}

/// Waits until a wait has run its time. The first may not: an agent that streams gives each service that it begins to
/// watch the index of that moment, which is above the one of a plain read.
async fn whole_wait(consul: &Consul, query: &ServiceQuery) -> Result<(), portolan::Error> {
    let mut index = 1;
    loop {
        let next = consul.service(&query.clone().block(index, WAIT)).await?.meta.index;
        if std::mem::replace(&mut index, next) == next {
            return Ok(());
        }
    }
}

/// Starts [`MANY`] blocking reads of services that do not exist, and gives the first error among them.
async fn many_waits(config: ConsulConfig) -> Result<Option<portolan::Error>, suite::Failure> {
    let consul = Consul::new(config.request_timeout(SLACK));
    let mut waits = JoinSet::new();
    for number in 0..MANY {
        let consul = consul.clone();
        let query = ServiceQuery::new(ServiceName::new(format!("many-{number}"))?);
        waits.spawn(async move { whole_wait(&consul, &query).await });
    }
    let all = async {
        while let Some(done) = waits.join_next().await {
            if let Err(error) = done? {
                return Ok(Some(error));
            }
        }
        Ok::<_, suite::Failure>(None)
    };
    timeout(Duration::from_secs(60), all).await?
}

#[tokio::test]
async fn h7_waits_over_tls_share_connections_and_fit_under_the_agents_limit() -> suite::Outcome {
    let agent = support::Agent::start().await?;
    assert_eq!(many_waits(agent.tls()?).await?.map(|error| error.chain()), None);
    Ok(())
}

#[tokio::test]
async fn e4_too_many_plain_connections_are_a_retryable_error_that_names_the_setting() -> suite::Outcome {
    let agent = support::Agent::start().await?;
    let error = many_waits(agent.plain()?).await?.ok_or("300 connections, and no error")?;
    assert!(
        error.is_retryable() && matches!(error.kind(), Kind::Busy | Kind::Unreachable),
        "{}",
        error.chain()
    );
    assert!(error.chain().contains("http_max_conns_per_client"), "{}", error.chain());
    Ok(())
}

#[tokio::test]
async fn e4_a_tls_connection_that_the_limit_cuts_is_an_error_that_names_the_setting() -> suite::Outcome {
    let limits = serde_json::json!({ "limits": { "http_max_conns_per_client": 1 } });
    let agent = support::Agent::start_with(limits).await?;
    // The one connection that is allowed is held by a read; over TLS the agent cannot even say why it closes others.
    let holder = Consul::new(agent.tls()?);
    let query = ServiceQuery::new(ServiceName::new("web")?);
    let index = timeout(Duration::from_secs(20), async {
        loop {
            // The connection that found out that the agent is ready may not be gone yet.
            match holder.service(&query).await {
                Ok(answer) => break answer.meta.index,
                Err(error) => assert!(error.is_retryable(), "{}", error.chain()),
            }
        }
    })
    .await?;
    // A read that waits uses another connection than one that does not.
    let waits = query.block(index, WAIT);
    let error = holder.service(&waits).await.err().ok_or("two connections, and no error")?;
    assert!(error.is_retryable() && error.kind() == Kind::Unreachable, "{}", error.chain());
    assert!(error.chain().contains("http_max_conns_per_client"), "{}", error.chain());
    Ok(())
}
