//! A registry in a process of its own on free ports: a Consul in development mode, or what answers like one.
//!
//! In:  a binary. Out: its address, once it has a leader.
//!
//! Never: outlives its [`Agent`]; leaves loopback; waits without a deadline.
#![expect(clippy::disallowed_methods, reason = "waits for another process, with a deadline")]

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::Found;
use crate::{project::Project, run::Run};

/// A cold start takes two to four seconds; a loaded machine gets more.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running registry. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Agent {
    child: Child,
    /// What it is called in an error, and in the name of its log.
    name: &'static str,
    http: SocketAddr,
    log: PathBuf,
}

impl Agent {
    /// Starts a Consul without DNS, and waits until it can serve.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(crate) fn start(project: &Project, consul: &Found) -> Result<Self> {
        Self::consul(project, consul, "-dns-port -1")
    }

    /// Starts a Consul with more flags, and waits until it can serve.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(crate) fn consul(project: &Project, consul: &Found, flags: &str) -> Result<Self> {
        let [http, server, serf] = free_ports()?;
        let mut run = project
            .run(&consul.path)
            .words("agent -dev -bind 127.0.0.1 -client 127.0.0.1 -grpc-port -1 -serf-wan-port -1")
            .words(&format!("-http-port {http} -server-port {server} -serf-lan-port {serf}"))
            .words(flags);
        if has_grpc_tls(&consul.version) {
            run = run.words("-grpc-tls-port -1");
        }
        Self::of(project, &run, "consul", http)
    }

    /// Starts what becomes a registry whose HTTP is at port `http`, and waits until it has a leader.
    ///
    /// # Errors
    /// When it does not start, ends, or has no leader in time; the text names its log.
    pub(crate) fn of(project: &Project, run: &Run, name: &'static str, http: u16) -> Result<Self> {
        std::fs::create_dir_all(project.keep())?;
        let log = project.keep().join(name).with_extension("log");
        let file = File::create(&log).with_context(|| log.display().to_string())?;
        println!("$ {}  # its log: {}", run.shown(), log.display());
        let mut command = run.command();
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| run.shown())?;
        let mut agent = Self { child, name, http: SocketAddr::from((Ipv4Addr::LOCALHOST, http)), log };
        agent.wait()?;
        Ok(agent)
    }

    /// Where it listens, as a registry is named on the command line.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Where it listens, as an address.
    pub(crate) fn http(&self) -> SocketAddr {
        self.http
    }

    fn wait(&mut self) -> Result<()> {
        let started = Instant::now();
        while !self.has_leader() {
            let (name, log) = (self.name, self.log.display());
            if let Some(status) = self.child.try_wait()? {
                bail!("{name} ended with {status} instead of serving; see {log}");
            }
            if started.elapsed() > PATIENCE {
                bail!("{name} had no leader after {} s; see {log}", PATIENCE.as_secs());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn has_leader(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect_timeout(&self.http, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            let host = self.http;
            write!(stream, "GET /v1/status/leader HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.take(64 * 1024).read_to_string(&mut answer)?;
            Ok(answer)
        };
        // Without a leader the body is an empty string: `""`. An agent that is not there yet is asked again.
        ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200") && answer.contains("\"127.0.0.1:"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended by itself, and it holds nothing that is worth a farewell.
        if self.child.kill().is_ok() {
            let _ended = self.child.wait();
        }
    }
}

/// Ports that were free a moment ago; the listeners are held until all are known, so that they differ.
///
/// # Errors
/// When there is none.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Consul 1.14 and later have a second gRPC port.
fn has_grpc_tls(version: &str) -> bool {
    let numbers = version.trim_start_matches("Consul v").split(['.', '-', '+']);
    let numbers: Vec<u32> = numbers.map_while(|number| number.parse().ok()).collect();
    numbers >= vec![1, 14]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_grpc_port_goes_by_the_version() {
        for (version, has) in
            [("Consul v1.8.7", false), ("Consul v1.14.0", true), ("Consul v1.21.4-x", true), ("odd", false)]
        {
            assert_eq!(has_grpc_tls(version), has, "{version}");
        }
    }

    #[test]
    fn the_ports_differ() {
        let [one, two, three] = free_ports().unwrap();
        assert!(one != two && two != three && one != three);
    }
}
