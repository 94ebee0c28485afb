//! `portolan ui`: the page, before any registry, until Ctrl-C or SIGTERM.
//!
//! In:  which registry, and where to listen on this machine. Out: the page's address on stdout, once it is there.
//!
//! Never: opens a browser; hands out the command's token unless it is told to; says that it listens before it does.

use std::net::SocketAddr;

use clap::Args as ClapArgs;
use portolan::registry::consul::{Consul, PassedToken};
use portolan_server::Page;

use super::{serve::address, signal::Ending};
use crate::{
    config::{RegistryArgs, Shell},
    exit::Exit,
    output,
};

const EXAMPLES: &str = "\
Examples:
  portolan ui
  portolan ui --registry https://consul.example:8501 --addr 127.0.0.1:8600
  CONSUL_HTTP_TOKEN_FILE=token portolan ui --with-token

`portolan serve` has the page by itself, at /ui/. This is for a Consul: it serves the page here, and passes on what
the page asks of the registry. Only this machine can reach it, and pages of others may not ask it. Where the registry
asks for tokens, each user gives their own in the page, where it is forgotten with the tab.
Ctrl-C and SIGTERM stop it, and it ends with 0.";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where to listen, on this machine alone; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0", value_parser = address)]
    addr: SocketAddr,
    /// Ask with this command's token where the page brings none. Then every user of this machine has its rights.
    #[arg(long)]
    with_token: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    let registry = Consul::new(args.registry.consul()?);
    let shown = portolan::Registry::describe(&registry);
    let token = if args.with_token { PassedToken::OrOurs } else { PassedToken::Theirs };
    let mut ending = Ending::listen()?;
    let page = Page::bind(args.addr, registry, token).await?;
    output::print(&format!("portolan shows {shown} at http://{}/ui/\n", page.addr()))?;
    if args.with_token {
        shell.hint("whoever can connect on this machine has the rights of this command's token");
    }
    let asked = async move {
        if let Err(error) = ending.asked().await {
            tracing::error!(error = format!("{error:#}"), "no signal can be received any more: stopping");
        }
    };
    page.run(asked).await;
    Ok(Exit::Fine)
}
