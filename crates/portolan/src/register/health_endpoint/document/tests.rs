//! What is written, letter by letter.

use super::*;
use crate::register::health_endpoint::{
    flight::Taken,
    probe::{Finding, Weight},
};

fn part(name: &str, finding: Finding) -> Part {
    let at = tokio::time::Instant::now().into_std();
    let time = Duration::from_millis(1_795_618_156_250);
    Part { name: name.into(), weight: Weight::Required, taken: Taken { finding, at, time } }
}

#[test]
fn the_document_has_the_fields_of_the_draft() {
    let parts = [
        part("disk:utilization", Finding::warning("nearly full").observed(91.5, "percent")),
        part("database", Finding::passing()),
    ];
    let about = About {
        version: Some("1".into()),
        service_id: Some("web-1".into()),
        description: Some("the shop".into()),
    };
    let found: serde_json::Value =
        serde_json::from_str(&json(Status::Warning, true, &parts, &about)).unwrap();
    let time = "2026-11-25T14:49:16.250Z";
    let expected = serde_json::json!({
        "status": "warn",
        "version": "1",
        "serviceId": "web-1",
        "description": "the shop",
        "checks": {
            "database": [{ "status": "pass", "time": time }],
            "disk:utilization": [{
                "status": "warn", "observedValue": 91.5, "observedUnit": "percent", "time": time,
                "output": "nearly full"
            }],
        },
    });
    assert_eq!(found, expected);
}

#[test]
fn what_is_not_known_is_left_out_and_a_program_that_is_not_ready_says_so() {
    let found = json(Status::Critical, false, &[], &About::default());
    assert_eq!(found, r#"{"status":"fail","output":"not ready: the program says so","checks":{}}"#);
}

#[test]
fn one_that_says_nothing_has_no_output() {
    let found = json(Status::Critical, true, &[part("a", Finding::critical(""))], &About::default());
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["checks"]["a"][0].get("output"), None);
    assert_eq!(found["checks"]["a"][0]["status"], "fail");
}

#[test]
fn any_text_is_valid_json() {
    let odd = "\"\\\u{0}\u{7f}\u{2028}\n</script>";
    let found = json(Status::Critical, true, &[part("a", Finding::critical(odd))], &About::default());
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["checks"]["a"][0]["output"], odd);
}

#[test]
fn the_text_names_what_does_not_pass_a_line_each_and_never_a_time() {
    let parts = [
        part("database", Finding::critical("no connection\nto db-1\t")),
        part("queue", Finding::passing()),
        part("disk", Finding::warning("").observed(1.0, "percent")),
        part("long", Finding::warning("é".repeat(200))),
    ];
    let long = "é".repeat(120);
    let expected = format!(
        "fail\nnot ready: the program says so\ndatabase: fail, no connection to db-1\ndisk: warn\nlong: warn, {long}\n"
    );
    assert_eq!(text(Status::Critical, false, &parts), expected);
    assert_eq!(text(Status::Passing, true, &parts[1..2]), "pass\n");
}

#[test]
fn a_time_is_written_as_in_rfc_3339() {
    for (seconds, millis, expected) in [
        (0, 0, "1970-01-01T00:00:00.000Z"),
        (951_782_399, 999, "2000-02-28T23:59:59.999Z"),
        (951_782_400, 0, "2000-02-29T00:00:00.000Z"),
        (951_868_800, 0, "2000-03-01T00:00:00.000Z"),
        (1_709_164_800, 0, "2024-02-29T00:00:00.000Z"),
        (1_798_761_599, 1, "2026-12-31T23:59:59.001Z"),
        (1_798_761_600, 0, "2027-01-01T00:00:00.000Z"),
        (4_107_542_400, 0, "2100-03-01T00:00:00.000Z"),
        (LAST_SECOND, 0, "9999-12-31T23:59:59.000Z"),
        (u64::MAX, 0, "9999-12-31T23:59:59.000Z"),
    ] {
        assert_eq!(rfc3339(Duration::from_secs(seconds) + Duration::from_millis(millis)), expected);
    }
}
