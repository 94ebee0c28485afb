//! TLS settings, ready to be used: certificates and keys are read and checked here, at the start.
//!
//! In:  paths, a server name, whether to verify. Out: [`Tls`], which holds a finished client configuration and can make
//! the handshake.
//!
//! Never: reads a process-wide default provider; shows a key.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::{Error, Kind};

/// TLS settings of a connection to an agent. Made once; clones share them.
#[derive(Clone)]
pub struct Tls {
    /// Offers HTTP/2, and HTTP/1.1 so that an agent without it does not fail the handshake.
    pub(super) config: Arc<ClientConfig>,
    /// Offers HTTP/1.1 alone.
    pub(super) http1: Arc<ClientConfig>,
    pub(super) server_name: Option<ServerName<'static>>,
    verify: Verify,
}

/// What a connection over TLS offers to speak (ALPN).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It says nothing.
    Nothing,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone.
    Http2,
}

/// Whether the agent's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Verify {
    /// It must be valid for the address, and signed by a known authority. The default.
    #[default]
    On,
    /// Any certificate is accepted: whoever is in between can read and change everything. For trials only.
    Off,
}

/// Where the certificates are, each with the setting that named it, for messages.
#[derive(Debug, Default)]
pub(super) struct TlsFiles {
    pub(super) ca_file: Option<(&'static str, PathBuf)>,
    pub(super) ca_path: Option<(&'static str, PathBuf)>,
    pub(super) client_cert: Option<(&'static str, PathBuf)>,
    pub(super) client_key: Option<(&'static str, PathBuf)>,
    pub(super) verify: Verify,
    pub(super) server_name: Option<(&'static str, String)>,
}

impl Tls {
    /// The system's root certificates.
    ///
    /// # Errors
    /// [`Kind::Config`] when there are none.
    pub fn system() -> Result<Self, Error> {
        TlsFiles::default().load()
    }

    /// The authorities in this PEM file, in place of the system's.
    ///
    /// # Errors
    /// [`Kind::Config`] when the file cannot be read or holds no certificate.
    pub fn ca_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let ca_file = Some(("tls.ca_file", path.as_ref().to_owned()));
        TlsFiles { ca_file, ..TlsFiles::default() }.load()
    }

    /// Any certificate is accepted; see [`Verify::Off`].
    ///
    /// # Errors
    /// [`Kind::Config`] when the system's certificates cannot be set up.
    pub fn unverified() -> Result<Self, Error> {
        TlsFiles { verify: Verify::Off, ..TlsFiles::default() }.load()
    }

    /// The authorities in `ca` (the system's when `None`), and a certificate and key of our own, all PEM files.
    ///
    /// # Errors
    /// [`Kind::Config`] when a file cannot be read, holds nothing usable, or key and certificate do not belong together.
    pub fn mutual(ca: Option<&Path>, cert: &Path, key: &Path) -> Result<Self, Error> {
        TlsFiles {
            ca_file: ca.map(|path| ("tls.ca_file", path.to_owned())),
            client_cert: Some(("tls.client_cert", cert.to_owned())),
            client_key: Some(("tls.client_key", key.to_owned())),
            ..TlsFiles::default()
        }
        .load()
    }

    /// The name that the agent's certificate must hold, in place of the address's host.
    ///
    /// # Errors
    /// [`Kind::Config`] when it is neither a host name nor an IP address.
    pub fn server_name(mut self, name: &str) -> Result<Self, Error> {
        self.server_name = Some(server_name("tls.server_name", name)?);
        Ok(self)
    }

    /// Makes the handshake over an open connection to `host`, a host name or an address without brackets. The
    /// certificate must be for it, unless [`server_name`](Self::server_name) names another.
    ///
    /// # Errors
    /// [`Kind::Config`] when `host` can stand in no certificate; [`Kind::Unreachable`] when the handshake fails.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn handshake<S>(
        &self,
        stream: S,
        host: &str,
        offer: Offer,
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<S>, Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin,
    {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => server_name("tls: host", host)?,
        };
        let mut config = (*self.http1).clone();
        config.alpn_protocols = match offer {
            Offer::Nothing => Vec::new(),
            Offer::Http1 => vec![b"http/1.1".to_vec()],
            Offer::Http2 => vec![b"h2".to_vec()],
        };
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await.map_err(|cause| {
            Error::new(Kind::Unreachable, format!("the TLS handshake with {host} failed")).caused_by(cause)
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("verify", &self.verify)
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

fn server_name(field: &str, name: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(name.to_owned()).map_err(|cause| {
        let what = format!("{field}: {name:?} is neither a host name nor an IP address");
        Error::new(Kind::Config, what).caused_by(cause)
    })
}

impl TlsFiles {
    pub(super) fn is_empty(&self) -> bool {
        let Self { ca_file, ca_path, client_cert, client_key, verify, server_name } = self;
        let no_file = [ca_file, ca_path, client_cert, client_key].iter().all(|path| path.is_none());
        no_file && *verify == Verify::On && server_name.is_none()
    }

    pub(super) fn load(self) -> Result<Tls, Error> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|cause| {
                Error::new(Kind::Config, "tls: no protocol version can be used").caused_by(cause)
            })?;
        let roots = self.roots()?;
        let builder = match self.verify {
            Verify::On => builder.with_root_certificates(roots),
            Verify::Off => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
            }
        };
        let mut config = match self.client_auth()? {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|cause| {
                let (field, path) =
                    self.client_key.as_ref().map_or(("tls", Path::new("")), |(field, path)| (*field, path));
                let what = format!(
                    "{field}: {} is not the key of the client certificate; give that one",
                    path.display()
                );
                Error::new(Kind::Config, what).caused_by(cause)
            })?,
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let http1 = Arc::new(config.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let server_name =
            self.server_name.as_ref().map(|(field, name)| server_name(field, name)).transpose()?;
        Ok(Tls { config: Arc::new(config), http1, server_name, verify: self.verify })
    }

    fn roots(&self) -> Result<RootCertStore, Error> {
        let mut roots = RootCertStore::empty();
        if let Some((field, path)) = &self.ca_file {
            add(&mut roots, field, path)?;
        }
        if let Some((field, directory)) = &self.ca_path {
            let failed = |cause| unreadable(field, directory, "a directory of certificates", cause);
            for entry in std::fs::read_dir(directory).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                if path.is_file() {
                    add(&mut roots, field, &path)?;
                }
            }
        }
        if self.ca_file.is_some() || self.ca_path.is_some() || self.verify == Verify::Off {
            return Ok(roots);
        }
        let found = rustls_native_certs::load_native_certs();
        let (_usable, _ignored) = roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let what = "tls: this system has no root certificates; install them, or name a CA file \
                        (CONSUL_CACERT)";
            let error = Error::new(Kind::Config, what);
            return Err(match found.errors.into_iter().next() {
                Some(cause) => error.caused_by(cause),
                None => error,
            });
        }
        Ok(roots)
    }

    fn client_auth(&self) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, Error> {
        let ((cert_field, cert), (key_field, key)) = match (&self.client_cert, &self.client_key) {
            (Some(cert), Some(key)) => (cert, key),
            (None, None) => return Ok(None),
            (Some((field, _)), None) => {
                let what = format!("{field}: is set without its key; name the key too (CONSUL_CLIENT_KEY)");
                return Err(Error::new(Kind::Config, what));
            }
            (None, Some((field, _))) => {
                let what =
                    format!("{field}: is set without its certificate; name it too (CONSUL_CLIENT_CERT)");
                return Err(Error::new(Kind::Config, what));
            }
        };
        let chain = certificates(cert_field, cert)?;
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|cause| unreadable(key_field, key, "a private key (PEM)", cause))?;
        Ok(Some((chain, key)))
    }
}

fn add(roots: &mut RootCertStore, field: &str, path: &Path) -> Result<(), Error> {
    for certificate in certificates(field, path)? {
        roots
            .add(certificate)
            .map_err(|cause| unreadable(field, path, "a certificate of an authority (PEM)", cause))?;
    }
    Ok(())
}

fn certificates(field: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let what = "a certificate (PEM)";
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|cause| unreadable(field, path, what, cause))?
        .collect::<Result<_, _>>()
        .map_err(|cause| unreadable(field, path, what, cause))?;
    if found.is_empty() {
        return Err(unreadable(field, path, what, "it holds none"));
    }
    Ok(found)
}

fn unreadable(
    field: &str,
    path: &Path,
    wanted: &str,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    let what = format!("{field}: {} cannot be read as {wanted}", path.display());
    Error::new(Kind::Config, what).caused_by(cause)
}

/// Accepts any certificate, but still checks that its holder signed the handshake.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
