//! The libraries that people use instead, each as its documentation shows it.
//!
//! Pingora hands out a clone of the backend. Tower's balancer needs `&mut`, so each thread has one of its own: two
//! threads of it do not share what they know of the load.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use anyhow::Context as _;
use foldhash::fast::FixedState;
use pingora_load_balancing::{
    Backend, Backends, LoadBalancer,
    discovery::Static,
    selection::{BackendIter, BackendSelection, Consistent, Random, RoundRobin},
};
use tower::{Service, balance::p2c::Balance, discover::ServiceList, load::Load};

use crate::{
    fixture::place,
    handle::keys,
    limits::{Dice, Row, found, p2c_port, rows},
    measure::{Case, Kind},
    walk::Walk,
};

pub(crate) fn handle(instances: u16) -> anyhow::Result<Vec<Case>> {
    Ok(vec![
        pingora::<RoundRobin>("pingora select, round robin", instances)?,
        pingora::<Random>("pingora select, random", instances)?,
        pingora::<Consistent>("pingora select, consistent", instances)?,
        tower(instances),
    ])
}

/// One select of pingora: by its documentation, a key, which only the consistent policy needs, and at most so many tries.
fn pingora<S>(name: &str, instances: u16) -> anyhow::Result<Case>
where
    S: BackendSelection + Send + Sync + 'static,
    S::Iter: BackendIter,
{
    let backend = |number| {
        let (address, port) = place(number);
        Backend::new(&format!("{address}:{port}"))
    };
    let backends: BTreeSet<Backend> =
        (0..instances).map(backend).collect::<Result<_, _>>().ok().context("pingora: a backend")?;
    let balancer = LoadBalancer::<S>::from_backends(Backends::new(Static::new(backends)));
    let update = balancer.update();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(update).ok().context("pingora: update")?;
    let balancer = Arc::new(balancer);
    Ok(Case::new(Kind::Peer, name, move |thread| {
        let (balancer, mut next_key) = (Arc::clone(&balancer), keys(thread));
        move || {
            balancer
                .select(&next_key(), 256)
                .map_or(0, |backend| backend.addr.as_inet().map_or(0, |at| at.port()))
        }
    }))
}

/// An instance as a service that answers with its port at once.
struct Answers {
    port: u16,
    in_flight: Arc<()>,
}

impl Load for Answers {
    type Metric = usize;

    fn load(&self) -> usize {
        Arc::strong_count(&self.in_flight)
    }
}

impl Service<()> for Answers {
    type Response = u16;
    type Error = Infallible;
    type Future = Ready<Result<u16, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(self.port))
    }
}

/// One `poll_ready` and one `call` of tower's balancer.
fn tower(instances: u16) -> Case {
    Case::new(Kind::Peer, "tower p2c, a balancer each thread", move |_| {
        let services =
            (0..instances).map(|number| Answers { port: place(number).1, in_flight: Arc::default() });
        let list = ServiceList::new::<()>(services.collect::<Vec<_>>());
        let mut balance = Balance::new(list);
        move || {
            let mut context = Context::from_waker(Waker::noop());
            match balance.poll_ready(&mut context) {
                Poll::Ready(Ok(())) => drop(std::hint::black_box(balance.call(()))),
                Poll::Ready(Err(_)) | Poll::Pending => {}
            }
        }
    })
}

pub(crate) fn by_name(names: &Arc<[String]>, walk: &(impl Fn(usize) -> Walk + Clone + 'static)) -> Vec<Case> {
    let all = || names.iter().map(|name| (name.clone(), Arc::new(rows(3))));
    let dash: Arc<dashmap::DashMap<String, Arc<Vec<Row>>>> = Arc::new(all().collect());
    let dash_fold: Arc<dashmap::DashMap<String, Arc<Vec<Row>>, FixedState>> = Arc::new(all().collect());
    let dash_pick = Arc::clone(&dash);
    let moka = moka::sync::Cache::new(names.len() as u64 * 2);
    all().for_each(|(name, rows)| moka.insert(name, rows));
    moka.run_pending_tasks();
    let (walk_dash, walk_fold, walk_pick, walk_moka) =
        (walk.clone(), walk.clone(), walk.clone(), walk.clone());
    vec![
        Case::new(Kind::Peer, "DashMap", move |thread| {
            let (map, mut walk) = (Arc::clone(&dash), walk_dash(thread));
            move || found(map.get(walk.next()).as_deref())
        }),
        Case::new(Kind::Peer, "DashMap (foldhash)", move |thread| {
            let (map, mut walk) = (Arc::clone(&dash_fold), walk_fold(thread));
            move || found(map.get(walk.next()).as_deref())
        }),
        Case::new(Kind::Peer, "moka", move |thread| {
            let (map, mut walk) = (moka.clone(), walk_moka(thread));
            move || found(map.get(walk.next()).as_ref())
        }),
        Case::new(Kind::Peer, "DashMap + slice, p2c", move |thread| {
            let (map, mut walk, mut dice) = (Arc::clone(&dash_pick), walk_pick(thread), Dice::new(thread));
            move || map.get(walk.next()).map_or(0, |rows| p2c_port(&rows, &mut dice))
        }),
    ]
}
