//! Reads Consul's environment variables. No clock, no environment of its own: the caller brings a function.
//!
//! In:  a function from a variable's name to its value. Out: a [`ConsulConfig`], or an error that names the variable.
//!
//! Rules from Consul: api/api.go `defaultConfig`, `NewClient`: the token file wins over the token; booleans are Go's.

use std::path::PathBuf;

use super::{Address, ConsulConfig, Scheme, address};
use crate::{
    error::{Error, Kind},
    registry::consul::tls::{Tls, TlsFiles, Verify},
};

pub(super) fn read(var: impl Fn(&str) -> Option<String>) -> Result<ConsulConfig, Error> {
    let var = |name: &str| var(name).filter(|value| !value.trim().is_empty());
    let mut config = ConsulConfig::default();

    let least = match flag(&var, "CONSUL_HTTP_SSL")? {
        Some(true) => Scheme::Https,
        Some(false) | None => Scheme::Http,
    };
    let address = var("CONSUL_HTTP_ADDR");
    if address.is_some() || least == Scheme::Https {
        let text = address.as_deref().unwrap_or("127.0.0.1:8500");
        (config.address, config.others) = address::list("CONSUL_HTTP_ADDR", text.split(','), least)?;
    }

    if let Some(token) = var("CONSUL_HTTP_TOKEN") {
        config.token = Some(super::Secret::new("CONSUL_HTTP_TOKEN", token.trim())?);
    }
    if let Some(path) = var("CONSUL_HTTP_TOKEN_FILE") {
        let path = PathBuf::from(path);
        config.token = Some(super::read_token("CONSUL_HTTP_TOKEN_FILE", &path)?);
        config.token_file = Some(path);
    }
    if let Some(pair) = var("CONSUL_HTTP_AUTH") {
        let (user, password) = pair.split_once(':').unwrap_or((&pair, ""));
        config = config.basic_auth(user, password)?;
    }
    config.namespace = var("CONSUL_NAMESPACE").map(Into::into);
    config.partition = var("CONSUL_PARTITION").map(Into::into);
    let all = std::iter::once(&config.address).chain(&config.others);
    let secure = all.map(Address::scheme).any(|scheme| scheme == Scheme::Https);
    config.tls = tls(&var, if secure { Scheme::Https } else { Scheme::Http })?;
    Ok(config)
}

/// The TLS settings; `None` when nothing speaks of TLS. Files are read even for a plain address, so that a wrong path is
/// found at the start and not on the day the address changes.
fn tls(var: &impl Fn(&str) -> Option<String>, scheme: Scheme) -> Result<Option<Tls>, Error> {
    let path = |name: &'static str| var(name).map(|value| (name, PathBuf::from(value)));
    let files = TlsFiles {
        ca_file: path("CONSUL_CACERT"),
        ca_path: path("CONSUL_CAPATH"),
        client_cert: path("CONSUL_CLIENT_CERT"),
        client_key: path("CONSUL_CLIENT_KEY"),
        verify: match flag(var, "CONSUL_HTTP_SSL_VERIFY")? {
            Some(false) => Verify::Off,
            Some(true) | None => Verify::On,
        },
        server_name: var("CONSUL_TLS_SERVER_NAME").map(|name| ("CONSUL_TLS_SERVER_NAME", name)),
    };
    if scheme == Scheme::Http && files.is_empty() {
        return Ok(None);
    }
    files.load().map(Some)
}

/// A truth value as Go's `strconv.ParseBool` reads it.
fn flag(var: &impl Fn(&str) -> Option<String>, name: &str) -> Result<Option<bool>, Error> {
    let Some(text) = var(name) else { return Ok(None) };
    match text.trim() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(true)),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(false)),
        other => {
            let shown: String = other.chars().take(100).collect();
            Err(Error::new(
                Kind::Config,
                format!("{name}: {shown:?} is not a truth value; write true or false"),
            ))
        }
    }
}
