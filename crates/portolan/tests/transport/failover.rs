//! Several addresses of one registry, over sockets: reads go to the next when the first is gone, and come back; what
//! belongs to registrations stays with the first.

use std::time::Duration;

use portolan::{
    Kind, Registry as _, ServiceId, ServiceName,
    registry::{
        ServiceQuery,
        consul::{Consul, ConsulConfig},
    },
};

use crate::script::{Failure, Played, Script, Then, json};

type Outcome = Result<(), Failure>;

const BROKEN: Played = Played { bytes: Vec::new(), then: Then::Close };

/// A reply on a connection that ends with it, so that the next request opens another.
fn last(body: &str) -> Played {
    Played { then: Then::Close, ..json(body) }
}

fn query() -> Result<ServiceQuery, Failure> {
    Ok(ServiceQuery::new(ServiceName::new("web")?))
}

fn consul(addresses: &[&Script]) -> Result<Consul, Failure> {
    let texts: Vec<String> = addresses.iter().map(|at| format!("127.0.0.1:{}", at.port())).collect();
    Ok(Consul::new(ConsulConfig::default().addresses(texts)?))
}

#[tokio::test]
async fn reads_move_to_the_next_address_and_nobody_waits_there_on_an_index_of_the_first() -> Outcome {
    let first = Script::start(vec![last("[]"), BROKEN]).await?;
    let second = Script::start(vec![json("[]")]).await?;
    let consul = consul(&[&first, &second])?;
    let both = format!(
        "Consul at http://127.0.0.1:{}, its reads also at http://127.0.0.1:{}",
        first.port(),
        second.port()
    );
    assert_eq!(consul.describe(), both);
    let index = consul.service(&query()?).await?.meta.index;
    for _again in 0..2 {
        let error = consul.service(&query()?).await.err().ok_or("an answer of nobody")?;
        assert_eq!(error.kind(), Kind::Unreachable);
        assert!(error.to_string().contains(&first.port().to_string()), "{error}");
    }
    // The index is one of the first address: it is not sent to the second.
    let waits = query()?.block(index, Duration::from_secs(30));
    let moved = consul.service(&waits).await.err().ok_or("a stream with a part missing")?;
    assert!(moved.kind() == Kind::Moved && moved.is_retryable(), "{moved}");
    assert!(moved.to_string().contains(&second.port().to_string()), "{moved}");
    let anew = consul.service(&query()?).await?.meta.index;
    assert!(consul.service(&query()?.block(anew, Duration::from_secs(30))).await.is_ok());

    let error = consul.deregister(&ServiceId::new("web-1")?).await.err().ok_or("the second has no such")?;
    assert!(error.to_string().contains(&first.port().to_string()), "{error}");
    Ok(())
}

#[tokio::test]
async fn when_the_first_answers_again_reads_return_to_it_after_minutes() -> Outcome {
    let leader = || last("\"127.0.0.1:8300\"");
    // Gone; then back without a leader; then well.
    let played = vec![BROKEN, BROKEN, last("\"\""), leader(), last("[]")];
    let mut first = Script::start(played).await?;
    let mut second = Script::start(vec![last("[]")]).await?;
    let consul = consul(&[&first, &second])?;
    for _again in 0..2 {
        assert!(consul.service(&query()?).await.is_err());
        first.request().await?;
    }
    for (tried, at_first) in [(false, false), (true, false), (true, true)] {
        if tried {
            // The clock jumps; nothing sleeps.
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(301)).await;
            tokio::time::resume();
        }
        consul.service(&query()?).await?;
        if tried {
            assert!(first.request().await?.starts_with("GET /v1/status/leader "));
        }
        let read = if at_first { first.request().await? } else { second.request().await? };
        assert!(read.starts_with("GET /v1/health/service/web?"), "{read}");
    }
    Ok(())
}
