//! Asks DNS for what HTTP names.
//!
//! In:  what was read by HTTP, and where DNS is. Out: what only one of them names, after a second look.
//!
//! Never: takes a DNS that does not answer for one that names nobody; asks for more than a few hundred services.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use portolan::{
    Registry, ServiceName,
    registry::{Consistency, ServiceQuery, consul::Consul},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{names, packet, seen::Seen};

/// How long DNS may take for one question.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many services are asked for.
const MOST: usize = 200;
/// Consul's own, where the agent does not tell it.
const DOMAIN: &str = "consul.";
const NO_SUCH_NAME: u8 = 3;

pub(super) async fn compare(client: &Consul, seen: &mut Seen, given: Option<&str>) {
    let registry: Arc<dyn Registry> = Arc::new(client.clone());
    let server = match place(&registry, seen, given).await {
        Ok(server) => server,
        Err(why) => return seen.unread("whether DNS and HTTP agree", format!("{why:#}")),
    };
    let domain = seen.agent.dns_domain.clone().unwrap_or_else(|| DOMAIN.to_owned());
    let names: Vec<Arc<str>> = seen.services.keys().cloned().collect();
    if names.len() > MOST {
        let rest = names.len().saturating_sub(MOST);
        seen.unread(format!("whether DNS and HTTP agree on {rest} services"), "only the first are asked for");
    }
    for name in names.iter().take(MOST) {
        let question = format!("{name}.service.{domain}");
        let only = seen.agent.dns_only_passing;
        let known = seen.services.get(name).map(|all| names::expected(all, only)).unwrap_or_default();
        let found = match ask(server, &question).await {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(why) => {
                let what = format!("whether DNS at {server} and HTTP agree on {name}");
                seen.unread(what, format!("{why:#}"));
                // One that does not answer at all is not asked again.
                return;
            }
        };
        if names::compare(name, &known, &found).is_none() {
            continue;
        }
        // Something may have changed in between.
        if let (Some(http), Ok(Some(dns))) =
            (again(&registry, name, only).await, ask(server, &question).await)
        {
            seen.disagreements.extend(names::compare(name, &http, &dns));
        }
    }
}

async fn place(registry: &Arc<dyn Registry>, seen: &Seen, given: Option<&str>) -> anyhow::Result<SocketAddr> {
    let text = match (given, seen.agent.dns_port, registry.endpoint()) {
        (Some(given), _, _) => given.to_owned(),
        (None, Some(port), Some(endpoint)) => {
            let host = endpoint.rsplit_once(':').map_or(&*endpoint, |(host, _port)| host);
            format!("{host}:{port}")
        }
        _ => bail!("the agent does not tell where its DNS is; give --dns HOST:PORT"),
    };
    let mut found = tokio::net::lookup_host(&text).await.with_context(|| format!("--dns {text}"))?;
    found.next().ok_or_else(|| anyhow!("--dns {text}: no such host"))
}

async fn again(registry: &Arc<dyn Registry>, name: &str, only_passing: bool) -> Option<BTreeSet<String>> {
    let query = ServiceQuery::new(ServiceName::new(name).ok()?).consistency(Consistency::Default);
    let answer = registry.service(&query).await.ok()?;
    Some(names::expected(&answer.value, only_passing))
}

/// What DNS names: nothing for a name that no packet can carry. `None`: the answer was cut short.
async fn ask(server: SocketAddr, name: &str) -> anyhow::Result<Option<BTreeSet<String>>> {
    // Nobody else speaks on this connection.
    const ID: u16 = 1;
    let Some(question) = packet::ask(ID, name) else { return Ok(Some(BTreeSet::new())) };
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_u16(u16::try_from(question.len())?).await?;
        stream.write_all(&question).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = timeout(PATIENCE, exchange).await.context("no answer in 3s")??;
    let said = packet::read(&answer, ID).context("the answer is no DNS")?;
    match said.code {
        0 | NO_SUCH_NAME => Ok((!said.cut).then_some(said.places)),
        code => bail!("DNS refuses with code {code}"),
    }
}
