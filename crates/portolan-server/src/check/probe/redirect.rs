//! Where a redirect leads, and what is asked there. PURE.
//!
//! In:  a request, and the answer that sends it elsewhere. Out: the next request, or why there is none.
//!
//! Never: leads to another scheme; takes credentials to another host.
//!
//! Rules from Go: net/http/client.go `redirectBehavior`, `shouldCopyHeaderOnRedirect`, `defaultCheckRedirect`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use http::{StatusCode, Uri};

use crate::state::rows::HttpProbe;

/// How many requests one run makes at most.
pub(super) const MOST: usize = 10;

const CREDENTIALS: [&str; 5] =
    ["authorization", "www-authenticate", "cookie", "cookie2", "proxy-authorization"];

/// Whether an answer sends elsewhere, where it says where.
pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The request that follows `asked`, which was answered with `status` and this `Location`.
pub(super) fn next(asked: &HttpProbe, status: StatusCode, location: &str) -> Result<HttpProbe, String> {
    let from: Uri = asked.url.parse().map_err(|bad: http::uri::InvalidUri| bad.to_string())?;
    let url = resolve(&from, location)?;
    let mut next = asked.clone();
    if !matches!(status.as_u16(), 307 | 308) {
        if &*asked.method != "HEAD" {
            next.method = "GET".into();
        }
        next.body = "".into();
    }
    let to: Uri = url.parse().map_err(|_bad: http::uri::InvalidUri| format!("redirected to {url:?}"))?;
    if to.scheme() != from.scheme() {
        let scheme = to.scheme_str().unwrap_or_default();
        return Err(format!("redirected to another scheme, {scheme}, which is not followed"));
    }
    if to.host() != from.host() {
        next.headers.retain(|name, _| !CREDENTIALS.contains(&name.to_ascii_lowercase().as_str()));
    }
    if to.authority() != from.authority() {
        next.headers.retain(|name, _| !name.eq_ignore_ascii_case("host"));
    }
    next.url = url.into();
    Ok(next)
}

/// A `Location` as seen from `from`: a whole URL, `//host/path`, `/path`, `?query`, or a path beside it.
fn resolve(from: &Uri, location: &str) -> Result<String, String> {
    let (Some(scheme), Some(authority)) = (from.scheme_str(), from.authority()) else {
        return Err("redirected from nowhere".to_owned());
    };
    let location = location.split('#').next().unwrap_or_default();
    let colon = location.find(':').unwrap_or(usize::MAX);
    if colon < location.find(['/', '?']).unwrap_or(usize::MAX) {
        return Ok(location.to_owned());
    }
    if location.starts_with("//") {
        return Ok(format!("{scheme}:{location}"));
    }
    let path = from.path();
    Ok(match location.chars().next() {
        Some('/') => format!("{scheme}://{authority}{location}"),
        Some('?') => format!("{scheme}://{authority}{path}{location}"),
        None => from.to_string(),
        Some(_) => {
            let beside = path.rsplit_once('/').map_or("", |(beside, _)| beside);
            format!("{scheme}://{authority}{beside}/{location}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str) -> HttpProbe {
        let header = |name: &str| (name.into(), vec!["x".into()]);
        HttpProbe {
            url: "http://a:1/x/y?q".into(),
            method: method.into(),
            headers: ["Cookie", "authorization", "X-A", "Host"].map(header).into(),
            body: "body".into(),
            redirects: true,
            trust: Default::default(),
        }
    }

    fn after(status: u16, location: &str) -> Result<HttpProbe, String> {
        next(&asked("PUT"), StatusCode::from_u16(status).unwrap(), location)
    }

    #[test]
    fn a_location_is_read_from_where_it_was_given() {
        for (location, expected) in [
            ("/z", "http://a:1/z"),
            ("z?w#f", "http://a:1/x/z?w"),
            ("?w", "http://a:1/x/y?w"),
            ("//b/z", "http://b/z"),
            ("http://b:2/", "http://b:2/"),
            ("", "http://a:1/x/y?q"),
        ] {
            assert_eq!(&*after(302, location).unwrap().url, expected, "{location:?}");
        }
    }

    #[test]
    fn another_scheme_is_not_followed() {
        for location in ["https://a:1/", "ftp://a/", "file:/etc/passwd", "javascript:x", "http://"] {
            assert!(after(302, location).is_err(), "{location}");
        }
        let says = after(302, "https://a:1/").unwrap_err();
        assert_eq!(says, "redirected to another scheme, https, which is not followed");
    }

    #[test]
    fn the_method_and_body_are_kept_by_307_and_308_alone() {
        for (status, method, body) in
            [(301, "GET", ""), (303, "GET", ""), (307, "PUT", "body"), (308, "PUT", "body")]
        {
            let next = after(status, "/z").unwrap();
            assert_eq!((&*next.method, &*next.body), (method, body), "{status}");
        }
        assert_eq!(&*next(&asked("HEAD"), StatusCode::FOUND, "/").unwrap().method, "HEAD");
    }

    #[test]
    fn credentials_stay_with_their_host() {
        let names = |probe: HttpProbe| probe.headers.keys().map(|name| name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(after(302, "/z").unwrap()), ["Cookie", "Host", "X-A", "authorization"]);
        assert_eq!(names(after(302, "http://a:2/z").unwrap()), ["Cookie", "X-A", "authorization"]);
        assert_eq!(names(after(302, "http://b:1/z").unwrap()), ["X-A"]);
    }
}
