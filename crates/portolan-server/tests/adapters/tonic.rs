//! The channel of tonic: instances that are killed under load, calls that were sent, deadlines.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use portolan::{RegistrationHandle, Retry, integrate::tonic::Channel};
use tokio::{sync::watch, task::JoinSet, time::timeout};
use tonic::{
    Code, Request, Response, Status,
    codegen::tokio_stream::{Stream, empty},
    transport::{Server, server::TcpIncoming},
};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_client::HealthClient,
    health_server::{Health, HealthServer},
};

use crate::{
    Failure,
    world::{Killable, LONG, World},
};

/// The method that all of these call.
const CHECK: &str = "/grpc.health.v1.Health/Check";

/// What an instance does.
#[derive(Debug, Default)]
struct Behaviour {
    hangs: AtomicBool,
    refuses: AtomicBool,
    reached: watch::Sender<usize>,
    /// Whether the last call had a `grpc-timeout`.
    had_deadline: AtomicBool,
}

#[derive(Clone, Debug)]
struct Cart(Arc<Behaviour>);

#[tonic::async_trait]
impl Health for Cart {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.0.had_deadline.store(request.metadata().contains_key("grpc-timeout"), Ordering::SeqCst);
        self.0.reached.send_modify(|count| *count += 1);
        if self.0.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.0.refuses.load(Ordering::SeqCst) {
            return Err(Status::unavailable("not now"));
        }
        Ok(Response::new(HealthCheckResponse::default()))
    }

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(Box::pin(empty())))
    }
}

struct Instance {
    server: Killable,
    behaviour: Arc<Behaviour>,
    _registered: RegistrationHandle,
}

impl Instance {
    async fn start(world: &World, number: usize) -> Result<Self, Failure> {
        let behaviour = Arc::new(Behaviour::default());
        let cart = Cart(Arc::clone(&behaviour));
        let server = Killable::start(|listener| async move {
            let router = Server::builder().add_service(HealthServer::new(cart));
            let served = router.serve_with_incoming(TcpIncoming::from(listener)).await;
            assert!(served.is_ok(), "{served:?}");
        })?;
        let registered = world.register(&format!("web-{number}"), server.at).await?;
        Ok(Self { server, behaviour, _registered: registered })
    }

    fn reached(&self) -> usize {
        *self.behaviour.reached.borrow()
    }

    /// Returns when so many calls have reached it.
    async fn reached_by(&self, count: usize) -> Result<(), Failure> {
        let mut reached = self.behaviour.reached.subscribe();
        timeout(LONG, reached.wait_for(|reached| *reached >= count)).await??;
        Ok(())
    }
}

async fn instances<const COUNT: usize>(world: &World) -> Result<[Instance; COUNT], Failure> {
    let mut all = Vec::new();
    for number in 0..COUNT {
        all.push(Instance::start(world, number).await?);
    }
    world.known(COUNT).await?;
    all.try_into().map_err(|_other| "as many as were asked for".into())
}

async fn check(channel: Channel) -> Result<(), Status> {
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.map(drop)
}

/// Sixteen callers, 1,600 calls; in their midst an instance is killed with eight calls or more under way. How many fail?
async fn killed_under_load(retry: Retry) -> Result<usize, Failure> {
    const CALLERS: usize = 16;
    const CALLS: usize = 100;
    let world = World::new()?;
    let mut three: [Instance; 3] = instances(&world).await?;
    let channel = Channel::new(&world.known(3).await?).retry(retry).idempotent([CHECK]);
    let failed = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (channel, failed) = (channel.clone(), Arc::clone(&failed));
        callers.spawn(async move {
            for _ in 0..CALLS {
                if check(channel.clone()).await.is_err() {
                    failed.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
    }
    let [dying, ..] = &mut three;
    // By then the budget of retries holds more than what will be under way.
    dying.reached_by(150).await?;
    dying.behaviour.hangs.store(true, Ordering::SeqCst);
    let before = dying.reached();
    dying.reached_by(before + 3).await?;
    dying.server.kill()?;
    while let Some(ended) = timeout(LONG, callers.join_next()).await? {
        ended?;
    }
    Ok(failed.load(Ordering::SeqCst))
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the figure without retries is worth a line")]
async fn an_instance_that_is_killed_under_load_costs_no_call() -> Result<(), Failure> {
    let with = killed_under_load(Retry::default()).await?;
    let without = killed_under_load(Retry::default().tries(1)).await?;
    println!("tonic_killed: of 1600 calls {with} failed with retries, {without} without");
    assert_eq!(with, 0);
    assert!(without >= 3, "those under way at least: {without}");
    Ok(())
}

#[tokio::test]
async fn a_call_that_was_sent_is_not_sent_twice_unless_its_method_does_no_harm() -> Result<(), Failure> {
    for idempotent in [false, true] {
        let world = World::new()?;
        let two: [Instance; 2] = instances(&world).await?;
        let mut channel = Channel::new(&world.known(2).await?);
        if idempotent {
            channel = channel.idempotent([CHECK]);
        }
        for one in &two {
            one.behaviour.hangs.store(true, Ordering::SeqCst);
        }
        let mut calling = JoinSet::new();
        calling.spawn(check(channel.clone()));
        let [mut first, mut second] = two;
        let (dying, other) = tokio::select! {
            reached = first.reached_by(1) => { reached?; (&mut first, &mut second) }
            reached = second.reached_by(1) => { reached?; (&mut second, &mut first) }
        };
        other.behaviour.hangs.store(false, Ordering::SeqCst);
        dying.server.kill()?;
        let ended = calling.join_next().await.ok_or("it was spawned")??;
        assert_eq!(ended.is_ok(), idempotent, "{ended:?}");
        assert_eq!(other.reached(), usize::from(idempotent));
        if let Err(status) = ended {
            assert_eq!(status.code(), Code::Unavailable);
            assert!(status.message().contains("may have been carried out"), "{status}");
        }
        // What cannot even connect was not sent, whatever the method.
        for _ in 0..20 {
            check(channel.clone()).await?;
        }
    }
    Ok(())
}

/// A server that takes every call, and refuses to process it.
fn refusing() -> Result<(Killable, watch::Receiver<usize>), Failure> {
    let (refused, count) = watch::channel(0);
    let server = Killable::start(|listener| async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let refused = refused.clone();
            connections.spawn(async move {
                let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                while let Some(Ok((_request, mut respond))) = connection.accept().await {
                    respond.send_reset(h2::Reason::REFUSED_STREAM);
                    refused.send_modify(|count| *count += 1);
                }
            });
        }
    })?;
    Ok((server, count))
}

#[tokio::test]
async fn a_call_that_was_refused_unprocessed_is_tried_elsewhere_whatever_its_method() -> Result<(), Failure> {
    let world = World::new()?;
    let (server, refused) = refusing()?;
    let _registered = world.register("web-9", server.at).await?;
    let one = Instance::start(&world, 0).await?;
    let channel = Channel::new(&world.known(2).await?);
    for _ in 0..20 {
        check(channel.clone()).await?;
    }
    assert_eq!(one.reached(), 20);
    assert!(*refused.borrow() > 0, "nothing was refused");
    Ok(())
}

#[tokio::test]
async fn a_status_that_says_that_the_instance_cannot_is_tried_elsewhere_or_told() -> Result<(), Failure> {
    let world = World::new()?;
    let two: [Instance; 2] = instances(&world).await?;
    two[0].behaviour.refuses.store(true, Ordering::SeqCst);
    let resolver = world.known(2).await?;
    let channel = Channel::new(&resolver).idempotent([CHECK]);
    for _ in 0..20 {
        check(channel.clone()).await?;
    }
    two[1].behaviour.refuses.store(true, Ordering::SeqCst);
    let told = check(Channel::new(&resolver)).await.err().ok_or("both refuse")?;
    assert_eq!((told.code(), told.message()), (Code::Unavailable, "not now"), "the server's own words");
    Ok(())
}

#[tokio::test]
async fn a_deadline_holds_for_all_tries_and_is_passed_on() -> Result<(), Failure> {
    let world = World::new()?;
    let one: [Instance; 1] = instances(&world).await?;
    one[0].behaviour.hangs.store(true, Ordering::SeqCst);
    let mut client = HealthClient::new(Channel::new(&world.known(1).await?).idempotent([CHECK]));
    let mut request = Request::new(HealthCheckRequest::default());
    request.set_timeout(Duration::from_millis(200));
    let late = timeout(LONG, client.check(request)).await?.err().ok_or("nothing answers")?;
    assert_eq!(late.code(), Code::DeadlineExceeded, "{late}");
    assert!(one[0].behaviour.had_deadline.load(Ordering::SeqCst));
    let nobody = world.callers.service("nobody").await?;
    let none = check(Channel::new(&nobody)).await.err().ok_or("there is nobody")?;
    assert_eq!(none.code(), Code::Unavailable);
    assert!(none.message().contains("nobody"), "{none}");
    Ok(())
}

/// Also that a port which nobody listens on is no reason to wait.
#[tokio::test]
async fn instances_come_and_go() -> Result<(), Failure> {
    let world = World::new()?;
    let nowhere: SocketAddr = ([127, 0, 0, 1], 1).into();
    let gone = world.register("web-9", nowhere).await?;
    let channel = Channel::new(&world.known(1).await?);
    assert_eq!(check(channel.clone()).await.err().ok_or("nobody listens")?.code(), Code::Unavailable);
    let come = Instance::start(&world, 0).await?;
    world.known(2).await?;
    gone.close().await?;
    world.known(1).await?;
    check(channel).await?;
    assert_eq!(come.reached(), 1);
    Ok(())
}
