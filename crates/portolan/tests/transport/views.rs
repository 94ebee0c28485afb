//! What a view does with answers that are no good: it stays as it was, shares what did not change, and says what failed.

use std::{sync::Arc, time::Duration};

use portolan::{Config, Discovery, Kind, registry::consul::Consul};

use crate::script::{Failure, Played, Script, reply};

const HEADERS: &str = "Content-Type: application/json\r\nX-Consul-Index: ";
const LONG: Duration = Duration::from_secs(10);

/// An answer with two instances, of which the second has this port.
fn answer(index: u64, port: u16) -> Played {
    let entry = |id: &str, port: u16| {
        format!(
            r#"{{"Node":{{"Node":"n","Address":"10.0.0.1"}},"Service":{{"ID":"{id}","Service":"web","Port":{port}}}}}"#
        )
    };
    reply(200, &format!("{HEADERS}{index}\r\n"), format!("[{},{}]", entry("a", 80), entry("b", port)))
}

#[tokio::test]
async fn e11_after_an_answer_over_the_limit_or_a_damaged_one_a_view_stays_as_it_was() -> Result<(), Failure> {
    let over = reply(200, &format!("{HEADERS}8\r\n"), " ".repeat(10_000));
    let damaged = reply(200, &format!("{HEADERS}8\r\n"), r#"[{"Node":{"Node":"n"#);
    for (bad, says) in [(over, "raise body_limit"), (damaged, "not the JSON")] {
        let script = Script::start(vec![answer(7, 81), bad, answer(9, 82)]).await?;
        let consul = Consul::new(script.config()?.body_limit(1_000));
        let discovery = Discovery::with_registry(Arc::new(consul), Config::default());
        let view = discovery.service("web").await?;
        let before = view.snapshot();
        let reader = view.watch();
        let failed =
            reader.wait_until(|now| now.failure().is_some() || now.freshness().index == 9, LONG).await?;
        if let Some(failure) = failed.failure() {
            assert!(failure.kind == Kind::Malformed && failure.text.contains(says), "{failure:?}");
            assert_eq!(failed.instances(), before.instances());
        }
        let after = reader.wait_until(|now| now.freshness().index == 9, LONG).await?;
        let ([a, b], [new_a, new_b]) = (before.instances(), after.instances()) else {
            return Err("two instances, before and after".into());
        };
        assert!(Arc::ptr_eq(a, new_a), "what did not change is the same allocation, also past a bad answer");
        assert_eq!((b.port, new_b.port), (81, 82));
        discovery.close(LONG).await?;
    }
    Ok(())
}
