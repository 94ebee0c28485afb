//! What was made for an instance lives as long as that, and not for another address.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use super::*;
use crate::{Address, Config, Discovery, Registration, registry::memory::Memory};

const LONG: Duration = Duration::from_secs(20);

fn web(id: &str, port: u16) -> Registration {
    Registration::new("web", port).id(id).address(Address::Given("127.0.0.1".into()))
}

/// By hand, for a keeper would let nobody move what it keeps.
async fn put(discovery: &Discovery, id: &str, port: u16) {
    let definition = discovery.define(&web(id, port)).await.unwrap();
    discovery.registry().register(&definition).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn it_is_made_once_made_anew_for_another_port_and_dropped_with_its_instance() {
    let discovery = Discovery::with_registry(Arc::new(Memory::new()), Config::default());
    let first = discovery.register(web("web-1", 1)).await.unwrap();
    put(&discovery, "web-2", 2).await;
    let web = discovery.service("web").await.unwrap();
    web.watch().wait_until(|snapshot| snapshot.instances().len() == 2, LONG).await.unwrap();

    let (made, count) = (PerInstance::new(&web), AtomicU32::new(0));
    let number = || Ok::<_, Infallible>(count.fetch_add(1, Ordering::Relaxed));
    let endpoints = || web.explain().usable;
    for _ in 0..3 {
        let got: Vec<u32> = endpoints().iter().map(|endpoint| made.get(endpoint, number).unwrap()).collect();
        assert_eq!((got, made.len()), (vec![0, 1], 2));
    }
    let old = endpoints();
    first.close().await.unwrap();
    web.watch().wait_until(|snapshot| snapshot.instances().len() == 1, LONG).await.unwrap();
    let dropped = async {
        while made.len() > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, dropped).await.unwrap();
    // Picked before it was gone: it is made, and not kept.
    assert_eq!((made.get(&old[0], number).unwrap(), made.len()), (2, 1));

    put(&discovery, "web-2", 3).await;
    web.watch().wait_until(|snapshot| snapshot.instances()[0].port == 3, LONG).await.unwrap();
    assert_eq!((made.get(&endpoints()[0], number).unwrap(), made.len()), (3, 1));
}
