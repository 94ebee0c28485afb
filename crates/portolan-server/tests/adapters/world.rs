//! Instances of a service `web`, each a server with a thread and a runtime of its own, and an embedded registry.
//!
//! An instance that is killed loses its runtime, and so every task and every connection, whatever they are doing; its
//! port stays taken, and refuses. The registry is not told, as after `kill -9`.

use std::{
    net::{SocketAddr, TcpListener as Bound},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use axum::{Router, extract::Request, response::Response};
use http::StatusCode;
use portolan::{Address, Config, Discovery, Registration, RegistrationHandle, Resolver};
use portolan_server::{Embedded, ServerConfig};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::Failure;

/// More than anything here takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// More requests than a test sends to one instance.
const MANY: usize = 4096;

/// A server that can be killed.
pub(crate) struct Killable {
    pub(crate) at: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Keeps the port from being given to another.
    held: Option<TcpSocket>,
}

impl Killable {
    pub(crate) fn start<S>(serve: impl FnOnce(TcpListener) -> S + Send + 'static) -> Result<Self, Failure>
    where
        S: Future<Output = ()>,
    {
        let bound = Bound::bind("127.0.0.1:0")?;
        bound.set_nonblocking(true)?;
        let at = bound.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(bound);
                let serve = async {
                    if let Ok(listener) = listener {
                        serve(listener).await;
                    }
                };
                tokio::select! {
                    () = serve => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { at, stop: Some(stop), thread: Some(thread), held: None })
    }

    pub(crate) fn kill(&mut self) -> Result<(), Failure> {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_panic| "the server panicked")?;
        }
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.at)?;
        self.held = Some(socket);
        Ok(())
    }
}

/// What an instance does with a request.
#[derive(Debug)]
pub(crate) struct Behaviour {
    /// The status of its answers.
    pub(crate) status: AtomicU16,
    /// Whether it never answers.
    pub(crate) hangs: AtomicBool,
}

/// An instance of `web` over HTTP, and the requests that have reached it.
pub(crate) struct Web {
    pub(crate) server: Killable,
    pub(crate) behaviour: Arc<Behaviour>,
    pub(crate) seen: mpsc::Receiver<http::request::Parts>,
    _registered: RegistrationHandle,
}

impl Web {
    /// The next request that has reached it.
    pub(crate) async fn next(&mut self) -> Result<http::request::Parts, Failure> {
        Ok(timeout(LONG, self.seen.recv()).await?.ok_or("the instance is gone")?)
    }

    /// How many have reached it that were not looked at.
    pub(crate) fn count(&mut self) -> usize {
        let mut count = 0;
        while self.seen.try_recv().is_ok() {
            count += 1;
        }
        count
    }

    pub(crate) fn hangs(&self, hangs: bool) {
        self.behaviour.hangs.store(hangs, Ordering::SeqCst);
    }

    pub(crate) fn says(&self, status: u16) {
        self.behaviour.status.store(status, Ordering::SeqCst);
    }
}

/// A registry, and two programs with views of it: that of the instances, and that of the callers.
pub(crate) struct World {
    pub(crate) owners: Discovery,
    pub(crate) callers: Discovery,
}

impl World {
    pub(crate) fn new() -> Result<Self, Failure> {
        let registry = Arc::new(Embedded::start(ServerConfig::default())?);
        let owners = Discovery::with_registry(Arc::clone(&registry) as _, Config::default());
        Ok(Self { owners, callers: Discovery::with_registry(registry, Config::default()) })
    }

    /// Registers what listens there; no check will ever find it dead.
    pub(crate) async fn register(&self, id: &str, at: SocketAddr) -> Result<RegistrationHandle, Failure> {
        let web = Registration::new("web", at.port()).id(id).address(Address::Given(at.ip().to_string()));
        Ok(self.owners.register(web).await?)
    }

    /// Instances `web-0`, `web-1` and so on, which answer with their id; the callers know all of them.
    pub(crate) async fn web<const COUNT: usize>(&self) -> Result<[Web; COUNT], Failure> {
        let mut all = Vec::new();
        for number in 0..COUNT {
            let id = format!("web-{number}");
            let behaviour = Behaviour { status: AtomicU16::new(200), hangs: AtomicBool::new(false) };
            let behaviour = Arc::new(behaviour);
            let (told, seen) = mpsc::channel(MANY);
            let router = router(id.clone(), Arc::clone(&behaviour), told);
            let server = Killable::start(|listener| async move {
                let served = axum::serve(listener, router).await;
                assert!(served.is_ok(), "{served:?}");
            })?;
            let registered = self.register(&id, server.at).await?;
            all.push(Web { server, behaviour, seen, _registered: registered });
        }
        self.known(COUNT).await?;
        all.try_into().map_err(|_other| "as many as were asked for".into())
    }

    /// The callers' resolver, once it knows so many instances.
    pub(crate) async fn known(&self, count: usize) -> Result<Resolver, Failure> {
        let web = self.callers.service("web").await?;
        web.watch().wait_until(|snapshot| snapshot.instances().len() == count, LONG).await?;
        Ok(web)
    }
}

fn router(id: String, behaviour: Arc<Behaviour>, told: mpsc::Sender<http::request::Parts>) -> Router {
    let answer = move |request: Request| {
        let (id, behaviour, told) = (id.clone(), Arc::clone(&behaviour), told.clone());
        async move {
            // Nobody may have wanted to look.
            let _unseen = told.try_send(request.into_parts().0);
            if behaviour.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            let mut answer = Response::new(axum::body::Body::from(id));
            let status = behaviour.status.load(Ordering::SeqCst);
            *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
            answer
        }
    };
    Router::new().fallback(answer)
}
