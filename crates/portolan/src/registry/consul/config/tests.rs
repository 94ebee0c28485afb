//! Addresses, variables, secrets and certificates.

use std::{collections::BTreeMap, fs};

use super::*;
use crate::registry::{Registry as _, consul::Consul};

fn from(pairs: &[(&str, &str)]) -> Result<ConsulConfig, Error> {
    let vars: BTreeMap<String, String> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ConsulConfig::from_vars(|name| vars.get(name).cloned())
}

#[test]
fn an_address_has_one_of_four_forms() {
    for (text, shown, local) in [
        ("http://10.0.0.1:8500", "http://10.0.0.1:8500", false),
        ("https://consul.internal:8501", "https://consul.internal:8501", false),
        ("127.0.0.1:8500", "http://127.0.0.1:8500", true),
        ("localhost", "http://localhost", true),
        ("[::1]:8500", "http://[::1]:8500", true),
        ("http://consul:8500/prefix/", "http://consul:8500/prefix", false),
        ("unix:///run/consul.sock", "unix:///run/consul.sock", true),
        (" 10.0.0.1:1 ", "http://10.0.0.1:1", false),
    ] {
        let config = ConsulConfig::default().address(text).unwrap();
        assert_eq!((config.shown_address(), config.is_local()), (shown, local), "{text}");
    }
}

#[test]
fn what_is_no_address_is_refused_with_the_forms() {
    for text in [
        "",
        "http://",
        "https://:8500",
        "ftp://a:1",
        "host:port",
        "host:99999",
        "host:0",
        "a b:1",
        "http://a:1?x=1",
        "http://a:1#x",
        "host:",
        "http+unix://x",
        "[::1:8500",
        "::1",
        "http://[]:1",
    ] {
        let error = ConsulConfig::default().address(text).unwrap_err();
        assert_eq!(error.kind(), Kind::Config, "{text}");
        assert!(error.to_string().starts_with("address: "), "{error}");
        assert!(error.to_string().contains("unix:///path"), "{error}");
    }
    for text in ["unix://relative", "unix://"] {
        let error = ConsulConfig::default().address(text).unwrap_err();
        assert!(error.to_string().contains("write \"unix:///run/consul.sock\""), "{error}");
    }
}

#[test]
fn several_addresses_are_a_list_and_each_is_checked() {
    let shown = |config: &ConsulConfig| {
        let others = config.others.iter().map(|address| address.shown().to_owned());
        std::iter::once(config.shown_address().to_owned()).chain(others).collect::<Vec<_>>()
    };
    let config = ConsulConfig::default().address("a:1, https://b:2,unix:///c").unwrap();
    assert_eq!(shown(&config), ["http://a:1", "https://b:2", "unix:///c"]);
    assert_eq!(shown(&config.addresses(["d:1"]).unwrap()), ["http://d:1"]);
    let config = from(&[("CONSUL_HTTP_ADDR", "a:1,b:1"), ("CONSUL_HTTP_SSL", "true")]).unwrap();
    assert_eq!(shown(&config), ["https://a:1", "https://b:1"]);
    let many = (1..=17).map(|port| format!("a:{port}")).collect::<Vec<_>>().join(",");
    for (text, says) in [
        ("a:1,", "is not an address"),
        ("a:1,,b:1", "is not an address"),
        ("a:1,ftp://b", "is not a scheme"),
        ("a:1,http://a:1", "http://a:1 is there twice"),
        (many.as_str(), "more than 16 addresses"),
    ] {
        let error = from(&[("CONSUL_HTTP_ADDR", text)]).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(
            error.to_string().starts_with("CONSUL_HTTP_ADDR: ") && error.to_string().contains(says),
            "{error}"
        );
    }
    let none: [&str; 0] = [];
    let error = ConsulConfig::default().addresses(none).unwrap_err();
    assert!(error.to_string().contains("there is no address"), "{error}");
}

#[test]
fn a_password_in_an_address_is_refused_and_not_shown() {
    let error = from(&[("CONSUL_HTTP_ADDR", "http://me:secret@consul:8500")]).unwrap_err();
    assert!(error.to_string().contains("CONSUL_HTTP_AUTH") && !error.chain().contains("secret"), "{error}");
}

#[test]
fn no_variables_are_the_defaults() {
    let config = from(&[("CONSUL_HTTP_ADDR", ""), ("CONSUL_HTTP_TOKEN", " ")]).unwrap();
    assert_eq!(format!("{config:?}"), format!("{:?}", ConsulConfig::default()));
    assert_eq!(config.shown_address(), DEFAULT_ADDRESS);
    assert!(config.tls.is_none());
}

#[test]
fn ssl_turns_plain_into_tls_and_never_back() {
    for (ssl, address, expected) in [
        ("true", "http://a:1", "https://a:1"),
        ("1", "a:1", "https://a:1"),
        ("false", "https://a:1", "https://a:1"),
        ("f", "a:1", "http://a:1"),
        ("true", "unix:///s", "unix:///s"),
    ] {
        let vars =
            [("CONSUL_HTTP_SSL", ssl), ("CONSUL_HTTP_ADDR", address), ("CONSUL_HTTP_SSL_VERIFY", "false")];
        assert_eq!(from(&vars).unwrap().shown_address(), expected, "{ssl} {address}");
    }
    let only = from(&[("CONSUL_HTTP_SSL", "T"), ("CONSUL_HTTP_SSL_VERIFY", "0")]).unwrap();
    assert_eq!(only.shown_address(), "https://127.0.0.1:8500");
}

#[test]
fn a_wrong_variable_is_named_with_what_was_found_and_what_is_allowed() {
    for (name, value, says) in [
        ("CONSUL_HTTP_ADDR", "ftp://x", "CONSUL_HTTP_ADDR: \"ftp\" is not a scheme Consul knows; write"),
        ("CONSUL_HTTP_ADDR", "a:b", "CONSUL_HTTP_ADDR: \"a:b\" is not an address; write"),
        ("CONSUL_HTTP_SSL", "yes", "CONSUL_HTTP_SSL: \"yes\" is not a truth value; write true or false"),
        ("CONSUL_HTTP_SSL_VERIFY", "no", "CONSUL_HTTP_SSL_VERIFY: \"no\" is not a truth value"),
        ("CONSUL_HTTP_TOKEN", "a\nb", "CONSUL_HTTP_TOKEN: holds a character that a header cannot carry"),
        ("CONSUL_HTTP_TOKEN_FILE", "/not/there", "CONSUL_HTTP_TOKEN_FILE: /not/there cannot be read"),
        ("CONSUL_CACERT", "/not/there", "CONSUL_CACERT: /not/there cannot be read as a certificate (PEM)"),
        ("CONSUL_CAPATH", "/not/there", "CONSUL_CAPATH: /not/there cannot be read as a directory"),
        ("CONSUL_CLIENT_CERT", "/x", "CONSUL_CLIENT_CERT: is set without its key"),
        ("CONSUL_CLIENT_KEY", "/x", "CONSUL_CLIENT_KEY: is set without its certificate"),
        ("CONSUL_TLS_SERVER_NAME", "a b", "CONSUL_TLS_SERVER_NAME: \"a b\" is neither a host name nor"),
    ] {
        // Without verification no system certificate is needed.
        let verify = ("CONSUL_HTTP_SSL_VERIFY", "false");
        let pairs = if name == verify.0 { vec![(name, value)] } else { vec![verify, (name, value)] };
        let error = from(&pairs).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().starts_with(says), "{error}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let config = from(&[("CONSUL_HTTP_TOKEN", "s3cret"), ("CONSUL_HTTP_AUTH", "me:s3cret")]).unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("Basic") && shown.contains("(hidden)"), "{shown}");
    assert_eq!(config.basic_auth.unwrap().header(), "Basic bWU6czNjcmV0");
    let error = ConsulConfig::default().token("s3cret\u{7f}").unwrap_err();
    assert!(!error.chain().contains("s3cret"), "{error}");
}

#[test]
fn the_token_file_wins_over_the_token() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let vars = [("CONSUL_HTTP_TOKEN", "weak"), ("CONSUL_HTTP_TOKEN_FILE", path.to_str().unwrap())];
    fs::write(&path, "strong\n").unwrap();
    assert_eq!(from(&vars).unwrap().token.unwrap().header(), "strong");
    fs::write(&path, " \n").unwrap();
    assert!(from(&vars).unwrap_err().to_string().ends_with("is empty; put the token into it"));
    fs::write(&path, vec![b'x'; 70_000]).unwrap();
    assert!(from(&vars).unwrap_err().to_string().contains("has 70000 bytes"));
}

#[test]
fn certificates_and_keys_are_read_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let made = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let ((cert, key), (_, other)) = (made("a"), made("b"));
    let (ca, key, other) = (write("ca.pem", &cert), write("a.key", &key), write("b.key", &other));
    let (junk, empty) = (
        write("junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        write("empty.pem", ""),
    );

    let good =
        from(&[("CONSUL_CACERT", &ca), ("CONSUL_CLIENT_CERT", &ca), ("CONSUL_CLIENT_KEY", &key)]).unwrap();
    assert!(good.tls.is_some());
    assert!(!format!("{good:?}").contains("PRIVATE"));
    assert_eq!(good.tls.unwrap().config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);

    let client = ("CONSUL_CLIENT_CERT", ca.as_str());
    for (pairs, variable, file) in [
        (vec![("CONSUL_CACERT", junk.as_str())], "CONSUL_CACERT", &junk),
        (vec![("CONSUL_CACERT", empty.as_str())], "CONSUL_CACERT", &empty),
        (
            vec![("CONSUL_CACERT", ca.as_str()), client, ("CONSUL_CLIENT_KEY", &empty)],
            "CONSUL_CLIENT_KEY",
            &empty,
        ),
        (
            vec![("CONSUL_CACERT", ca.as_str()), client, ("CONSUL_CLIENT_KEY", &other)],
            "CONSUL_CLIENT_KEY",
            &other,
        ),
    ] {
        let error = from(&pairs).unwrap_err();
        assert!(
            error.to_string().starts_with(variable) && error.to_string().contains(file.as_str()),
            "{error}"
        );
    }
}

#[test]
fn a_user_name_with_a_colon_is_refused() {
    assert!(ConsulConfig::default().basic_auth("a:b", "c").is_err());
}

#[test]
fn the_endpoint_is_what_a_socket_is_opened_to() {
    for (text, expected) in [
        ("http://127.0.0.1:8500", Some("127.0.0.1:8500")),
        ("https://consul.example", Some("consul.example:443")),
        ("http://consul.example/prefix", Some("consul.example:80")),
        ("http://[::1]:8501", Some("[::1]:8501")),
        ("unix:///run/consul.sock", None),
    ] {
        let config = ConsulConfig::default().address(text).unwrap();
        assert_eq!(Consul::new(config).endpoint().as_deref(), expected, "{text}");
    }
}

#[test]
fn an_address_tells_requests_certificates_and_sockets_what_each_needs() {
    for (text, base, host, socket) in [
        ("http://127.0.0.1:8500", "http://127.0.0.1:8500", "127.0.0.1", None),
        ("https://consul.example/prefix/", "https://consul.example/prefix", "consul.example", None),
        ("https://[::1]:8501", "https://[::1]:8501", "::1", None),
        ("unix:///run/consul.sock", "http://localhost", "localhost", Some("/run/consul.sock")),
    ] {
        let address = Address::parse("address", text, Scheme::Http).unwrap();
        assert_eq!((address.base(), address.host()), (base, host));
        assert_eq!(address.socket_path().map(|path| path.to_str().unwrap()), socket, "{text}");
    }
}
