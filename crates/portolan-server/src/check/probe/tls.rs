//! Opens connections for checks: plain, or over TLS.
//!
//! In:  `host:port`, and what is believed of its certificate. Out: a byte stream.
//!
//! Never: reads the system's certificates before a check needs them, or on a thread that must not wait.

use portolan::registry::consul::{Offer, Tls};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::OnceCell,
};

use super::plain;
use crate::state::rows::Trust;

/// A connection to a checked service.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What checks over TLS believe.
#[derive(Debug, Default)]
pub(in crate::check) struct Trusted {
    /// What the registry was given, or the system's root certificates.
    verified: OnceCell<Tls>,
    unverified: OnceCell<Tls>,
}

impl Trusted {
    /// `given` in place of the system's root certificates.
    pub(in crate::check) fn new(given: Option<Tls>) -> Self {
        Self { verified: OnceCell::new_with(given), unverified: OnceCell::new() }
    }

    async fn tls(&self, trust: &Trust) -> Result<Tls, String> {
        let (cell, load): (_, fn() -> Result<Tls, portolan::Error>) = if trust.skip_verify {
            (&self.unverified, Tls::unverified)
        } else {
            (&self.verified, Tls::system)
        };
        let loaded = cell.get_or_try_init(|| async {
            match tokio::task::spawn_blocking(load).await {
                Ok(loaded) => loaded.map_err(|failed| failed.chain()),
                Err(ended) => Err(format!("the certificates could not be loaded: {ended}")),
            }
        });
        let tls = loaded.await?.clone();
        match &trust.server_name {
            Some(name) => tls.server_name(name).map_err(|wrong| wrong.chain()),
            None => Ok(tls),
        }
    }

    /// A connection to `host:port`; with `tls`, offering `offer` over it.
    pub(super) async fn open(
        &self,
        target: &str,
        tls: Option<&Trust>,
        offer: Offer,
    ) -> Result<Box<dyn Stream>, String> {
        let stream = TcpStream::connect(target)
            .await
            .map_err(|failed| format!("dial tcp {target}: {}", plain(&failed)))?;
        let Some(trust) = tls else { return Ok(Box::new(stream)) };
        let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let handshake = self.tls(trust).await?;
        match handshake.handshake(stream, host, offer).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(failed) => Err(failed.chain()),
        }
    }
}
