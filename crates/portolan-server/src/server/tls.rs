//! The certificates of HTTPS: read at the start, and again when they are renewed.
//!
//! In:  paths. Out: what a handshake is made with; for each new connection the newest that could be read.
//!
//! Never: lets a bad file take the place of a good one; touches a connection that stands; shows a key.
//!
//! Proof: `tests/http/tls.rs`.

use std::{fmt, path::Path, sync::Arc};

use portolan::Error;
use tokio::{
    sync::{Mutex, watch},
    task::spawn_blocking,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier},
    },
};

use crate::config::Https;

/// The certificates that a server shows and asks for. Clones share them.
#[derive(Clone)]
pub struct Certificates {
    shared: Arc<Shared>,
}

struct Shared {
    https: Https,
    current: watch::Sender<Arc<ServerConfig>>,
    /// One at a time, so that an older reading does not take the place of a newer one.
    reading: Mutex<()>,
}

impl Certificates {
    /// # Errors
    /// [`Kind::Config`](portolan::Kind::Config): a file cannot be read or used.
    pub(super) async fn open(https: Https) -> Result<Self, Error> {
        let (current, _) = watch::channel(read(https.clone()).await?);
        Ok(Self { shared: Arc::new(Shared { https, current, reading: Mutex::new(()) }) })
    }

    /// Reads the files again. Connections that come from now on get what they hold; those that stand go on as they are.
    ///
    /// # Errors
    /// [`Kind::Config`](portolan::Kind::Config): a file cannot be read or used; the text says which, and why. What was read before
    /// stays in use, and it is logged.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the certificates as they are.
    pub async fn reload(&self) -> Result<(), Error> {
        let _alone = self.shared.reading.lock().await;
        match read(self.shared.https.clone()).await {
            Ok(new) => {
                self.shared.current.send_replace(new);
                tracing::info!(cert = %self.shared.https.cert.display(), "the certificates were read again");
                Ok(())
            }
            Err(error) => {
                let why = error.chain();
                tracing::error!(
                    error = why,
                    "the certificates cannot be used; those from before stay in use"
                );
                Err(error)
            }
        }
    }

    /// What the next handshake is made with.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.shared.current.borrow()))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("https", &self.shared.https).finish_non_exhaustive()
    }
}

async fn read(https: Https) -> Result<Arc<ServerConfig>, Error> {
    let read = spawn_blocking(move || load(&https)).await;
    read.unwrap_or_else(
        |failed| Err(Error::config("https: the certificates were not read").caused_by(failed)),
    )
}

fn load(https: &Https) -> Result<Arc<ServerConfig>, Error> {
    let Https { cert, key, client_ca, .. } = https;
    let chain = certificates("https.cert", cert)?;
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|cause| unreadable("https.key", key, "a private key (PEM)", cause))?;
    let provider = Arc::new(ring::default_provider());
    let clients: Arc<dyn ClientCertVerifier> = match client_ca {
        None => Arc::new(NoClientAuth),
        Some(path) => {
            let failed = |cause: Box<dyn std::error::Error + Send + Sync>| {
                unreadable("https.client_ca", path, "a certificate of an authority (PEM)", cause)
            };
            let mut roots = RootCertStore::empty();
            for root in certificates("https.client_ca", path)? {
                roots.add(root).map_err(|cause| failed(cause.into()))?;
            }
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|cause| failed(cause.into()))?
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::config("https: no version of TLS can be used").caused_by(cause))?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, private)
        .map_err(|cause| {
            let (cert, key) = (cert.display(), key.display());
            Error::config(format!("https.key: {key} is not the key of the certificate in {cert}; name the two that belong together"))
                .caused_by(cause)
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(field: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let wanted = "a certificate (PEM)";
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|cause| unreadable(field, path, wanted, cause))?
        .collect::<Result<_, _>>()
        .map_err(|cause| unreadable(field, path, wanted, cause))?;
    if found.is_empty() {
        return Err(unreadable(field, path, wanted, "it holds none"));
    }
    Ok(found)
}

fn unreadable(
    field: &str,
    path: &Path,
    wanted: &str,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::config(format!("{field}: {} cannot be read as {wanted}", path.display())).caused_by(cause)
}
