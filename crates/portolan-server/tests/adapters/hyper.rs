//! The client over hyper.

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use portolan::{Attempt, Retry, integrate::hyper::Client};

use crate::{
    Failure, rules,
    world::{Web, World},
};

#[tokio::test]
async fn the_rules_of_requests_hold_over_hyper() -> Result<(), Failure> {
    let make = |world: &World| {
        let client: Client<Full<Bytes>> = Client::new(&world.callers);
        rules::Client::new(move |method, url, headers: HeaderMap| {
            let client = client.clone();
            async move {
                let request = Request::builder().method(method).uri(url).body(Full::from("x"));
                let mut request = request.map_err(|error| error.to_string())?;
                *request.headers_mut() = headers;
                let answer = client.request(request).await.map_err(|error| error.to_string())?;
                let status = answer.status().as_u16();
                let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
                Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
            }
        })
    };
    rules::hold(make).await
}

#[tokio::test]
async fn a_caller_who_judges_answers_has_them_whole() -> Result<(), Failure> {
    let world = World::new()?;
    let mut web: [Web; 2] = world.web().await?;
    let client: Client<Full<Bytes>> = Client::new(&world.callers);
    let resolver = world.known(2).await?;
    let ask = async |most: usize| {
        let attempt = |attempt: Attempt| {
            let (client, request) = (client.clone(), Request::new(Full::default()));
            async move {
                let answer = client.send_to(&attempt, request, most).await?;
                Ok((attempt.identity.id.to_string(), answer.into_body()))
            }
        };
        resolver.call(Retry::default(), attempt).await.map_err(|error| error.to_string())
    };
    let (id, body) = ask(5).await?;
    assert_eq!(id, body);
    let error = ask(4).await.err().ok_or("it is too long")?;
    assert!(error.contains("more than 4 bytes"), "{error}");
    for one in &mut web {
        one.says(502);
    }
    let error = ask(5).await.err().ok_or("it is no answer")?;
    assert!(error.contains("502"), "{error}");
    Ok(())
}
