//! Views in Redis or Valkey, shared by the processes of a host or a cluster.
//!
//! In:  bytes under a key, with the time after which they are worth nothing. Out: the bytes that are there.
//!
//! Never: waits longer for a connection than [`CONNECT`]; puts the password of its address into a message; makes a
//! program fail because the server is away.
//!
//! Proof: `tests/cache_redis.rs`, with a real server that is killed and started again.

use std::{fmt, sync::OnceLock, time::Duration};

use ::redis::{
    Client, Cmd, FromRedisValue, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use super::{Cache, CacheKey, CacheReply, Reach, saved, wall};
use crate::error::{Error, Kind};

/// How long a connection may take: what a start may lose to a server that is away.
const CONNECT: Duration = Duration::from_millis(500);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// The longest pause before the next connection is tried.
const PAUSE: Duration = Duration::from_secs(2);

/// A server that speaks Redis's protocol.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    prefix: String,
    /// Made at the first call, for it needs a runtime.
    connection: std::sync::Arc<OnceLock<ConnectionManager>>,
}

impl Redis {
    /// The server at `redis://[user:password@]host[:port][/database]`, or `redis+unix:///path`. No I/O yet.
    ///
    /// # Errors
    /// [`Kind::Config`] when the address is none of these.
    pub fn new(address: &str) -> Result<Self, Error> {
        let wrong = "is no address of a server; write it as \"redis://host:6379/0\"";
        if address.starts_with("rediss:") {
            let what = "cache.redis: asks for TLS, which is not built in; use redis:// to a server on this \
                        machine or behind a tunnel";
            return Err(Error::new(Kind::Config, what));
        }
        // The address may hold a password, also one that cannot be read: so it is not shown.
        let client = Client::open(address)
            .map_err(|cause| Error::new(Kind::Config, format!("cache.redis: {wrong}")).caused_by(cause))?;
        let prefix = "portolan:".to_owned();
        Ok(Self { client, prefix, connection: std::sync::Arc::default() })
    }

    /// What every key starts with. Default `portolan:`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    fn name_of(&self, key: &CacheKey) -> String {
        format!("{}{}", self.prefix, key.text())
    }

    fn connection(&self) -> Result<ConnectionManager, Error> {
        if let Some(connection) = self.connection.get() {
            return Ok(connection.clone());
        }
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER))
            .set_max_delay(PAUSE)
            .set_number_of_retries(0);
        let new = ConnectionManager::new_lazy_with_config(self.client.clone(), config).map_err(failed)?;
        Ok(self.connection.get_or_init(|| new).clone())
    }

    async fn ask<T: FromRedisValue>(&self, command: Cmd) -> Result<T, Error> {
        let connection = self.connection()?;
        match command.query_async(&mut connection.clone()).await {
            // The server may have gone and come back since the last call, which this one is the first to notice. All
            // that is asked may be asked twice.
            Err(lost) if lost.is_connection_dropped() => {
                command.query_async(&mut connection.clone()).await.map_err(failed)
            }
            answer => answer.map_err(failed),
        }
    }

    /// The first `limit` bytes under a name, and one more, so that what is longer is seen to be.
    async fn read(&self, name: &str, limit: usize) -> Result<Vec<u8>, Error> {
        let mut command = ::redis::cmd("GETRANGE");
        command.arg(name).arg(0).arg(limit);
        self.ask(command).await
    }
}

impl Cache for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn reach(&self) -> Reach {
        Reach::Shared
    }

    fn load<'a>(&'a self, key: &'a CacheKey) -> CacheReply<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let found = self.read(&self.name_of(key), saved::LARGEST).await?;
            Ok((!found.is_empty()).then_some(found)) // a key that is not there reads as empty
        })
    }

    fn save<'a>(&'a self, key: &'a CacheKey, value: &'a [u8], ttl: Duration) -> CacheReply<'a, ()> {
        Box::pin(async move {
            let name = self.name_of(key);
            // Not in one step with the write, so the older of two writers in the same moment may win; the next write
            // of the other puts it right.
            if saved::is_newer(&self.read(&name, saved::HEAD).await?, value, wall()) {
                return Ok(());
            }
            let mut command = ::redis::cmd("SET");
            let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
            command.arg(name).arg(value).arg("PX").arg(ttl);
            self.ask(command).await
        })
    }
}

fn failed(cause: RedisError) -> Error {
    let kind = if cause.is_timeout() {
        Kind::Timeout
    } else if cause.is_io_error() {
        Kind::Unreachable
    } else {
        Kind::Unavailable
    };
    Error::new(kind, "cache.redis: the server did not do what it was asked").caused_by(cause)
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its address may hold a password.
        f.debug_struct("Redis").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_address_is_refused_by_the_name_of_its_setting_and_without_its_password() {
        for address in ["", "http://h", "redis://", "rediss://h:6379", "h:6379:1", "redis://u:hunter2@h:x/0"]
        {
            let error = Redis::new(address).unwrap_err();
            assert_eq!(error.kind(), Kind::Config, "{address}");
            assert!(error.to_string().starts_with("cache.redis: "), "{error}");
            assert!(!error.chain().contains("hunter2"), "{}", error.chain());
        }
        for address in ["redis://127.0.0.1", "redis://u:hunter2@h:6379/2", "redis+unix:///tmp/s"] {
            let redis = Redis::new(address).unwrap();
            assert!(!format!("{redis:?}").contains("hunter2"));
        }
    }
}
