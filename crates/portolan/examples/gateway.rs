//! A gateway in a hundred lines: it follows the set of services, and forwards `/NAME/...` to an instance of `NAME`.
//!
//! Only services with the tag `public` can be reached. A service that appears has its route before its first request;
//! one that vanishes, or loses the tag, has it no more. Nothing is asked of the registry on the way of a request.
//!
//! ```text
//! cargo run -p portolan --example gateway                      # all in this process: shows itself, and ends
//! CONSUL_HTTP_ADDR=http://127.0.0.1:8500 \
//!     cargo run -p portolan --example gateway 127.0.0.1:8080   # in front of the services of a Consul
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, PoisonError},
    time::Duration,
};

use portolan::{
    Address, Catalog, Config, Discovery, Registration, RegistrationHandle, Resolver, Select,
    registry::memory::Memory,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long a request may take, whatever happens on its way.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of a request is read to find out where it goes.
const HEAD: usize = 8 * 1024;

/// Where requests go: a resolver for each public service.
#[derive(Clone, Default)]
struct Routes {
    #[expect(clippy::disallowed_types, reason = "held for a look-up, never over an await")]
    table: Arc<std::sync::Mutex<BTreeMap<Arc<str>, Resolver>>>,
}

impl Routes {
    fn find(&self, name: &str) -> Option<Resolver> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Makes the table what the catalogue says: what stays keeps its resolver, and its warm view.
    fn follow(&self, discovery: &Discovery, catalog: &Catalog) -> Outcome {
        let public =
            |name: &str| catalog.tags(name).is_some_and(|tags| tags.iter().any(|tag| &**tag == "public"));
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.retain(|name, _| public(name));
        // A service that is held has not been seen to go: its route stays too.
        for name in catalog.services().keys().chain(catalog.held().keys()).filter(|name| public(name)) {
            if !table.contains_key(name) {
                table.insert(Arc::clone(name), discovery.service_now(name, Select::default())?);
            }
        }
        println!("routes: {:?}", table.keys().collect::<Vec<_>>());
        Ok(())
    }
}

/// Keeps the routes as the catalogue has them, until the discovery is closed.
async fn follow(discovery: Discovery, routes: Routes) -> Outcome {
    let mut services = loop {
        match discovery.services().await {
            Ok(services) => break services,
            // The registry is not there yet; the watch goes on trying.
            Err(error) if error.is_retryable() => println!("{}", error.chain()),
            Err(error) => return Err(error.into()),
        }
    };
    loop {
        services.changed().await?;
        routes.follow(&discovery, &services.current())?;
    }
}

/// Forwards each connection to an instance of the service that its path begins with.
async fn serve(listener: TcpListener, routes: Routes) -> Outcome {
    let mut open = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await?;
        while open.try_join_next().is_some() {} // forget those that ended
        let routes = routes.clone();
        open.spawn(async move { tokio::time::timeout(PATIENCE, forward(client, &routes)).await });
    }
}

async fn forward(mut client: TcpStream, routes: &Routes) -> Outcome {
    let mut head = Vec::with_capacity(HEAD);
    while !head.contains(&b'\n') && head.len() < HEAD {
        if client.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let line = String::from_utf8_lossy(&head);
    let path = line.split(' ').nth(1).unwrap_or_default();
    let name = path.split('/').nth(1).unwrap_or_default();
    let Some(resolver) = routes.find(name) else {
        return refuse(&mut client, "404 Not Found", "no such service").await;
    };
    // The pick is counted as a request in flight until it is dropped.
    let picked = match resolver.pick() {
        Ok(picked) => picked,
        Err(none) => return refuse(&mut client, "503 Service Unavailable", &none.to_string()).await,
    };
    let Ok(mut instance) = TcpStream::connect((&*picked.address, picked.port)).await else {
        return refuse(&mut client, "502 Bad Gateway", &picked.authority()).await;
    };
    instance.write_all(&head).await?;
    copy_bidirectional(&mut client, &mut instance).await?;
    Ok(())
}

async fn refuse(client: &mut TcpStream, status: &str, why: &str) -> Outcome {
    let length = why.len();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{why}");
    Ok(client.write_all(answer.as_bytes()).await?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let Some(address) = std::env::args().nth(1) else { return show().await };
    let discovery = Discovery::new(Config::from_env()?);
    let routes = Routes::default();
    let listener = TcpListener::bind(address).await?;
    let followed = follow(discovery, routes.clone());
    tokio::try_join!(followed, serve(listener, routes))?;
    Ok(())
}

/// The whole of it in this process: two services, and what a client sees as they come and go.
async fn show() -> Outcome {
    let discovery = Discovery::with_registry(Arc::new(Memory::new()), Config::default());
    let routes = Routes::default();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let gateway = listener.local_addr()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(follow(discovery.clone(), routes.clone()));
    tasks.spawn(serve(listener, routes));

    let web = instance(&discovery, &mut tasks, "web", &["public"]).await?;
    let _private = instance(&discovery, &mut tasks, "db", &[]).await?;
    let until = |path: &'static str, status: &'static str| async move {
        loop {
            let answer = ask(gateway, path).await?;
            if answer.starts_with(status) {
                println!("{path}: {}", answer.replace("\r\n", " "));
                return Ok::<_, Box<dyn Error + Send + Sync>>(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, until("/web/", "HTTP/1.1 200")).await??;
    tokio::time::timeout(PATIENCE, until("/db/", "HTTP/1.1 404")).await??;
    web.close().await?;
    tokio::time::timeout(PATIENCE, until("/web/", "HTTP/1.1 404")).await??;
    Ok(discovery.close(PATIENCE).await?)
}

/// An instance that answers every request by its name.
async fn instance(
    discovery: &Discovery,
    tasks: &mut JoinSet<Outcome>,
    name: &'static str,
    tags: &[&str],
) -> Outcome<RegistrationHandle> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tasks.spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await?;
            let mut request = [0; 1024];
            let _length = client.read(&mut request).await?;
            refuse(&mut client, "200 OK", name).await?;
        }
    });
    let registration = Registration::ttl(name, port)
        .address(Address::Given("127.0.0.1".to_owned()))
        .tags(tags.iter().copied());
    let handle = discovery.register(registration).await?;
    handle.wait_healthy(PATIENCE).await?;
    Ok(handle)
}

async fn ask(gateway: std::net::SocketAddr, path: &str) -> Outcome<String> {
    let mut stream = TcpStream::connect(gateway).await?;
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
