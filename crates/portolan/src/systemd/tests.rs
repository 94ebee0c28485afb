//! systemd is told over real datagram sockets, by path and abstract.

use std::os::linux::net::SocketAddrExt as _;

use super::*;

/// What stands in for systemd.
struct Listener {
    socket: UnixDatagram,
    name: OsString,
    _directory: Option<tempfile::TempDir>,
}

impl Listener {
    fn by_path() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Self { socket, name: path.into(), _directory: Some(directory) }
    }

    fn in_the_abstract() -> Self {
        let name = format!("portolan-test-{}-{:?}", std::process::id(), std::thread::current().id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Self { socket, name: format!("@{name}").into(), _directory: None }
    }

    fn heard(&self) -> Option<String> {
        self.socket.set_nonblocking(true).unwrap();
        let mut bytes = [0; 8192];
        let length = self.socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..length].to_vec()).unwrap())
    }
}

fn from(vars: &[(&str, &OsStr)]) -> Result<Systemd, Error> {
    Systemd::from_vars(|name| {
        vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn every_word_is_a_datagram_by_path_and_in_the_abstract() {
    for listener in [Listener::by_path(), Listener::in_the_abstract()] {
        let systemd = from(&[("NOTIFY_SOCKET", &listener.name)]).unwrap();
        assert!(systemd.is_there());
        systemd.ready().unwrap();
        systemd.status("serves\nREADY=1\t3 tenants").unwrap();
        systemd.alive().unwrap();
        systemd.stopping().unwrap();
        for word in ["READY=1", "STATUS=serves READY=1 3 tenants", "WATCHDOG=1", "STOPPING=1"] {
            assert_eq!(listener.heard().as_deref(), Some(word));
        }
        assert_eq!(listener.heard(), None);
        // Two bytes a letter, so the limit falls between two of them.
        systemd.status(&"é".repeat(5000)).unwrap();
        assert_eq!(listener.heard().map(|word| word.len()), Some("STATUS=".len() + STATUS));
    }
}

#[test]
fn where_nobody_asked_nothing_is_said_and_there_is_no_watchdog() {
    let watchdog: (&str, &OsStr) = ("WATCHDOG_USEC", "30000000".as_ref());
    for systemd in [from(&[watchdog]), from(&[watchdog, ("NOTIFY_SOCKET", "".as_ref())])] {
        let systemd = systemd.unwrap();
        assert!(!systemd.is_there());
        assert_eq!(systemd.watchdog(), None);
        systemd.ready().unwrap();
        systemd.stopping().unwrap();
    }
}

#[test]
fn the_watchdog_is_ours_alone() {
    let ours = std::process::id().to_string();
    for (id, expected) in [(None, true), (Some(ours.as_str()), true), (Some("1"), false)] {
        let mut vars: Vec<(&str, &OsStr)> =
            vec![("NOTIFY_SOCKET", "/run/systemd/notify".as_ref()), ("WATCHDOG_USEC", "30000000".as_ref())];
        vars.extend(id.map(|id| ("WATCHDOG_PID", id.as_ref())));
        let systemd = from(&vars).unwrap();
        assert_eq!(systemd.watchdog(), expected.then_some(Duration::from_secs(30)), "{id:?}");
    }
}

#[test]
fn a_wrong_variable_is_named() {
    let long = format!("/{}", "x".repeat(200));
    let there: (&str, &str) = ("NOTIFY_SOCKET", "/run/systemd/notify");
    for (vars, says) in [
        (vec![("NOTIFY_SOCKET", "notify")], "NOTIFY_SOCKET: \"notify\" names no socket"),
        (vec![("NOTIFY_SOCKET", "@")], "NOTIFY_SOCKET: \"@\" names no socket"),
        (vec![("NOTIFY_SOCKET", "vsock:2:1234")], "NOTIFY_SOCKET: \"vsock:2:1234\" names no socket"),
        (vec![("NOTIFY_SOCKET", &long)], "cannot be the name of a socket"),
        (vec![there, ("WATCHDOG_USEC", "0")], "WATCHDOG_USEC: \"0\" is not a whole number above 0"),
        (vec![there, ("WATCHDOG_USEC", "30s")], "WATCHDOG_USEC: \"30s\""),
        (vec![there, ("WATCHDOG_USEC", "1"), ("WATCHDOG_PID", "-1")], "WATCHDOG_PID: \"-1\""),
    ] {
        let vars: Vec<(&str, &OsStr)> = vars.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        let error = from(&vars).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains(says), "{error}: {says}");
    }
}

#[test]
fn a_full_or_missing_socket_is_an_error_at_once_and_a_new_one_is_found() {
    let listener = Listener::by_path();
    let systemd = from(&[("NOTIFY_SOCKET", &listener.name)]).unwrap();
    // It would wait for ever for somebody to read, if it waited.
    let full = (0..1_000_000).find_map(|_| systemd.ready().err()).unwrap();
    assert_eq!(full.kind(), Kind::Busy);
    assert!(full.to_string().contains("was not told READY: its queue is full"), "{full}");
    assert!(full.is_retryable());

    let path = listener.name.clone();
    drop(listener.socket);
    let gone = systemd.stopping().unwrap_err();
    assert_eq!(gone.kind(), Kind::Unreachable);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(systemd.stopping().unwrap_err().kind(), Kind::Unreachable);
    let again = UnixDatagram::bind(&path).unwrap();
    systemd.stopping().unwrap();
    assert_eq!(again.recv(&mut [0; 32]).unwrap(), "STOPPING=1".len());
}
