//! Tells systemd, or who speaks like it, how the program does: that it is ready, that it stops, what it is at, that it
//! lives.
//!
//! In:  `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`; words of the program. Out: a datagram each.
//!
//! Never: says anything where nobody asked for it; waits; repeats a word that did not arrive, or lets one end the program:
//! what went wrong is an error for the caller.
//!
//! Rules from systemd: sd_notify(3), sd_watchdog_enabled(3). Own, for sd-notify (0.5) knows no abstract sockets, and waits
//! where the socket is full.
//! Proof: `systemd/tests.rs`, and `tests/systemd.rs` for the watchdog.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::{ffi::OsStrExt as _, net::SocketAddr, net::UnixDatagram},
    time::Duration,
};

use crate::error::{Error, Kind};

/// How many bytes of a status are sent: systemd reads 4 KiB of a datagram, and drops a longer one.
const STATUS: usize = 1024;

/// systemd, as it is told of this program; silent where it does not ask, which is the default.
///
/// An error from it is no reason to end: log it and go on.
///
/// ```
/// use portolan::systemd::Systemd;
///
/// # fn main() -> Result<(), portolan::Error> {
/// let systemd = Systemd::from_env()?;
/// // … the program registers, and listens …
/// systemd.ready()?;
/// systemd.status("serves 3 tenants")?;
/// // … and when it is told to end, before it drains:
/// systemd.stopping()?;
/// # Ok(())
/// # }
/// ```
///
/// In the unit: `Type=notify`, and `WatchdogSec=30s` for [`Discovery::feed_watchdog`](crate::Discovery::feed_watchdog).
#[derive(Clone, Debug, Default)]
pub struct Systemd {
    /// `None`: nobody asked.
    socket: Option<SocketAddr>,
    watchdog: Option<Duration>,
}

impl Systemd {
    /// Reads the environment; see [`from_vars`](Self::from_vars).
    ///
    /// # Errors
    /// [`Kind::Config`], naming the variable, what was found and what is allowed.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_vars(|name| std::env::var_os(name))
    }

    /// Reads `NOTIFY_SOCKET` (a path, or `@` and an abstract name), `WATCHDOG_USEC` and `WATCHDOG_PID` through `var`. One
    /// that is unset or empty says nothing; the watchdog of another process is none of ours.
    ///
    /// # Errors
    /// [`Kind::Config`], naming the variable, what was found and what is allowed.
    pub fn from_vars(var: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let var = |name: &str| var(name).filter(|value| !value.is_empty());
        let Some(socket) = var("NOTIFY_SOCKET") else { return Ok(Self::default()) };
        let socket = Some(address(&socket)?);
        let Some(micros) = var("WATCHDOG_USEC") else { return Ok(Self { socket, watchdog: None }) };
        let micros = number("WATCHDOG_USEC", &micros, "microseconds, as systemd sets it")?;
        let ours = match var("WATCHDOG_PID") {
            Some(id) => number("WATCHDOG_PID", &id, "a process")? == u64::from(std::process::id()),
            None => true,
        };
        Ok(Self { socket, watchdog: ours.then(|| Duration::from_micros(micros)) })
    }

    /// Whether somebody wants to be told.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// How long it may take from one [`alive`](Self::alive) to the next until the program is taken for hung and ended;
    /// `None`: for ever.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The program has started: what waits for it may start too.
    ///
    /// # Errors
    /// [`Kind::Busy`] when the socket is full: say it again; [`Kind::Unreachable`] when it is not there.
    pub fn ready(&self) -> Result<(), Error> {
        self.tell("READY=1")
    }

    /// The program has begun to stop.
    ///
    /// # Errors
    /// As for [`ready`](Self::ready).
    pub fn stopping(&self) -> Result<(), Error> {
        self.tell("STOPPING=1")
    }

    /// What the program is at, for people (`systemctl status`): one line of at most 1 KiB; what is longer is cut, and
    /// control characters become spaces.
    ///
    /// # Errors
    /// As for [`ready`](Self::ready).
    pub fn status(&self, text: &str) -> Result<(), Error> {
        let line = text.get(..text.floor_char_boundary(STATUS)).unwrap_or_default();
        // A line break would begin another word of the protocol.
        self.tell(&format!("STATUS={}", line.replace(char::is_control, " ")))
    }

    /// The program lives. For a program that knows better than
    /// [`Discovery::feed_watchdog`](crate::Discovery::feed_watchdog) whether it does; wanted twice in each
    /// [`watchdog`](Self::watchdog).
    ///
    /// # Errors
    /// As for [`ready`](Self::ready).
    pub fn alive(&self) -> Result<(), Error> {
        self.tell("WATCHDOG=1")
    }

    /// Sends a word, on a socket of its own: systemd may have been started anew since the last one.
    fn tell(&self, word: &str) -> Result<(), Error> {
        let Some(to) = &self.socket else { return Ok(()) };
        send(to, word.as_bytes()).map_err(|failed| {
            let name = word.split_once('=').map_or(word, |(name, _)| name);
            let (kind, why) = match failed.kind() {
                io::ErrorKind::WouldBlock => (Kind::Busy, "its queue is full"),
                _ => (Kind::Unreachable, "it is not there"),
            };
            let what = format!("NOTIFY_SOCKET: {to:?} was not told {name}: {why}");
            Error::new(kind, what).caused_by(failed)
        })
    }
}

fn send(to: &SocketAddr, word: &[u8]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    // A datagram goes whole or not at all.
    socket.send_to_addr(word, to).map(|_bytes| ())
}

fn address(given: &OsStr) -> Result<SocketAddr, Error> {
    let wrong = |why: &str| {
        let what = format!(
            "NOTIFY_SOCKET: {given:?} {why}; it is \"/\" and a path, or \"@\" and the name of an abstract socket, as \
             systemd sets it"
        );
        Error::new(Kind::Config, what)
    };
    let too_long = |failed: io::Error| wrong("cannot be the name of a socket").caused_by(failed);
    match given.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(given).map_err(too_long),
        [b'@', name @ ..] if !name.is_empty() => in_the_abstract(name).map_err(too_long),
        _ => Err(wrong("names no socket that is spoken to here")),
    }
}

#[cfg(target_os = "linux")]
fn in_the_abstract(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;

    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn in_the_abstract(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux has abstract sockets"))
}

fn number(name: &str, given: &OsStr, unit: &str) -> Result<u64, Error> {
    let found = given.to_str().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    found.ok_or_else(|| {
        let what =
            format!("{name}: {given:?} is not a whole number above 0, of {unit}; set that, or unset it");
        Error::new(Kind::Config, what)
    })
}

#[cfg(test)]
mod tests;
