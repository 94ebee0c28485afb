//! A real Redis for tests: on a free loopback port, with nothing on disk, killed when dropped.
//!
//! In:  a binary: `PORTOLAN_TEST_REDIS`, or `redis-server` on the path, or what `cargo xtask redis` unpacked below the
//! target directory. Out: its address.
//!
//! Never: skips. A missing binary is an error that says what to run.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(30);

/// A server, running or not.
pub(crate) struct Server {
    child: Option<Child>,
    port: u16,
    password: Option<&'static str>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(failed) = self.kill() {
            // The process is already gone; there is nobody left to tell but the reader of the test's output.
            assert!(std::thread::panicking(), "the server could not be ended: {failed}");
        }
    }
}

impl Server {
    /// Starts a server and waits until it answers. A port that was free may be taken by another process before the
    /// server is there: then it is tried once more, on another.
    pub(crate) async fn start(password: Option<&'static str>) -> Result<Self, Failure> {
        match Self::start_once(password).await {
            Err(failed) if failed.to_string().contains("redis-server ended") => {
                Self::start_once(password).await
            }
            done => done,
        }
    }

    async fn start_once(password: Option<&'static str>) -> Result<Self, Failure> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = Self { child: None, port, password };
        server.again().await?;
        Ok(server)
    }

    /// Its address, with the password.
    pub(crate) fn address(&self) -> String {
        let password = self.password.map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{password}127.0.0.1:{}/0", self.port)
    }

    /// Its address, without the password.
    pub(crate) fn bare_address(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Ends it at once, as a power failure would.
    pub(crate) fn kill(&mut self) -> Result<(), Failure> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Starts it on its port, empty, and waits until it answers.
    pub(crate) async fn again(&mut self) -> Result<(), Failure> {
        let binary = binary()?;
        let mut command = Command::new(&binary);
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
            .arg(self.port.to_string())
            .args(self.password.into_iter().flat_map(|password| ["--requirepass", password]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child =
            command.spawn().map_err(|cause| format!("{} does not start: {cause}", binary.display()))?;
        let ours = format!("process_id:{}\r", child.id());
        self.child = Some(child);
        let up = async {
            // Another server on the same port would not be the one that the test kills.
            while !self.ask::<String>(&["INFO", "server"]).await.is_ok_and(|said| said.contains(&ours)) {
                if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                    return Err(Failure::from(format!("redis-server ended with {status}")));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        tokio::time::timeout(START, up).await?
    }

    /// Asks it something by hand.
    pub(crate) async fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> Result<T, Failure> {
        let mut connection = redis::Client::open(self.address())?.get_multiplexed_async_connection().await?;
        let (name, rest) = words.split_first().ok_or("ask what?")?;
        Ok(redis::cmd(name).arg(rest).query_async(&mut connection).await?)
    }
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment where Redis is")]
fn binary() -> Result<PathBuf, Failure> {
    if let Ok(path) = std::env::var("PORTOLAN_TEST_REDIS") {
        let path = PathBuf::from(path);
        if path.is_file() {
            return Ok(path);
        }
        return Err(format!("PORTOLAN_TEST_REDIS: there is no file {}", path.display()).into());
    }
    let on_path = std::env::var("PATH").unwrap_or_default();
    let installed: Vec<PathBuf> =
        std::env::split_paths(&on_path).map(|place| place.join("redis-server")).collect();
    let target = std::env::var("CARGO_TARGET_DIR").ok().map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|directory| directory.join("target"));
    installed
        .into_iter()
        .chain(target.into_iter().chain(above).map(|target| target.join("redis/redis-server")))
        .find(|path| path.is_file())
        .ok_or_else(|| "no Redis to test with: run `cargo xtask redis`, or set PORTOLAN_TEST_REDIS".into())
}
