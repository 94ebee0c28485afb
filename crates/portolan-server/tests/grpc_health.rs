//! The library's gRPC health service as the embedded registry's own gRPC check sees it, over HTTP and in one process.

#[path = "../../portolan/tests/contract/grpc.rs"]
mod grpc;

use std::sync::Arc;

use portolan::registry::consul::{Consul, ConsulConfig};
use portolan_server::{Embedded, Server, ServerConfig};
use tokio::task::JoinSet;

#[tokio::test]
async fn a_grpc_check_follows_the_endpoint_over_http() -> Result<(), grpc::Failure> {
    let server = Server::bind(ServerConfig::default().http_addr(([127, 0, 0, 1], 0).into())).await?;
    let config = ConsulConfig::default().address(format!("http://{}", server.http_addr()))?;
    let mut task = JoinSet::new();
    task.spawn(server.run(std::future::pending()));
    grpc::a_grpc_check_follows_the_endpoint(Arc::new(Consul::new(config))).await
}

#[tokio::test]
async fn a_grpc_check_follows_the_endpoint_in_the_same_process() -> Result<(), grpc::Failure> {
    let registry = Embedded::start(ServerConfig::default())?;
    grpc::a_grpc_check_follows_the_endpoint(Arc::new(registry)).await
}
