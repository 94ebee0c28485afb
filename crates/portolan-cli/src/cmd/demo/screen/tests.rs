//! The picture and the summary, compared with the text a person sees.

use super::*;
use crate::cmd::demo::tally::{Request, Try};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn row(id: &str, process: Process, status: Option<Status>) -> Row {
    Row {
        id: id.to_owned(),
        address: "127.0.0.1:4001".to_owned(),
        zone: "a".to_owned(),
        version: "1.0.0".to_owned(),
        process,
        status,
        rate: 25,
        picks: 100,
    }
}

fn picture() -> Picture {
    let event = |at, text: &str| Event { at: ms(at), text: text.to_owned(), ink: Ink::None };
    Picture {
        elapsed: ms(6_250),
        length: ms(30_000),
        registry: "http://127.0.0.1:8500".to_owned(),
        registry_state: "up".to_owned(),
        view: "live, 0.2 s old".to_owned(),
        rows: vec![
            row("web-1", Process::Running, Some(Status::Passing)),
            row("web-2", Process::Killed, Some(Status::Critical)),
            row("web-3", Process::Left, None),
        ],
        sent: 900,
        served: 900,
        retried: 3,
        lost: 0,
        events: vec![event(100, "first"), event(6_000, "web-2 gets SIGKILL")],
    }
}

#[test]
fn the_picture_shows_instances_totals_and_events() {
    let text = frame(&picture(), (100, 30), false).join("\n");
    let expected = "\
portolan demo   6.2 s of 30 s
registry  http://127.0.0.1:8500  up
view      live, 0.2 s old

INSTANCE  ADDRESS         ZONE  VERSION  PROCESS  VIEW SAYS  PICKS/S  PICKS
web-1     127.0.0.1:4001  a     1.0.0    running  passing    25       100
web-2     127.0.0.1:4001  a     1.0.0    killed   critical   25       100
web-3     127.0.0.1:4001  a     1.0.0    left     -          25       100

requests  900 sent, 900 answered, 3 tried again on another instance, 0 failed

  0.1 s  first
  6.0 s  web-2 gets SIGKILL";
    assert_eq!(text, expected);
}

#[test]
fn the_picture_fits_its_terminal_and_keeps_the_newest_events() {
    for (width, height) in [(60, 14), (20, 13), (0, 0), (1, 1)] {
        let lines = frame(&picture(), (width, height), true);
        assert!(lines.len() <= height, "{height}");
        for line in &lines {
            let mut bare = line.clone();
            while let Some((start, end)) = bare.find('\x1b').zip(bare.find('m')) {
                if end < start {
                    break;
                }
                bare.replace_range(start..=end, "");
            }
            assert!(bare.chars().count() <= width || bare.contains('\x1b'), "{width}: {bare:?}");
        }
    }
    let lines = frame(&picture(), (100, 13), false);
    assert_eq!(lines.last().map(String::as_str), Some("  6.0 s  web-2 gets SIGKILL"));
}

#[test]
fn a_cut_line_closes_its_colours() {
    assert_eq!(fit("\x1b[31mabcdef\x1b[0m", 3), "\x1b[31mabc\x1b[0m");
    assert_eq!(fit("zürich", 2), "zü");
}

#[test]
fn the_summary_tells_each_story_and_the_verdict() {
    let mut tally = Tally::default();
    tally.act(Subject::Killed("web-2".to_owned()), ms(6_000));
    let attempt = |id: &str, at, failed: Option<&str>| Try {
        id: id.to_owned(),
        picked: ms(at),
        ended: ms(at + 2),
        failed: failed.map(str::to_owned),
    };
    let tries = vec![attempt("web-2", 6_010, Some("refused")), attempt("web-1", 6_013, None)];
    tally.request(&Request { tries, lost: None }, 5);
    tally.known(|_| true, ms(6_800));
    let expected = "
Summary
requests: 1 sent, 1 answered, 1 tried again on another instance, 0 failed

WHAT HAPPENED           AT     THE VIEW KNEW AFTER  FAILED TRIES  FAILED REQUESTS
web-2 killed (SIGKILL)  6.0 s  800 ms               1             0

- web-2 died without a word. 12 ms later the first try failed there and went to another instance; 800 ms after its death its check had failed and the view left it out.

No request failed that a live instance could have served.
";
    assert_eq!(summary(&tally, false), expected);
    tally.request(&Request { tries: Vec::new(), lost: Some("no instance".to_owned()) }, 5);
    let text = summary(&tally, false);
    assert!(text.contains("failed: no instance\n"), "{text}");
    assert!(
        text.ends_with("The demo failed. 1 requests failed that a live instance could have served.\n"),
        "{text}"
    );
}
