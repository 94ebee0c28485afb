//! The contract suite on the embedded registry: over HTTP/1.1, over HTTP/2, and in the same process.
//!
//! It is the library's own suite: what holds on a real Consul holds here.

#[macro_use]
#[path = "../../portolan/tests/contract/suite.rs"]
mod suite;
#[path = "../../portolan/tests/contract/all.rs"]
mod all;
#[path = "../../portolan/tests/contract/external.rs"]
mod external;
#[path = "../../portolan/tests/contract/needs.rs"]
mod needs;
#[path = "../../portolan/tests/contract/probes.rs"]
mod probes;
#[path = "../../portolan/tests/contract/services.rs"]
mod services;
#[expect(dead_code, reason = "only the command is used here")]
#[path = "../../portolan/tests/support/consul.rs"]
mod support;
#[path = "../../portolan/tests/contract/versions.rs"]
mod versions;

use std::sync::Arc;

use portolan::registry::consul::{Consul, ConsulConfig, Http2};
use portolan_server::{Embedded, Secret, Server, ServerConfig};
use tokio::task::JoinSet;

/// A server on a free port; it ends when the set is dropped.
async fn server() -> Result<(ConsulConfig, JoinSet<()>), suite::Failure> {
    let server = Server::bind(ServerConfig::default().http_addr(([127, 0, 0, 1], 0).into())).await?;
    let config = ConsulConfig::default().address(format!("http://{}", server.http_addr()))?;
    let mut task = JoinSet::new();
    task.spawn(server.run(std::future::pending()));
    Ok((config, task))
}

#[tokio::test]
async fn every_rule_holds_over_http1() -> suite::Outcome {
    let (config, _server) = server().await?;
    all::run_all(Arc::new(Consul::new(config))).await
}

#[tokio::test]
async fn every_rule_holds_over_http2() -> suite::Outcome {
    let (config, _server) = server().await?;
    all::run_all(Arc::new(Consul::new(config.http2(Http2::PriorKnowledge)))).await
}

#[tokio::test]
async fn every_rule_holds_in_the_same_process() -> suite::Outcome {
    all::run_all(Arc::new(Embedded::start(ServerConfig::default())?)).await
}

/// Whoever may do everything finds everything as it is without rules.
#[tokio::test]
async fn every_rule_holds_with_access_rules() -> suite::Outcome {
    let token = "11111111-1111-4111-8111-111111111111";
    let config = ServerConfig::default().http_addr(([127, 0, 0, 1], 0).into());
    let config = config.acl_enabled(true).acl_initial_management(Some(Secret::new(token)));
    let server = Server::bind(config).await?;
    let config = ConsulConfig::default().address(format!("http://{}", server.http_addr()))?.token(token)?;
    let mut task = JoinSet::new();
    task.spawn(server.run(std::future::pending()));
    all::run_all(Arc::new(Consul::new(config))).await
}

#[tokio::test]
async fn checks_are_run_over_http() -> suite::Outcome {
    let (config, _server) = server().await?;
    probes::checks_are_run(Arc::new(Consul::new(config))).await
}

#[tokio::test]
async fn checks_are_run_in_the_same_process() -> suite::Outcome {
    probes::checks_are_run(Arc::new(Embedded::start(ServerConfig::default())?)).await
}

#[tokio::test]
async fn any_declaration_of_needs_survives_over_http() -> suite::Outcome {
    let (config, _server) = server().await?;
    needs::any_declaration_survives(Arc::new(Consul::new(config))).await
}

#[tokio::test]
async fn any_declaration_of_needs_survives_in_the_same_process() -> suite::Outcome {
    needs::any_declaration_survives(Arc::new(Embedded::start(ServerConfig::default())?)).await
}

#[tokio::test]
async fn the_graph_of_dependencies_is_followed_over_http() -> suite::Outcome {
    let (config, _server) = server().await?;
    needs::the_graph_is_followed(Arc::new(Consul::new(config))).await
}

#[tokio::test]
async fn the_graph_of_dependencies_is_followed_in_the_same_process() -> suite::Outcome {
    needs::the_graph_is_followed(Arc::new(Embedded::start(ServerConfig::default())?)).await
}

#[tokio::test]
async fn external_nodes_are_kept_over_http() -> suite::Outcome {
    let (config, _server) = server().await?;
    external::external_nodes_are_kept(Arc::new(Consul::new(config))).await
}

#[tokio::test]
async fn external_nodes_are_kept_in_the_same_process() -> suite::Outcome {
    external::external_nodes_are_kept(Arc::new(Embedded::start(ServerConfig::default())?)).await
}

#[tokio::test]
async fn versions_of_others_are_found_over_http() -> suite::Outcome {
    let (config, _server) = server().await?;
    versions::versions_of_others_are_found(config, versions::By::Http).await
}

/// With Consul's own command, which is needed for the tests of the library too.
#[tokio::test]
async fn versions_that_consuls_command_registers_are_found() -> suite::Outcome {
    let (config, _server) = server().await?;
    versions::versions_of_others_are_found(config, versions::By::Command(&support::binary()?)).await
}

#[tokio::test]
async fn services_that_come_and_go_are_told_once_over_http() -> suite::Outcome {
    let (config, _server) = server().await?;
    services::what_comes_and_goes_is_told_once(Arc::new(Consul::new(config))).await
}

#[tokio::test(start_paused = true)]
async fn services_that_come_and_go_are_told_once_in_the_same_process() -> suite::Outcome {
    let registry = Embedded::start(ServerConfig::default())?;
    services::what_comes_and_goes_is_told_once(Arc::new(registry)).await
}
