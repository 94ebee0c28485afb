//! Who can reach the registry and is held up by nothing, where that is more than this machine. PURE.
//!
//! In:  where it listens, and what stands before it. Out: a warning for each address, with what helps.
//!
//! Never: warns of what only this machine can reach.

use std::net::SocketAddr;

/// What a client must show before it can change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guarded {
    By,
    Nothing,
}

/// The warnings. `tokens`: whether access rules deny what no token allows; `certificates`: whether clients need one over HTTPS.
pub(super) fn warnings(
    http: SocketAddr,
    https: Option<SocketAddr>,
    certificates: Guarded,
    tokens: Guarded,
) -> Vec<String> {
    let mut open = Vec::new();
    if !http.ip().is_loopback() {
        let may = match tokens {
            Guarded::By => "can read along, tokens too",
            Guarded::Nothing => "can read and change the registry",
        };
        open.push(format!(
            "whoever can reach http://{http} {may}: let --http-addr be 127.0.0.1:{}, and let others in with --https-addr and \
             --tls-client-ca",
            http.port()
        ));
    }
    if let Some(https) = https.filter(|https| !https.ip().is_loopback())
        && certificates == Guarded::Nothing
        && tokens == Guarded::Nothing
    {
        open.push(format!(
            "whoever can reach https://{https} can read and change the registry: name who signs the certificates of those who \
             may, with --tls-client-ca, or have them show tokens, with --acl-default-policy deny"
        ));
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_can_reach_is_told_unless_something_stands_before_it() {
        let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (local, open) = (addr("127.0.0.1:8500"), addr("0.0.0.0:8500"));
        let far = Some(addr("192.0.2.1:8501"));
        for (http, https, certificates, tokens, expected) in [
            (local, None, Guarded::Nothing, Guarded::Nothing, 0),
            (addr("[::1]:8500"), Some(addr("127.0.0.1:8501")), Guarded::Nothing, Guarded::Nothing, 0),
            (open, None, Guarded::Nothing, Guarded::Nothing, 1),
            (open, None, Guarded::Nothing, Guarded::By, 1),
            (open, far, Guarded::Nothing, Guarded::Nothing, 2),
            (local, far, Guarded::Nothing, Guarded::Nothing, 1),
            (local, far, Guarded::By, Guarded::Nothing, 0),
            (local, far, Guarded::Nothing, Guarded::By, 0),
        ] {
            let told = warnings(http, https, certificates, tokens);
            assert_eq!(told.len(), expected, "{http} {https:?} {certificates:?} {tokens:?}: {told:?}");
        }
        let told = warnings(open, None, Guarded::Nothing, Guarded::Nothing);
        assert!(told[0].contains("http://0.0.0.0:8500") && told[0].contains("--tls-client-ca"), "{told:?}");
    }
}
