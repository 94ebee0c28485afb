//! Traces reach a collector: one written for this test, which decodes what it gets. And the log names the same trace.

use std::{collections::BTreeMap, net::SocketAddr};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value, trace::v1::Span,
};
use prost::Message as _;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::timeout,
};

#[path = "registries/both.rs"]
#[expect(dead_code, reason = "no real Consul is asked here")]
mod both;

use both::{DEADLINE, Outcome, portolan};

/// What a caller's own tracing would send.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A request as it came: its first line, its headers, its body.
struct Posted {
    line: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// Reads one request of a connection, and answers that all of it was taken.
async fn take(stream: &mut BufReader<TcpStream>) -> Outcome<Posted> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").ok_or("a post has a length")?.parse()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
    stream.get_mut().write_all(answer).await?;
    Ok(Posted { line: line.trim_end().to_owned(), headers, body })
}

fn texts(attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes
        .iter()
        .map(|pair| {
            (
                pair.key.clone(),
                pair.value.as_ref().and_then(|any| any.value.as_ref()).map_or_else(String::new, text),
            )
        })
        .collect()
}

/// Asks the registry once, as a part of the caller's trace.
async fn ask(registry: SocketAddr, path: &str) -> Outcome<String> {
    let mut stream = TcpStream::connect(registry).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {registry}\r\nConnection: close\r\ntraceparent: 00-{TRACE}-{PARENT}-01\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_request_to_the_registry_is_a_span_of_its_callers_trace() -> Outcome {
    let collector = TcpListener::bind("127.0.0.1:0").await?;
    let mut serve = portolan(&["serve", "-dev", "--http-addr", "127.0.0.1:0", "-vv", "--log-format", "json"]);
    serve
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector.local_addr()?))
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=shop")
        .env("OTEL_SERVICE_NAME", "edge-registry")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        .env("OTEL_BSP_SCHEDULE_DELAY", "50");
    let mut child = serve.spawn()?;
    let mut said = BufReader::new(child.stdout.take().ok_or("stdout is piped")?).lines();
    let first = timeout(DEADLINE, said.next_line()).await??.ok_or("it serves")?;
    let url =
        first.split_whitespace().find_map(|word| word.strip_prefix("http://")).ok_or("it says where")?;
    let answer = ask(url.parse()?, "/v1/agent/service/none?token=secret").await?;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");

    let (stream, _) = timeout(DEADLINE, collector.accept()).await??;
    let posted = timeout(DEADLINE, take(&mut BufReader::new(stream))).await??;
    assert_eq!(posted.line, "POST /v1/traces HTTP/1.1");
    assert_eq!(posted.headers.get("content-type").map(String::as_str), Some("application/x-protobuf"));
    assert_eq!(posted.headers.get("x-tenant").map(String::as_str), Some("shop"));

    let sent = ExportTraceServiceRequest::decode(posted.body.as_slice())?;
    let of = sent.resource_spans.first().ok_or("a resource")?;
    let resource = texts(&of.resource.as_ref().ok_or("it says whose")?.attributes);
    assert_eq!(resource.get("service.name").map(String::as_str), Some("edge-registry"));
    assert_eq!(resource.get("deployment.environment.name").map(String::as_str), Some("test"));
    let spans: Vec<&Span> = of.scope_spans.iter().flat_map(|scope| &scope.spans).collect();
    let span = spans.first().ok_or("a span")?;
    assert_eq!(span.name, "http_request");
    assert_eq!(
        (hexadecimal(&span.trace_id), hexadecimal(&span.parent_span_id)),
        (TRACE.to_owned(), PARENT.to_owned())
    );
    assert_eq!(span.kind, 2, "a server's");
    let fields = texts(&span.attributes);
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/v1/agent/service/"),
        ("url.path", "/v1/agent/service/none"),
        ("http.response.status_code", "404"),
    ] {
        assert_eq!(fields.get(name).map(String::as_str), Some(value), "{fields:?}");
    }
    assert!(!format!("{sent:?}").contains("secret"), "a token is no part of a trace");
    Ok(())
}

#[tokio::test]
async fn a_line_of_the_log_names_its_trace() -> Outcome {
    let collector = TcpListener::bind("127.0.0.1:0").await?;
    let mut serve = portolan(&["serve", "-dev", "--http-addr", "127.0.0.1:0", "-vv", "--log-format", "json"]);
    serve.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector.local_addr()?));
    let mut child = serve.spawn()?;
    let mut said = BufReader::new(child.stdout.take().ok_or("stdout is piped")?).lines();
    let first = timeout(DEADLINE, said.next_line()).await??.ok_or("it serves")?;
    let url =
        first.split_whitespace().find_map(|word| word.strip_prefix("http://")).ok_or("it says where")?;
    ask(url.parse()?, "/v1/agent/self").await?;
    let body = r#"{"Node":"far","Address":"192.0.2.1"}"#;
    let mut stream = TcpStream::connect(url).await?;
    let request = format!(
        "PUT /v1/catalog/register HTTP/1.1\r\nHost: {url}\r\nContent-Length: {}\r\ntraceparent: 00-{TRACE}-{PARENT}-01\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut lines = BufReader::new(child.stderr.take().ok_or("stderr is piped")?).lines();
    let named = async {
        while let Some(line) = lines.next_line().await? {
            let line: serde_json::Value = serde_json::from_str(&line)?;
            if line["fields"]["message"] == "the catalogue changed" {
                return Ok::<_, both::Failure>(line);
            }
        }
        Err("the log ended without that line".into())
    };
    let line = timeout(DEADLINE, named).await??;
    assert_eq!(line["trace_id"], TRACE, "{line}");
    assert_eq!(line["span_id"].as_str().map(str::len), Some(16), "{line}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_spoken_is_refused_by_its_name() -> Outcome {
    let mut command = portolan(&["services"]);
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let ran = both::Ran::from(timeout(DEADLINE, command.output()).await??);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.starts_with("error: OTEL_EXPORTER_OTLP_PROTOCOL: \"grpc\""), "{ran:?}");
    Ok(())
}
