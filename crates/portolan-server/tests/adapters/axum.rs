//! A router that is registered while it is served.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use portolan::{
    Check, Config, Discovery, Drain, HealthConfig, HealthEndpoint, Kind, Registration, Status,
    integrate::{axum::Serve, hyper::Client},
};
use tokio::{
    net::TcpListener,
    sync::{Notify, oneshot, watch},
    task::JoinSet,
    time::timeout,
};

use crate::{
    Failure,
    world::{LONG, World},
};

const SECOND: Duration = Duration::from_secs(1);

/// The body and the status of `path`, asked of the one instance by its address.
async fn ask(at: SocketAddr, path: &str) -> Result<(u16, String), Failure> {
    let pool: hyper_util::client::legacy::Client<_, Full<Bytes>> =
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let answer = pool.get(format!("http://{at}{path}").parse()?).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Answers at once, and at `/slow` when it is released.
fn app(entered: &Arc<Notify>, release: &Arc<Notify>) -> Router {
    let (entered, release) = (Arc::clone(entered), Arc::clone(release));
    let slow = move || {
        let (entered, release) = (Arc::clone(&entered), Arc::clone(&release));
        async move {
            entered.notify_one();
            release.notified().await;
            "slow"
        }
    };
    Router::new().route("/", get(|| async { "web" })).route("/slow", get(slow))
}

#[tokio::test]
async fn it_is_announced_when_it_is_ready_and_drained_before_it_ends() -> Result<(), Failure> {
    let world = World::new()?;
    let (ready, is_ready) = oneshot::channel::<()>();
    let (stop, stopped) = oneshot::channel::<()>();
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let app = app(&entered, &release);
    let health = HealthEndpoint::open(HealthConfig::default())?;
    let serve = Serve::new(Registration::new("web", 0), app)
        .health(health)
        .drain(Drain::default().settle(SECOND).deadline(LONG))
        .ready(async {
            is_ready.await.ok();
        });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?;
    let owners = world.owners.clone();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let stop = async {
            stopped.await.ok();
        };
        serve.run_on(&owners, listener, stop).await
    });

    // It listens, and is known, and not in service.
    let web = world.known(1).await?;
    assert_eq!(ask(at, "/").await?, (200, "web".to_owned()));
    assert_eq!(ask(at, "/readyz").await?.0, 503);
    let shown = |status: Status| {
        move |known: &portolan::Snapshot| known.instances().iter().all(|one| one.status == status)
    };
    web.watch().wait_until(shown(Status::Maintenance), LONG).await?;
    assert!(web.pick().is_err());
    ready.send(()).ok();
    web.watch().wait_until(shown(Status::Passing), LONG).await?;
    assert_eq!(web.pick()?.port, at.port());
    assert_eq!(ask(at, "/readyz").await?.0, 200);

    // One request is in flight when it is asked to end.
    let client: Client<Full<Bytes>> = Client::new(&world.callers);
    let mut asking = JoinSet::new();
    asking.spawn(async move {
        let request = Request::builder().uri("http://web/slow").body(Full::default())?;
        let answer = client.request(request).await?;
        Ok::<_, Failure>(answer.into_body().collect().await?.to_bytes())
    });
    timeout(LONG, entered.notified()).await?;
    stop.send(()).ok();
    // Callers know before it refuses anybody.
    let chosen = async {
        while let Ok(pick) = web.pick() {
            assert_eq!(ask(at, "/").await?.0, 200, "{pick:?}");
        }
        Ok::<_, Failure>(())
    };
    timeout(LONG, chosen).await??;
    assert!(serving.try_join_next().is_none(), "a request is in flight");
    release.notify_one();
    let answer = timeout(LONG, asking.join_next()).await?.ok_or("it was spawned")???;
    assert_eq!(answer, "slow");
    timeout(LONG, serving.join_next()).await?.ok_or("it was spawned")???;
    web.watch().wait_until(|known| known.instances().is_empty(), LONG).await?;
    assert!(ask(at, "/").await.is_err(), "it listens no more");
    Ok(())
}

#[tokio::test]
async fn an_end_before_it_is_ready_leaves_nothing_and_a_bad_address_is_named() -> Result<(), Failure> {
    let world = World::new()?;
    let owners = world.owners.clone();
    let (told, mut begun) = watch::channel(false);
    let serve = Serve::new(Registration::new("web", 0).check(Check::http("/health")), Router::new()).ready(
        async move {
            told.send_replace(true);
            std::future::pending::<()>().await;
        },
    );
    let stop = async {
        begun.wait_for(|begun| *begun).await.ok();
    };
    timeout(LONG, serve.run(&owners, ([127, 0, 0, 1], 0).into(), stop)).await??;
    let web = world.callers.service("web").await?;
    web.watch().wait_until(|known| known.instances().is_empty(), LONG).await?;

    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let at = taken.local_addr()?;
    let serve = Serve::new(Registration::new("web", 0), Router::new());
    let error = serve.run(&owners, at, std::future::pending()).await.err().ok_or("it is taken")?;
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.to_string().contains(&at.to_string()), "{error}");
    Ok(())
}

/// A registry that is away does not keep a program from serving.
#[tokio::test]
async fn it_serves_while_the_registry_is_away() -> Result<(), Failure> {
    let nowhere = portolan::ConsulConfig::default().address("http://127.0.0.1:1")?;
    let discovery = Discovery::new(Config::default().consul(nowhere));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?;
    let app = Router::new().route("/", get(|| async { "web" }));
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        Serve::new(Registration::new("web", 0), app)
            .run_on(&discovery, listener, std::future::pending())
            .await
    });
    let asked = async {
        loop {
            if let Ok(answer) = ask(at, "/").await {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(timeout(LONG, asked).await?, (200, "web".to_owned()));
    Ok(())
}
