//! The files are all there, are what they should be, and are sent as they should be.

use std::{collections::BTreeSet, fs, path::Path};

use http_body_util::BodyExt;

use super::*;

fn sources() -> Vec<(String, String)> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ui");
    let paths = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.extension().is_none_or(|extension| extension != "rs"));
    files
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn request(method: &str, path: &str, known: Option<&str>) -> Request<()> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(known) = known {
        request = request.header(header::IF_NONE_MATCH, known);
    }
    request.body(()).unwrap()
}

fn header_of<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn every_file_of_the_directory_is_a_part_of_the_program() {
    let there: BTreeSet<String> = sources().into_iter().map(|(name, _)| name).collect();
    let served: BTreeSet<String> = BY_NAME.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(served, there);
}

#[test]
fn every_module_that_is_imported_is_there() {
    for (name, text) in sources() {
        for line in text.lines().filter(|line| line.starts_with("import ") || line.starts_with("} from ")) {
            let from = line.split("'./").nth(1).and_then(|rest| rest.split('\'').next());
            let from = from.unwrap_or_else(|| panic!("{name}: {line}: modules are imported from './…'"));
            assert!(BY_NAME.contains_key(from), "{name} imports {from}");
        }
    }
}

#[test]
fn no_text_can_become_html_and_nothing_comes_from_elsewhere() {
    for (name, text) in sources() {
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "DOMParser",
            "createContextualFragment",
            "eval(",
            "new Function",
            "setAttribute('style'",
            "javascript:",
            "srcdoc",
            " style=",
            "<script>",
        ] {
            assert!(!text.contains(word), "{name} says {word}");
        }
        let foreign = text.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !foreign.contains("http://") && !foreign.contains("https://") && !foreign.contains("//cdn"),
            "{name}"
        );
    }
}

#[test]
fn files_are_small_and_say_what_they_are_for() {
    for (name, text) in sources() {
        assert!(text.lines().count() <= 400, "{name} is over 400 lines");
        let code = name.ends_with(".js") || name.ends_with(".css");
        assert!(!code || text.starts_with("/*\n * "), "{name} has no header");
    }
}

#[tokio::test]
async fn a_file_is_sent_with_what_a_browser_may_do_with_it() {
    let response = file(&request("GET", "/ui/", None)).unwrap();
    assert_eq!((response.status(), header_of(&response, "content-type")), (StatusCode::OK, HTML));
    assert_eq!(header_of(&response, "content-security-policy"), POLICY);
    assert_eq!(header_of(&response, "x-content-type-options"), "nosniff");
    assert_eq!(header_of(&response, "cache-control"), "no-cache");
    let tag = header_of(&response, "etag").to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"<!doctype html>"));

    for known in [tag.clone(), format!("W/{tag}"), format!("\"old\", {tag}"), "*".to_owned()] {
        let response = file(&request("GET", "/ui/", Some(&known))).unwrap();
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(header_of(&response, "etag"), tag);
        assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
    let other = file(&request("GET", "/ui/", Some("\"old\""))).unwrap();
    assert_eq!(other.status(), StatusCode::OK);
}

#[test]
fn each_path_is_the_pages_or_not() {
    for (method, path, status, says) in [
        ("GET", "/", Some(301), "/ui/"),
        ("GET", "/ui", Some(301), "/ui/"),
        ("GET", "/ui/main.js", Some(200), ""),
        ("HEAD", "/ui/icon.svg", Some(200), ""),
        ("GET", "/ui/../ui.rs", Some(404), ""),
        ("GET", "/ui/tests.rs", Some(404), ""),
        ("GET", "/ui/dc1/services", Some(404), ""),
        ("PUT", "/ui/main.js", Some(405), ""),
        ("GET", "/v1/agent/self", None, ""),
        ("GET", "/uix/main.js", None, ""),
    ] {
        let response = file(&request(method, path, None));
        let got = response.as_ref().map(|response| response.status().as_u16());
        assert_eq!(got, status, "{method} {path}");
        if let Some(response) = response {
            assert_eq!(header_of(&response, "location"), says, "{method} {path}");
        }
    }
    assert!(
        answer(&ServerConfig::default(), &request("GET", "/ui/", None)).is_none(),
        "it was not asked for"
    );
    assert!(answer(&ServerConfig::default().ui(true), &request("GET", "/ui/", None)).is_some());
}
