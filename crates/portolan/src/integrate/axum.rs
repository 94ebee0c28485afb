//! axum: a router that is registered while it is served, and the health endpoint as a router.
//!
//! Proof: `tests/health_endpoint.rs`, and what `axum/serve.rs` names.

use axum::Router;

use crate::HealthEndpoint;

mod serve;

pub use serve::{Serve, asked_to_stop};

impl HealthEndpoint {
    /// A router with the three paths of this endpoint, to be merged with the program's own or nested in it. Feature
    /// `axum`.
    ///
    /// ```
    /// use axum::Router;
    /// use portolan::{HealthConfig, HealthEndpoint};
    ///
    /// # fn main() -> Result<(), portolan::Error> {
    /// let health = HealthEndpoint::open(HealthConfig::default())?;
    /// let app: Router = Router::new().merge(health.router());
    /// # Ok(())
    /// # }
    /// ```
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let (paths, service) = (self.paths(), self.service());
        // Checked when the endpoint was opened: they differ, and hold nothing that axum would read as a pattern.
        Router::new()
            .route_service(&paths.live, service.clone())
            .route_service(&paths.ready, service.clone())
            .route_service(&paths.check, service)
    }
}
