//! A Consul that is gone for a minute under a thousand lookups a second.
//!
//! In:  a Consul with 200 services. Out: what eight threads saw meanwhile, and when the views were right again.

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    Setting,
    node::Node,
    scenes::{HEAD, Scene, tell},
    stage::{Proof, Size, Stage, at, back},
    table::Table,
};

/// The trial.
pub(crate) async fn trial(setting: &Setting) -> anyhow::Result<Table> {
    let mut table = Table::new(HEAD);
    let size = Size { services: 200, instances: 3, threads: 8, rate: 1_000 };
    let mut node = Node::consul(setting.consul()?, json!({})).await?;
    let mut stage = Stage::new(size, node.http(), at(node.http())?).await?;
    let crowd = stage.crowd(size);
    for name in stage.names.iter().step_by(10).cloned().collect::<Vec<_>>() {
        stage.deregister(&name, 0, &crowd).await?;
    }
    let gone = setting.time(60, 15);
    let begun = Instant::now();
    node.kill()?;
    crowd.registry_is_gone();
    let noticed = stage.noticed(begun, gone).await;
    sleep(gone.saturating_sub(begun.elapsed())).await;
    crowd.registry_may_answer();
    node.launch()?;
    let over = back(&node, stage.names.first().map_or("", String::as_str)).await?;
    let converged = Some(stage.converged(over, Proof::New).await?);
    let tally = stage.end(crowd).await?;
    let scene = Scene { lasted: over.duration_since(begun), noticed, converged };
    tell(&mut table, "Consul killed under 1,000 lookups a second, 200 services, 8 threads", &scene, &tally);
    Ok(table)
}
