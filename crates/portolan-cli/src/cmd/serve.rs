//! `portolan serve`: the embedded registry, until Ctrl-C or SIGTERM.
//!
//! In:  flags. Out: the addresses on stdout once it listens, then whatever clients ask.
//!
//! Never: ignores a flag that it cannot honour; says that it listens before it does; drops anything before it said so.

use std::{ffi::OsString, io, net::SocketAddr, path::PathBuf};

use anyhow::anyhow;
use clap::Args as ClapArgs;
use portolan_server::{Certificates, Repair, Server, ServerConfig, faults::Faults};
use tokio::task::spawn_blocking;

mod acl;
mod dns;
mod door;
#[cfg(unix)]
mod files;

use self::acl::AclArgs;
use super::{
    faults::{FaultArgs, RULES},
    signal::{Ending, Hangup},
};
use crate::{
    config::Shell,
    exit::{Exit, Usage, say},
    log, output,
};

const EXAMPLES: &str = "\
Examples:
  portolan serve
  portolan serve --data-dir /var/lib/portolan
  portolan serve -dev
  portolan serve --https-addr 0.0.0.0:8501 --tls-cert registry.pem --tls-key registry.key --tls-client-ca ca.pem
  portolan serve --http-addr 0.0.0.0:8500 --datacenter edge --node box-7 --allow-host registry.example
  portolan serve --acl-default-policy deny
  portolan serve --dns-addr 0.0.0.0:53 --dns-ttl '*=5s' --recursor 192.0.2.53
  portolan serve -dev --fault 'GET /v1/health/service/* empty-lower 0.05'

What it acknowledged is on disk, and is back at the next start; --ephemeral and -dev keep it in memory, and forget it.

It speaks Consul's HTTP interface, so what speaks to Consul can speak to it: set CONSUL_HTTP_ADDR to its address.
It speaks its DNS interface too: dig @127.0.0.1 -p 8600 web.service.consul SRV.
Its web page is at /ui/ of the HTTP address; before another registry, `portolan ui` serves it.
It is asked under its own names: addresses, localhost, --node, and what its certificate is for; see --allow-host for others.
Ctrl-C and SIGTERM stop it, and it ends with 0.";

#[derive(Debug, ClapArgs)]
#[command(after_help = format!("{EXAMPLES}\n\n{}\n\n{RULES}", door::LIMITS))]
pub(crate) struct Args {
    /// Where to listen for HTTP; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8500", value_parser = address)]
    http_addr: SocketAddr,
    /// Where to keep what must survive a restart. Default: `portolan` in `$XDG_STATE_HOME`, or in `~/.local/state`.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["ephemeral", "dev"])]
    data_dir: Option<PathBuf>,
    /// Tell what cannot be saved of a damaged data directory, drop that, and keep the old file beside the new one.
    #[arg(long, conflicts_with_all = ["ephemeral", "dev"])]
    repair: bool,
    /// Keep everything in memory, and forget it at the end.
    #[arg(long)]
    ephemeral: bool,
    /// The same as --ephemeral; `-dev` is accepted too.
    #[arg(long)]
    dev: bool,
    /// The name of the datacenter.
    #[arg(long, value_name = "NAME")]
    datacenter: Option<String>,
    /// The name of this node.
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Leave out the web page, which is at `/ui/` of the HTTP address.
    #[arg(long)]
    no_ui: bool,
    /// Accept script checks. Whoever can register can then run any program as this user.
    #[arg(long)]
    enable_script_checks: bool,
    #[command(flatten)]
    acl: AclArgs,
    #[command(flatten)]
    dns: dns::DnsArgs,
    #[command(flatten)]
    door: door::DoorArgs,
    #[command(flatten)]
    faults: FaultArgs,
    /// Whoever can connect may show and change the faults: GET, PUT and DELETE at `/v1/portolan/faults`.
    #[arg(long, help_heading = "Faults")]
    faults_endpoint: bool,
}

pub(super) fn address(text: &str) -> Result<SocketAddr, Usage> {
    let named = text.strip_prefix(':').map(|port| format!("0.0.0.0:{port}"));
    let text = named.as_deref().unwrap_or(text).replace("localhost:", "127.0.0.1:");
    text.parse().map_err(|_cause| Usage("write ADDRESS:PORT, as in 127.0.0.1:8500 or [::1]:8500".to_owned()))
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "files are counted on unix only"))]
    let mut config = configured(&args)?;
    #[cfg(unix)]
    {
        config.limits = files::granted(config.limits, shell);
    }
    if args.repair {
        repair(config.clone(), shell).await?;
    }
    let (kept, faults) = (config.data_dir.clone(), config.faults.clone());
    let mut ending = Ending::listen()?;
    let (datacenter, node) = (config.datacenter.clone(), config.node.clone());
    let server = Server::bind(config).await.map_err(|error| in_use(error, &args))?;
    let addr = server.http_addr();
    let mut told = format!("portolan serves HTTP at http://{addr} (datacenter {datacenter}, node {node})\n");
    if let Some(addr) = server.https_addr() {
        told.push_str(&format!("portolan serves HTTPS at https://{addr}\n"));
    }
    if let Some(addr) = server.dns_addr() {
        told.push_str(&format!("portolan serves DNS at {addr}\n"));
    }
    if !args.no_ui {
        told.push_str(&format!("portolan shows its page at http://{addr}/ui/\n"));
    }
    let certificates = server.certificates();
    let hangup = if certificates.is_some() { Hangup::listen()? } else { Hangup::ignored() };
    output::print(&told)?;
    if let Some(dir) = kept {
        shell.hint(&format!("what is registered is kept in {}", dir.display()));
    }
    if faults.as_ref().is_some_and(|faults| !faults.plan().is_empty()) {
        shell.hint("some answers are wrong on purpose: faults are asked for");
    }
    if args.acl.want_bootstrap() {
        shell.hint(&format!(
            "the first token that may do everything, unless it was made: curl -X PUT http://{addr}/v1/acl/bootstrap"
        ));
    }
    server.exposed().iter().for_each(|warning| shell.hint(warning));
    let renewed = renew(hangup, certificates);
    let asked = async move {
        tokio::select! {
            ended = ending.asked() => {
                if let Err(error) = ended {
                    tracing::error!(error = format!("{error:#}"), "no signal can be received any more: stopping");
                }
            }
            () = renewed => {}
        }
    };
    tokio::select! {
        () = server.run(asked) => {}
        () = args.faults.follow(faults.as_ref()) => {}
    }
    Ok(Exit::Fine)
}

/// Whether all can be honoured, as far as that can be told without starting.
///
/// # Errors
/// Which flag cannot be.
pub(crate) fn check(args: &Args) -> anyhow::Result<()> {
    configured(args)?.validate()?;
    Ok(())
}

/// The server's settings, or which flag cannot be honoured.
fn configured(args: &Args) -> Result<ServerConfig, Usage> {
    let mut config =
        ServerConfig::default().http_addr(args.http_addr).enable_script_checks(args.enable_script_checks);
    if !(args.ephemeral || args.dev) {
        let dir = args.data_dir.clone().or_else(|| state_dir(|name| std::env::var_os(name)));
        let dir = dir.ok_or_else(|| {
            Usage(
                "--data-dir: there is no home directory to keep data in; name one, or give --ephemeral"
                    .to_owned(),
            )
        })?;
        config = config.data_dir(Some(dir));
    }
    config = args.acl.put_into(config)?.ui(!args.no_ui);
    if let Some(name) = &args.datacenter {
        config = config.datacenter(name);
    }
    if let Some(name) = &args.node {
        config = config.node(name);
    }
    config = args.dns.apply(args.door.apply(config)?)?;
    config.adopt_span = log::adopt();
    if let Some(plan) = args.faults.plan()? {
        config = config.faults(Some(Faults::new(plan)));
    }
    Ok(config.faults_endpoint(args.faults_endpoint))
}

/// Where this user's programs keep their state. A relative path counts for nothing (XDG Base Directory Specification).
fn state_dir(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let states = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Some(states?.join("portolan"))
}

/// Says what is lost, then drops it.
async fn repair(config: ServerConfig, shell: &Shell) -> anyhow::Result<()> {
    let found = spawn_blocking(move || Repair::survey(&config)).await??;
    let Some(repair) = found else {
        shell.hint("the data directory is sound: there is nothing to repair");
        return Ok(());
    };
    say(&format!("saved: {} nodes, instances and checks; lost:", repair.saved()));
    repair.dropped().iter().for_each(|line| say(&format!("  {line}")));
    let aside = spawn_blocking(move || repair.carry_out()).await??;
    say(&format!("repaired; the file as it was is {}", aside.display()));
    Ok(())
}

/// Has the certificates read again at each SIGHUP; what is wrong with them is in the log.
async fn renew(mut hangup: Hangup, certificates: Option<Certificates>) {
    loop {
        hangup.came().await;
        if let Some(certificates) = &certificates
            && certificates.reload().await.is_err()
        {
            tracing::warn!("mend the files and send SIGHUP again");
        }
    }
}

/// A port that is taken is said to be, with the flag that changes it.
fn in_use(error: portolan::Error, args: &Args) -> anyhow::Error {
    let text = error.to_string();
    let (https, dns) = (args.door.https_addr, args.dns.addr(args.http_addr));
    let (addr, flag) = match (https, dns) {
        (Some(addr), _) if text.starts_with("https_addr") => (addr, "--https-addr"),
        (_, Some(addr)) if text.starts_with("dns_addr") => (addr, "--dns-addr (`off`: no DNS)"),
        _ => (args.http_addr, "--http-addr"),
    };
    let error = anyhow::Error::new(error);
    let taken = error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse)
    });
    if taken {
        return anyhow!(
            "port {} at {} is in use; stop what listens there, or give another with {flag}",
            addr.port(),
            addr.ip()
        );
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_kept_where_the_user_keeps_state() {
        for (xdg, home, expected) in [
            (Some("/s"), Some("/h"), Some("/s/portolan")),
            (Some("relative"), Some("/h"), Some("/h/.local/state/portolan")),
            (None, Some("/h"), Some("/h/.local/state/portolan")),
            (None, Some(""), None),
            (None, None, None),
        ] {
            let variable = |name: &str| if name == "HOME" { home } else { xdg }.map(OsString::from);
            assert_eq!(state_dir(variable), expected.map(PathBuf::from), "{xdg:?} {home:?}");
        }
    }

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, expected) in [
            ("127.0.0.1:8500", Some("127.0.0.1:8500")),
            ("[::1]:0", Some("[::1]:0")),
            (":8500", Some("0.0.0.0:8500")),
            ("localhost:1", Some("127.0.0.1:1")),
            ("8500", None),
            ("127.0.0.1", None),
            ("127.0.0.1:99999", None),
            ("", None),
        ] {
            let read = address(text).ok().map(|addr| addr.to_string());
            assert_eq!(read.as_deref(), expected, "{text:?}");
        }
    }
}
