//! The rules of transport, one by one, against a server that plays exact bytes. Names start with the rule's number in
//! COMPATIBILITY.md.

#[path = "transport/cuts.rs"]
mod cuts;
#[path = "transport/failover.rs"]
mod failover;
#[path = "transport/http2.rs"]
mod http2;
#[path = "transport/reuse.rs"]
mod reuse;
#[path = "support/script.rs"]
mod script;
#[path = "transport/views.rs"]
mod views;

use std::{fs, io::Write as _, sync::Arc, time::Duration};

use portolan::{
    CheckId, Error, Kind, Registry as _, ServiceId, ServiceName, Status,
    registry::{
        CatalogQuery, Consistency, Report, ServiceQuery,
        consul::{Compression, Consul, ConsulConfig, Http2, Tls},
    },
};
use script::{Failure, Played, Script, Then, json, reply};
use tokio::net::TcpListener;

type Outcome = Result<(), Failure>;

const ONE: &str = r#"[{"Node":{"Node":"n","Address":"10.0.0.1","Datacenter":"dc1"},
    "Service":{"ID":"web-1","Service":"web","Port":80},"Checks":[]}]"#;

fn web() -> Result<ServiceQuery, Error> {
    Ok(ServiceQuery::new(ServiceName::new("web")?))
}

/// Plays one reply to one read, and gives its outcome: how many instances, and the index.
async fn read(played: Played) -> Result<Result<(usize, u64), Error>, Failure> {
    read_with(played, |config| config).await
}

async fn read_with(
    played: Played,
    set: impl FnOnce(ConsulConfig) -> ConsulConfig,
) -> Result<Result<(usize, u64), Error>, Failure> {
    let script = Script::start(vec![played]).await?;
    let consul = Consul::new(set(script.config()?));
    Ok(consul.service(&web()?).await.map(|answer| (answer.value.len(), answer.meta.index)))
}

async fn error(played: Played) -> Result<Error, Failure> {
    Ok(read(played).await?.err().ok_or("an answer, where an error was due")?)
}

fn gzip(plain: &str) -> Result<Vec<u8>, Failure> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain.as_bytes())?;
    Ok(encoder.finish()?)
}

const GZIP: &str = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";

#[tokio::test]
async fn b1_index_and_wait_are_sent_by_a_read_that_waits_and_by_no_other() -> Outcome {
    let mut script = Script::start(vec![json(ONE)]).await?;
    let consul = Consul::new(script.config()?);
    consul.service(&web()?).await?;
    assert!(script.request().await?.starts_with("GET /v1/health/service/web?stale HTTP/1.1\r\n"));
    consul.service(&web()?.block(7, Duration::from_secs(30))).await?;
    let request = script.request().await?;
    assert!(
        request.starts_with("GET /v1/health/service/web?stale&index=7&wait=30000ms HTTP/1.1\r\n"),
        "{request}"
    );
    consul.services(&CatalogQuery::default()).await.err().ok_or("a list is no map")?;
    assert!(script.request().await?.starts_with("GET /v1/catalog/services?stale HTTP/1.1\r\n"));
    Ok(())
}

#[tokio::test]
async fn c1_each_read_says_who_may_answer_and_where() -> Outcome {
    let mut script = Script::start(vec![json("[]")]).await?;
    let consul = Consul::new(script.config()?.namespace(Some("a team")).partition(Some("east")));
    for (consistency, query) in [
        (Consistency::Default, "dc=d%2F2&ns=a%20team&partition=east"),
        (Consistency::Stale, "dc=d%2F2&stale&ns=a%20team&partition=east"),
        (Consistency::Consistent, "dc=d%2F2&consistent&ns=a%20team&partition=east"),
    ] {
        consul.service(&web()?.datacenter(Some("d/2".into())).consistency(consistency)).await?;
        let request = script.request().await?;
        assert!(
            request.starts_with(&format!("GET /v1/health/service/web?{query} HTTP/1.1\r\n")),
            "{request}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn h2_an_answer_without_an_index_has_index_one() -> Outcome {
    let without = reply(200, "Content-Type: application/json\r\nX-Consul-LastContact: soon\r\n", ONE);
    assert_eq!(read(without).await??, (1, 1));
    Ok(())
}

#[tokio::test]
async fn h5_null_and_an_empty_list_are_empty_answers() -> Outcome {
    for body in ["null", "[]"] {
        assert_eq!(read(json(body)).await??, (0, 7), "{body}");
    }
    Ok(())
}

#[tokio::test]
async fn h6_what_is_not_json_is_malformed_and_names_what_it_is() -> Outcome {
    let page = reply(200, "Content-Type: text/html\r\n", "<html>please log in</html>");
    let found = error(page).await?;
    assert_eq!(found.kind(), Kind::Malformed);
    assert!(found.to_string().contains("200, but of type \"text/html\" and not JSON"), "{found}");
    assert!(found.to_string().contains("it begins with \"<html>please log in</html>\""), "{found}");
    assert_eq!(error(json("{\"a\":")).await?.kind(), Kind::Malformed);
    Ok(())
}

#[tokio::test]
async fn h8_gzip_is_undone_and_damage_is_malformed() -> Outcome {
    let packed = gzip(ONE)?;
    assert_eq!(read(reply(200, GZIP, &packed)).await??.0, 1);
    let mut damaged = packed.clone();
    if let Some(byte) = damaged.iter_mut().nth_back(5) {
        *byte ^= 1; // in the checksum
    }
    let cut = packed.get(..packed.len() / 2).ok_or("a body")?.to_vec();
    for (body, says) in [
        (damaged, "damaged"),
        (cut, "damaged"),
        (Vec::new(), "damaged"),
        ([packed, b"tail".to_vec()].concat(), "damaged"),
    ] {
        let found = error(reply(200, GZIP, body)).await?;
        assert!(found.kind() == Kind::Malformed && found.to_string().contains(says), "{}", found.chain());
    }
    let brotli = reply(200, "Content-Encoding: br\r\n", "x");
    assert!(error(brotli).await?.to_string().contains("encoding is \"br\""));
    Ok(())
}

#[tokio::test]
async fn h8_gzip_is_asked_for_only_where_it_is_wanted() -> Outcome {
    for (compression, asked) in [(Compression::Off, false), (Compression::Gzip, true)] {
        let mut script = Script::start(vec![json("[]")]).await?;
        Consul::new(script.config()?.compression(compression)).service(&web()?).await?;
        assert_eq!(script.request().await?.contains("accept-encoding: gzip\r\n"), asked);
    }
    Ok(())
}

#[tokio::test]
async fn h9_where_tls_has_no_http2_http1_is_used() -> Outcome {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key.into())?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let mut script = Script::start_tls(vec![json(ONE)], acceptor).await?;
    let address = format!("https://localhost:{}", script.port());

    let consul = Consul::new(ConsulConfig::default().address(&address)?.tls(Tls::unverified()?));
    for _again in 0..2 {
        assert_eq!(consul.service(&web()?).await?.value.len(), 1);
        assert!(script.request().await?.starts_with("GET /v1/health/service/web?stale HTTP/1.1\r\n"));
    }

    // Nobody vouches for this certificate, and it is for another name.
    let directory = tempfile::tempdir()?;
    let ca = directory.path().join("ca.pem");
    fs::write(&ca, certified.cert.pem())?;
    let other = Tls::ca_file(&ca)?.server_name("consul.internal")?;
    let consul = Consul::new(ConsulConfig::default().address(&address)?.tls(other));
    let refused = consul.service(&web()?).await.err().ok_or("a wrong certificate was taken")?;
    assert_eq!(refused.kind(), Kind::Unreachable, "{}", refused.chain());
    assert!(refused.chain().contains("consul.internal"), "{}", refused.chain());
    Ok(())
}

#[tokio::test]
async fn h9_http2_by_prior_knowledge_starts_with_its_preface() -> Outcome {
    let mut script = Script::start(vec![Played { bytes: Vec::new(), then: Then::Close }]).await?;
    let consul = Consul::new(script.config()?.http2(Http2::PriorKnowledge));
    let broken = consul.service(&web()?).await.err().ok_or("an answer from nobody")?;
    assert!(broken.is_retryable(), "{}", broken.chain());
    assert!(script.request().await?.starts_with("PRI * HTTP/2.0\r\n"));
    Ok(())
}

#[tokio::test]
async fn h10_secrets_go_into_headers_and_nowhere_else() -> Outcome {
    let mut script = Script::start(vec![reply(403, "", "Permission denied")]).await?;
    let config = script.config()?.token("t0ken")?.basic_auth("me", "pass")?;
    let consul = Consul::new(config);
    let denied = consul.service(&web()?).await.err().ok_or("not denied")?;
    let request = script.request().await?;
    assert!(request.contains("x-consul-token: t0ken\r\n"), "{request}");
    assert!(request.contains("authorization: Basic bWU6cGFzcw==\r\n"), "{request}");
    assert_eq!(request.matches("t0ken").count(), 1);
    let shown = format!("{} {denied:?} {consul:?} {}", denied.chain(), consul.describe());
    assert!(!shown.contains("t0ken") && !shown.contains("bWU6"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn e1_after_a_403_the_token_file_is_read_again_for_the_next_call() -> Outcome {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("token");
    fs::write(&file, "old")?;
    let denied = reply(403, "", "ACL not found");
    let mut script = Script::start(vec![denied.clone(), denied, json(ONE)]).await?;
    let consul = Consul::new(script.config()?.token_file(&file)?);

    let first = consul.service(&web()?).await.err().ok_or("not denied")?;
    assert_eq!(first.kind(), Kind::Denied);
    assert!(!first.to_string().contains("next call"), "{first}");
    fs::write(&file, "new\n")?;
    let second = consul.service(&web()?).await.err().ok_or("not denied")?;
    assert!(second.to_string().ends_with("the next call uses its new token"), "{second}");
    assert_eq!(consul.service(&web()?).await?.value.len(), 1);
    for token in ["old", "old", "new"] {
        let request = script.request().await?;
        assert!(request.contains(&format!("x-consul-token: {token}\r\n")), "{request}");
    }
    Ok(())
}

#[tokio::test]
async fn e3_a_report_that_the_agent_has_no_check_for_is_not_found() -> Outcome {
    let text = "CheckID \"c\" does not have associated TTL";
    for played in [reply(500, "", text), reply(404, "", "Unknown check ID \"c\"")] {
        let script = Script::start(vec![played]).await?;
        let report = Report::new(CheckId::new("c")?, Status::Passing, "");
        let found = Consul::new(script.config()?).report(&report).await.err().ok_or("taken")?;
        assert_eq!(found.kind(), Kind::NotFound, "{found}");
    }
    Ok(())
}

#[tokio::test]
async fn e4_a_429_that_comes_before_the_request_is_a_retryable_error() -> Outcome {
    // So does an agent that has too many connections: it answers on accept, and closes.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let text =
                b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
                Your IP is issuing too many concurrent connections, please rate limit your calls\n";
            if tokio::io::AsyncWriteExt::write_all(&mut stream, text).await.is_err() {
                return;
            }
        }
    });
    let consul = Consul::new(ConsulConfig::default().address(address)?);
    for _again in 0..20 {
        let busy = consul.service(&web()?).await.err().ok_or("an answer")?;
        assert!(busy.is_retryable(), "{}", busy.chain());
        assert!(busy.to_string().contains("limits.http_max_conns_per_client"), "{}", busy.chain());
    }
    Ok(())
}

#[tokio::test]
async fn e9_a_connection_that_cannot_be_opened_or_breaks_is_unreachable_and_names_the_address() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    drop(listener);
    let consul = Consul::new(ConsulConfig::default().address(&address)?);
    let refused = consul.service(&web()?).await.err().ok_or("an answer from nobody")?;
    assert_eq!(refused.kind(), Kind::Unreachable);
    assert!(
        refused.to_string().starts_with(&format!("{address}: GET /v1/health/service/web: ")),
        "{refused}"
    );
    assert!(refused.chain().contains("refused"), "{}", refused.chain());

    let broken = error(Played { bytes: Vec::new(), then: Then::Close }).await?;
    assert_eq!(broken.kind(), Kind::Unreachable, "{}", broken.chain());

    let nowhere = ConsulConfig::default().address("unix:///not/there.sock")?;
    let missing = Consul::new(nowhere).service(&web()?).await.err().ok_or("an answer from nobody")?;
    assert_eq!(missing.kind(), Kind::Unreachable);
    assert!(missing.to_string().starts_with("unix:///not/there.sock: GET "), "{missing}");
    Ok(())
}

#[tokio::test]
async fn e9_a_tls_handshake_that_hangs_ends_with_the_connect_timeout() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("https://{}", listener.local_addr()?);
    let config = ConsulConfig::default().address(address)?.tls(Tls::unverified()?);
    let consul = Consul::new(config.connect_timeout(Duration::from_millis(50)));
    let silent = consul.service(&web()?).await.err().ok_or("an answer from nobody")?;
    assert_eq!(silent.kind(), Kind::Unreachable);
    assert!(silent.chain().contains("no connection within 50ms (connect_timeout)"), "{}", silent.chain());
    Ok(())
}

#[tokio::test]
async fn e10_what_is_not_http_is_malformed() -> Outcome {
    let found = error(Played { bytes: b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), then: Then::Close }).await?;
    assert_eq!(found.kind(), Kind::Malformed, "{}", found.chain());
    assert!(found.to_string().contains("not HTTP"), "{found}");
    Ok(())
}

#[tokio::test]
async fn e11_an_answer_over_the_limit_is_malformed_and_names_the_setting() -> Outcome {
    let large = "[]".to_owned() + &" ".repeat(100);
    let chunked = format!(
        "HTTP/1.1 200 X\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n66\r\n{large}\r\n0\r\n\r\n"
    );
    for played in [
        json(&large),
        Played { bytes: chunked.into_bytes(), then: Then::Listen },
        reply(200, GZIP, gzip(&"[]".replace("[]", &format!("[{}]", " ".repeat(1_000_000))))?),
    ] {
        let limit = if played.bytes.len() > 1000 { 100_000 } else { 101 };
        let over = read_with(played.clone(), |config| config.body_limit(limit)).await?;
        let over = over.err().ok_or("an answer over the limit")?;
        assert!(over.kind() == Kind::Malformed && over.to_string().contains("raise body_limit"), "{over}");
        assert!(read_with(played, |config| config.body_limit(2_000_000)).await?.is_ok());
    }
    Ok(())
}

#[tokio::test]
async fn e13_silence_ends_with_a_timeout_that_says_how_long_it_was() -> Outcome {
    let head = b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n[".to_vec();
    for bytes in [Vec::new(), head] {
        let silent = Played { bytes, then: Then::Hang };
        let late = read_with(silent, |config| config.request_timeout(Duration::from_millis(80))).await?;
        let late = late.err().ok_or("an answer from nobody")?;
        assert_eq!(late.kind(), Kind::Timeout);
        assert!(late.to_string().contains("no complete answer within 80ms"), "{late}");
    }
    Ok(())
}

#[tokio::test]
async fn e14_deregistering_what_is_not_there_is_fine_but_another_404_is_not() -> Outcome {
    let id = ServiceId::new("web-1")?;
    let text = "Unknown service ID \"web-1\". Ensure that the service ID is passed, not the service name.";
    let script = Script::start(vec![reply(404, "", text), reply(404, "", "404 page not found")]).await?;
    let consul = Consul::new(script.config()?);
    consul.deregister(&id).await?;
    let other = consul.deregister(&id).await.err().ok_or("a page that is not there")?;
    assert_eq!(other.kind(), Kind::NotFound);
    Ok(())
}

#[tokio::test]
async fn e15_a_redirect_is_not_followed() -> Outcome {
    let found = error(reply(301, "Location: http://elsewhere/\r\n", "")).await?;
    assert_eq!(found.kind(), Kind::Rejected);
    assert!(found.to_string().contains("redirects are not followed"), "{found}");
    Ok(())
}

#[tokio::test]
async fn e16_an_instance_that_cannot_be_read_costs_itself_and_a_wrong_type_the_answer() -> Outcome {
    let two = format!("[{0},{1}]", entry("70000"), entry("80"));
    assert_eq!(read(json(two)).await??, (1, 7));
    let wrong = format!("[{0},{1}]", entry("\"80\""), entry("80"));
    let found = error(json(wrong)).await?;
    assert_eq!(found.kind(), Kind::Malformed);
    assert!(found.chain().contains("invalid type: string \"80\""), "{}", found.chain());
    Ok(())
}

fn entry(port: &str) -> String {
    ONE.trim_start_matches('[')
        .trim_end_matches(']')
        .replace(":80}", &format!(":{port}}}"))
        .replace("[]}]", "[]}")
}

#[tokio::test]
async fn a_connection_is_used_again() -> Outcome {
    let closing = Played { then: Then::Close, ..json(ONE) };
    let script = Script::start(vec![json(ONE), closing, json(ONE)]).await?;
    let consul = Consul::new(script.config()?);
    for _again in 0..3 {
        // A connection that the server closed is noticed and replaced; the call that finds it broken may say so.
        match consul.service(&web()?).await {
            Ok(answer) => assert_eq!(answer.value.len(), 1),
            Err(broken) => assert!(broken.is_retryable(), "{}", broken.chain()),
        }
    }
    Ok(())
}
