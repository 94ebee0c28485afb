//! The gRPC health service on tonic's own server: by tonic's own client, and as the check of a real Consul.
//!
//! A missing Consul fails the last of these tests.

#[path = "contract/grpc.rs"]
mod grpc;
#[path = "support/consul.rs"]
#[expect(dead_code, reason = "shared; each test binary uses its part")]
mod support;

use std::{sync::Arc, sync::atomic::Ordering};

use grpc::{CART, Failure, LONG, Program};
use portolan::registry::consul::Consul;
use support::Agent;
use tokio::time::timeout;
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

fn about(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn tonics_own_client_reads_what_is_checked_and_watched() -> Result<(), Failure> {
    let program = Program::start().await?;
    let channel = Endpoint::from_shared(format!("http://{}", program.at))?.connect().await?;
    let mut client = HealthClient::new(channel);
    for name in ["", CART, "liveness", "readiness", "database"] {
        let answer = client.check(about(name)).await?.into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{name:?}");
    }
    let refused = client.check(about("shop.v1.Nobody")).await.err().ok_or("nobody is known")?;
    assert_eq!(refused.code(), Code::NotFound);

    let mut cart = client.watch(about(CART)).await?.into_inner();
    let mut nobody = client.watch(about("shop.v1.Nobody")).await?.into_inner();
    let first = timeout(LONG, nobody.message()).await??.ok_or("the stream has ended")?;
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
    let mut told = async || -> Result<ServingStatus, Failure> {
        let next = timeout(LONG, cart.message()).await??;
        Ok(next.ok_or("the stream has ended")?.status())
    };
    assert_eq!(told().await?, ServingStatus::Serving);
    program.broken.store(true, Ordering::SeqCst);
    assert_eq!(told().await?, ServingStatus::NotServing);
    program.broken.store(false, Ordering::SeqCst);
    assert_eq!(told().await?, ServingStatus::Serving);
    program.health.set_ready(false);
    assert_eq!(told().await?, ServingStatus::NotServing);
    Ok(())
}

#[tokio::test]
async fn on_a_real_consul_a_grpc_check_follows_the_endpoint() -> Result<(), Failure> {
    let agent = Agent::start().await?;
    grpc::a_grpc_check_follows_the_endpoint(Arc::new(Consul::new(agent.plain()?))).await
}
