//! Where a Consul agent is and how to talk to it: address, token, TLS, deadlines, limits.
//!
//! In:  setters, or the usual environment ([`ConsulConfig::from_env`]). Out: a value in which nothing is left to check,
//! so that [`Consul::new`](super::Consul::new) cannot fail.
//!
//! Never: shows a token or a password in `Debug` or in an error; leaves a bad certificate for the first request to find.
//!
//! Rules from Consul: website/content/commands/index.mdx (environment variables), api/api.go `defaultConfig`, `NewClient`.
//! Proof: `config/tests.rs`.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use base64::Engine as _;
use http::HeaderValue;

use super::tls::Tls;
use crate::error::{Error, Kind};

mod address;
mod env;

pub(super) use address::{Address, Scheme};

/// Where agents listen unless configured otherwise.
pub const DEFAULT_ADDRESS: &str = "http://127.0.0.1:8500";
/// The longest token file that is read: a token is 36 bytes, a JWT some kilobytes.
const TOKEN_FILE_LIMIT: u64 = 64 * 1024;

/// How to reach a Consul agent, or an embedded registry of Portolan.
///
/// ```
/// use std::time::Duration;
/// use portolan::registry::consul::ConsulConfig;
///
/// let config = ConsulConfig::default()
///     .address("https://consul.internal:8501")?
///     .token("d6e4ad37-2c4f-4c0e-8f4e-0c2b4d4c9d0a")?
///     .request_timeout(Duration::from_secs(5));
/// assert!(!format!("{config:?}").contains("d6e4ad37"));
/// # Ok::<(), portolan::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct ConsulConfig {
    /// Where registrations go, and reads first.
    pub(super) address: Address,
    /// Where reads go when it does not answer, in this order.
    pub(super) others: Vec<Address>,
    pub(super) token: Option<Secret>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) basic_auth: Option<Secret>,
    pub(super) tls: Option<Tls>,
    pub(super) namespace: Option<Arc<str>>,
    pub(super) partition: Option<Arc<str>>,
    pub(super) request_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) body_limit: usize,
    pub(super) http2: Http2,
    pub(super) compression: Compression,
}

/// When HTTP/2 is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Http2 {
    /// Over TLS where the agent offers it (Consul does); HTTP/1.1 over plain connections. The default.
    #[default]
    Negotiated,
    /// Also over plain connections, without asking: the embedded registry speaks it there, Consul does not.
    PriorKnowledge,
}

/// Whether answers may come compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// They are not asked for compressed: an agent is usually on the same machine. The default.
    #[default]
    Off,
    /// Gzip is asked for: fewer bytes from an agent far away, for some time of its processor.
    Gzip,
}

/// A header value that must not be seen. Kept ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(HeaderValue);

impl Secret {
    fn new(field: &str, text: &str) -> Result<Self, Error> {
        let mut value = HeaderValue::from_str(text).map_err(|_cause| hidden(field))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// What of a registry a program sees.
#[derive(Default)]
pub(crate) struct Sees<'a> {
    pub(crate) namespace: Option<Arc<str>>,
    pub(crate) partition: Option<Arc<str>>,
    pub(crate) token: Option<&'a [u8]>,
}

fn hidden(field: &str) -> Error {
    Error::new(
        Kind::Config,
        format!("{field}: holds a character that a header cannot carry; use printable ASCII"),
    )
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Default for ConsulConfig {
    fn default() -> Self {
        Self {
            address: Address::local(),
            others: Vec::new(),
            token: None,
            token_file: None,
            basic_auth: None,
            tls: None,
            namespace: None,
            partition: None,
            request_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(2),
            body_limit: 64 * 1024 * 1024,
            http2: Http2::default(),
            compression: Compression::default(),
        }
    }
}

impl ConsulConfig {
    /// The agent's address: `http://host:port`, `https://host:port`, `unix:///path`, or `host:port`, which is plain
    /// HTTP. A path behind the port is put before every request's. Default `http://127.0.0.1:8500`.
    ///
    /// Several, with commas between them, are as [`addresses`](Self::addresses).
    ///
    /// # Errors
    /// [`Kind::Config`] when the text is none of these.
    pub fn address(self, text: impl AsRef<str>) -> Result<Self, Error> {
        self.addresses(text.as_ref().split(','))
    }

    /// The addresses of several agents of one cluster, 1 to 16. Registrations, and what belongs to them, go to the first
    /// alone. Reads go to the first, and to the next when two in a row fail there; each view then reads anew, and shows
    /// one failed read. After some minutes they return to the first, when it answers again. A host name is resolved for
    /// each new connection, so a name whose address changed is found again without a restart.
    ///
    /// # Errors
    /// [`Kind::Config`] when one is none that [`address`](Self::address) allows, or is there twice; when there is none, or
    /// more than 16.
    pub fn addresses<T: AsRef<str>>(mut self, texts: impl IntoIterator<Item = T>) -> Result<Self, Error> {
        (self.address, self.others) = address::list("address", texts, Scheme::Http)?;
        Ok(self)
    }

    /// The ACL token to send.
    ///
    /// # Errors
    /// [`Kind::Config`] when a header cannot carry it; the text does not show it.
    pub fn token(mut self, token: impl AsRef<str>) -> Result<Self, Error> {
        self.token = Some(Secret::new("token", token.as_ref())?);
        // Else a refusal would bring back the token of a file that this one was to replace.
        self.token_file = None;
        Ok(self)
    }

    /// A file that holds the ACL token; it wins over [`token`](Self::token). Read here, and again after an answer of
    /// 403, so that a rotated token is picked up.
    ///
    /// # Errors
    /// [`Kind::Config`] when the file cannot be read, is over 64 KiB, or holds no token.
    pub fn token_file(mut self, path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        self.token = Some(read_token("token_file", path)?);
        self.token_file = Some(path.to_owned());
        Ok(self)
    }

    /// A user and a password for a proxy before Consul (HTTP basic authentication).
    ///
    /// # Errors
    /// [`Kind::Config`] when the user's name holds a colon.
    pub fn basic_auth(mut self, user: &str, password: &str) -> Result<Self, Error> {
        if user.contains(':') {
            return Err(Error::new(Kind::Config, "basic_auth: the user's name holds a colon; leave it out"));
        }
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.basic_auth = Some(Secret::new("basic_auth", &format!("Basic {pair}"))?);
        Ok(self)
    }

    /// TLS settings for an `https://` address. Unset, the system's root certificates are loaded at the first connection.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The namespace of every call (Consul Enterprise). Unset by default: the community edition refuses it.
    #[must_use]
    pub fn namespace(mut self, namespace: Option<&str>) -> Self {
        self.namespace = namespace.map(Arc::from);
        self
    }

    /// The admin partition of every call (Consul Enterprise). Unset by default.
    #[must_use]
    pub fn partition(mut self, partition: Option<&str>) -> Self {
        self.partition = partition.map(Arc::from);
        self
    }

    /// What of the registry these settings let a program see: namespace, partition and token.
    pub(crate) fn sees(&self) -> Sees<'_> {
        let token = self.token.as_ref().map(|Secret(value)| value.as_bytes());
        Sees { namespace: self.namespace.clone(), partition: self.partition.clone(), token }
    }

    /// What [`request_timeout`](Self::request_timeout) was set to.
    pub(crate) fn call_limit(&self) -> Duration {
        self.request_timeout
    }

    /// How long a call may take from start to the last byte; a blocking read gets this on top of what Consul may wait.
    /// Default 10 s: an agent holds a call up to 7 s while there is no leader.
    #[must_use]
    pub fn request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = limit;
        self
    }

    /// How long a connection may take to be ready, TLS included. Default 2 s.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// The largest answer that is read, in bytes, after decompression. Default 64 MiB; a larger one is an error.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// When HTTP/2 is spoken. Default: negotiated over TLS.
    #[must_use]
    pub fn http2(mut self, http2: Http2) -> Self {
        self.http2 = http2;
        self
    }

    /// Whether answers may come compressed. Default: not asked for.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// The first address as it is shown in messages: `http://127.0.0.1:8500`, without a secret.
    #[must_use]
    pub fn shown_address(&self) -> &str {
        self.address.shown()
    }

    /// Whether the agent at the first address runs on this machine: a loopback address or a unix socket.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.address.is_local()
    }

    /// Reads the usual variables of the environment; see [`from_vars`](Self::from_vars).
    ///
    /// # Errors
    /// [`Kind::Config`], naming the variable, what was found and what is allowed.
    pub fn from_env() -> Result<Self, Error> {
        // The one place where Consul's environment is read. What is not Unicode is kept visible, so that it is refused.
        Self::from_vars(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Reads Consul's usual variables through `var`: `CONSUL_HTTP_ADDR` (also several, with commas), `CONSUL_HTTP_TOKEN`,
    /// `CONSUL_HTTP_TOKEN_FILE`, `CONSUL_HTTP_SSL`, `CONSUL_CACERT`, `CONSUL_CAPATH`, `CONSUL_CLIENT_CERT`,
    /// `CONSUL_CLIENT_KEY`, `CONSUL_HTTP_SSL_VERIFY`, `CONSUL_TLS_SERVER_NAME`, `CONSUL_HTTP_AUTH`,
    /// `CONSUL_NAMESPACE`, `CONSUL_PARTITION`. One that is unset or empty keeps its default. Files that they name are
    /// read here.
    ///
    /// # Errors
    /// [`Kind::Config`], naming the variable, what was found and what is allowed.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        env::read(var)
    }
}

impl fmt::Debug for ConsulConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsulConfig")
            .field("address", &self.address.shown())
            .field("others", &self.others.iter().map(Address::shown).collect::<Vec<_>>())
            .field("token", &self.token)
            .field("token_file", &self.token_file)
            .field("basic_auth", &self.basic_auth)
            .field("tls", &self.tls)
            .field("namespace", &self.namespace)
            .field("partition", &self.partition)
            .field("request_timeout", &self.request_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("body_limit", &self.body_limit)
            .field("http2", &self.http2)
            .field("compression", &self.compression)
            .finish()
    }
}

/// Reads a token from a file. Blocks for as long as the file system does.
pub(super) fn read_token(field: &str, path: &Path) -> Result<Secret, Error> {
    let shown = path.display();
    let failed = |cause: std::io::Error| {
        Error::new(
            Kind::Config,
            format!("{field}: {shown} cannot be read; name a readable file with the token"),
        )
        .caused_by(cause)
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > TOKEN_FILE_LIMIT {
        let what = format!("{field}: {shown} has {size} bytes; a token file has at most {TOKEN_FILE_LIMIT}");
        return Err(Error::new(Kind::Config, what));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    if text.trim().is_empty() {
        return Err(Error::new(Kind::Config, format!("{field}: {shown} is empty; put the token into it")));
    }
    Secret::new(&format!("{field}: {shown}"), text.trim())
}

#[cfg(test)]
mod tests;
