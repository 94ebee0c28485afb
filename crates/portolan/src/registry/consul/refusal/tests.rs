//! A row for each status and text; names start with the rule's number in COMPATIBILITY.md.

use super::*;

const REQUEST: &str = "http://127.0.0.1:8500: GET /v1/health/service/my%20web";

fn error(status: u16, body: &str) -> Error {
    refused(REQUEST, StatusCode::from_u16(status).unwrap(), body.as_bytes())
}

#[test]
fn e1_403_and_401_are_denied_and_not_retried() {
    for (status, body) in
        [(403, "Permission denied"), (403, "ACL not found"), (401, "ACL support disabled"), (407, "")]
    {
        let error = error(status, body);
        assert_eq!(error.kind(), Kind::Denied);
        assert!(!error.is_retryable());
        assert!(error.to_string().ends_with("; check the token and its policies"), "{error}");
    }
}

#[test]
fn e2_404_is_not_found() {
    let error = error(404, "Unknown check ID \"x\". Ensure that the check ID is passed, not the check name.");
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(
        error.to_string(),
        format!(
            "{REQUEST}: 404: Unknown check ID \"x\". Ensure that the check ID is passed, not the check name"
        )
    );
}

#[test]
fn e3_a_500_about_an_unknown_check_is_not_found() {
    for body in
        ["CheckID \"x\" does not have associated TTL", "Unknown check ID \"x\"", "Unknown service ID \"x\""]
    {
        assert_eq!(error(500, body).kind(), Kind::NotFound, "{body}");
    }
}

#[test]
fn e4_429_is_busy_and_names_the_setting_that_is_likely_meant() {
    let connections = "Your IP is issuing too many concurrent connections, please rate limit your calls\n";
    for (body, hint) in [
        (connections, "http_max_conns_per_client"),
        ("", "http_max_conns_per_client"),
        ("rate limit exceeded", ""),
    ] {
        let error = error(429, body);
        assert_eq!(error.kind(), Kind::Busy);
        assert!(error.is_retryable() && error.to_string().contains(hint), "{error}");
    }
}

#[test]
fn e5_503_is_busy() {
    assert_eq!(error(503, "try again later").kind(), Kind::Busy);
}

#[test]
fn e6_other_500s_are_unavailable_and_retryable() {
    for (status, body) in [
        (500, "No cluster leader"),
        (500, "No path to datacenter"),
        (500, "No known Consul servers"),
        (500, "rpc error making call: EOF"),
        (502, "<html>bad gateway"),
        (504, ""),
        (408, ""),
        (599, ""),
    ] {
        let error = error(status, body);
        assert_eq!(error.kind(), Kind::Unavailable, "{status} {body}");
        assert!(error.is_retryable());
    }
}

#[test]
fn e7_what_is_wrong_with_the_request_is_rejected() {
    for (status, body) in [
        (400, "Invalid index"),
        (405, "method GET not allowed"),
        (413, "Request body too large"),
        (301, ""),
        (500, "Failed to create boolean expression evaluator: Selector \"X\" is not valid"),
        (500, "Service name a b contains invalid characters. Valid characters include all alpha-numerics"),
    ] {
        let error = error(status, body);
        assert_eq!(error.kind(), Kind::Rejected, "{status} {body}");
        assert!(!error.is_retryable());
    }
}

#[test]
fn e8_a_text_is_cut_to_its_first_line_and_200_characters() {
    let long = format!("{}\nsecond line", "ü".repeat(500));
    assert_eq!(error(500, &long).to_string(), format!("{REQUEST}: 500: {}", "ü".repeat(200)));
    let mixed = refused(REQUEST, StatusCode::INTERNAL_SERVER_ERROR, b"\xff\xfe\x1b[31mred\x00\n");
    assert!(!mixed.to_string().contains('\x1b'), "{mixed}");
}

#[test]
fn what_to_do_is_said_where_it_is_known_and_nowhere_else() {
    let connections = "Your IP is issuing too many concurrent connections";
    for (status, body, advice) in [
        (403, "", Some("check the token and its policies")),
        (
            429,
            connections,
            Some("raise the agent's limits.http_max_conns_per_client, or reach it over https"),
        ),
        (
            429,
            " \n",
            Some(
                "the agent's limit is reached; likely limits.http_max_conns_per_client or its request rate limit",
            ),
        ),
        (429, "rate limit exceeded", None),
        (503, "", None),
        (503, "try again later", None),
        (301, "", Some("redirects are not followed; give the address it leads to")),
        (400, "Invalid index", None),
        (404, "<html>", Some("that is a web page; check that the address is a Consul agent's")),
        (404, "", None),
        (500, "", None),
    ] {
        let said = error(status, body).to_string();
        let text = if body.trim().is_empty() { String::new() } else { format!(": {body}") };
        let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
        assert_eq!(said, format!("{REQUEST}: {status}{text}{advice}"));
    }
}

#[test]
fn a_web_page_is_no_answer_of_a_registry_unless_it_says_that_somebody_is_ill() {
    let page = "\n<!DOCTYPE html>\n<title>Not found</title>";
    for (status, kind) in
        [(404, Kind::Malformed), (405, Kind::Malformed), (403, Kind::Denied), (502, Kind::Unavailable)]
    {
        let found = error(status, page);
        assert_eq!(found.kind(), kind, "{status}");
        assert!(found.to_string().contains("<!DOCTYPE html>"), "{found}");
    }
    assert_eq!(error(404, "<x>").kind(), Kind::NotFound);
}

#[test]
fn what_is_no_answer_is_shown_by_its_first_line() {
    for (body, shown) in [
        ("", ""),
        (" \n", ""),
        ("\n <html>\nmore", "it begins with \"<html>\"; "),
        ("SSH-2.0\r\n", "it begins with \"SSH-2.0\"; "),
    ] {
        assert_eq!(begins(body.as_bytes()), shown, "{body:?}");
    }
    let long = "é".repeat(1000);
    assert_eq!(begins(long.as_bytes()).chars().filter(|c| *c == 'é').count(), SHOWN);
}
