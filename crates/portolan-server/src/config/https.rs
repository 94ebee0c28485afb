//! Where HTTPS is spoken, and with which certificates.
//!
//! In:  an address and paths. Out: the same; the files are read by `server/tls.rs`, at the start and when they are renewed.
//!
//! Never: holds a key.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Settings of HTTPS.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Https {
    /// Where to listen; port 0 takes any free one. Consul's port is 8501.
    pub addr: SocketAddr,
    /// The registry's certificate, and those between it and the authority's: a PEM file.
    pub cert: PathBuf,
    /// The certificate's key: a PEM file that nobody else can read.
    pub key: PathBuf,
    /// The authorities that sign clients' certificates: a PEM file. With it, who has no such certificate gets no further
    /// than the handshake (Consul: `verify_incoming`). `None`, the default: clients need none.
    pub client_ca: Option<PathBuf>,
}

impl Https {
    /// HTTPS at `addr`, with this certificate and its key.
    #[must_use]
    pub fn new(addr: SocketAddr, cert: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        Self { addr, cert: cert.as_ref().to_owned(), key: key.as_ref().to_owned(), client_ca: None }
    }

    /// Who signs the certificates that clients must show; `None`: they need none.
    #[must_use]
    pub fn client_ca(mut self, ca: Option<PathBuf>) -> Self {
        self.client_ca = ca;
        self
    }
}
