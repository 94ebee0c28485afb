//! `portolan faults`: a proxy before a real registry that injects faults, until Ctrl-C or SIGTERM; and the flags for
//! faults that it shares with `portolan serve`.
//!
//! In:  flags. Out: the address on stdout once it listens; then what the registry answers, but for the faults.
//!
//! Never: injects what no rule asked for; starts with a rule that it does not understand.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args as ClapArgs;
use portolan_server::faults::{Faults, Plan, Proxy, Rule};

use super::{serve::address, signal::Ending};
use crate::{
    config::Shell,
    exit::{Exit, Usage},
    output,
};

mod follow;

/// What a rule is, for the help of both commands.
pub(super) const RULES: &str = "\
A rule is METHOD PATH FAULT PROBABILITY: each * in the path stands for anything, the probability goes from 0 to 1, and
the first rule that hits a request is the only one. The same seed gives the same faults to the same requests.
Faults: lower-index, empty, empty-lower (no entries at a lower index), 403, 429, 500, 503, delay:TIME, drip:TIME (a byte
each so often), reset, reset-midway, silence (never answered), stall-midway, truncate, malformed, wrong-type, cut-gzip,
duplicate-headers, garbage-headers.";

const EXAMPLES: &str = "\
Examples:
  portolan faults --fault 'GET /v1/health/service/* empty-lower 0.05'
  portolan faults --upstream 10.0.0.5:8500 --listen 127.0.0.1:8510 --faults night.rules --fault-seed 7

Point the clients under test at it: CONSUL_HTTP_ADDR=http://127.0.0.1:8510. TLS passes through it without faults.
Ctrl-C and SIGTERM stop it, and it ends with 0.";

#[derive(Debug, ClapArgs)]
#[command(after_help = format!("{RULES}\n\n{EXAMPLES}"))]
pub(crate) struct Args {
    /// The registry to pass requests on to.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8500", value_parser = address)]
    upstream: SocketAddr,
    /// Where to listen; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8510", value_parser = address)]
    listen: SocketAddr,
    #[command(flatten)]
    faults: FaultArgs,
}

/// What goes wrong on purpose.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Faults")]
pub(crate) struct FaultArgs {
    /// A rule for what goes wrong on purpose; may be given more than once.
    #[arg(long, value_name = "RULE")]
    fault: Vec<String>,
    /// A file of such rules: one a line, # before a comment, `seed NUMBER` on a line of its own. They come after those
    /// of --fault. It is followed: a change counts within two seconds.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// The seed that chooses the requests that are hit; stands above the file's.
    #[arg(long, value_name = "NUMBER")]
    fault_seed: Option<u64>,
}

impl FaultArgs {
    /// The plan, or `None` when no fault is asked for.
    ///
    /// # Errors
    /// A rule or a file that is wrong, named.
    pub(crate) fn plan(&self) -> Result<Option<Plan>, Usage> {
        if self.fault.is_empty() && self.faults.is_none() {
            return match self.fault_seed {
                None => Ok(None),
                Some(_) => {
                    Err(Usage("--fault-seed: there are no faults; give --fault or --faults, too".to_owned()))
                }
            };
        }
        let text = self.faults.as_deref().map(follow::read).transpose().map_err(Usage)?;
        self.with(text.as_deref()).map(Some)
    }

    /// The plan of the flags, and of a file that says this.
    fn with(&self, text: Option<&str>) -> Result<Plan, Usage> {
        let rules = self.fault.iter().map(|text| Rule::parse(text)).collect::<Result<Vec<_>, _>>();
        let mut plan = Plan::new(0, rules.map_err(|error| Usage(format!("--fault: {error}")))?);
        if let (Some(path), Some(text)) = (&self.faults, text) {
            let wrong = |error| Usage(format!("--faults {}: {error}", path.display()));
            let read = Plan::parse(text).map_err(wrong)?;
            plan = read.rules().iter().cloned().fold(plan, Plan::rule).seed(read.chosen_seed());
        }
        Ok(match self.fault_seed {
            Some(seed) => plan.seed(seed),
            None => plan,
        })
    }
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    let plan = args.faults.plan()?;
    if plan.is_none() {
        shell.hint("no faults are asked for, so everything passes as it is; give --fault or --faults");
    }
    let mut ending = Ending::listen()?;
    let faults = Faults::new(plan.unwrap_or_default());
    let proxy = Proxy::start(args.listen, args.upstream, faults).await?;
    output::print(&format!("portolan passes http://{} on to http://{}\n", proxy.addr(), args.upstream))?;
    tokio::select! {
        asked = ending.asked() => asked?,
        () = args.faults.follow(Some(proxy.faults())) => {}
    }
    let (requests, injected) = (proxy.counts().requests, proxy.faults().injected());
    shell.hint(&format!("{requests} requests passed; {injected} of them with a fault"));
    Ok(Exit::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(fault: &[&str], faults: Option<&str>, fault_seed: Option<u64>) -> FaultArgs {
        let fault = fault.iter().map(|rule| (*rule).to_owned()).collect();
        FaultArgs { fault, faults: faults.map(PathBuf::from), fault_seed }
    }

    #[test]
    fn rules_of_flags_come_before_those_of_the_file_and_its_seed_is_used_unless_another_is_given() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "seed 9\n* * 500 1\n").unwrap();
        let path = file.path().to_str();
        let plan = args(&["GET /a reset 1"], path, None).plan().unwrap().unwrap();
        let told: Vec<String> = plan.rules().iter().map(ToString::to_string).collect();
        assert_eq!(
            (told, plan.chosen_seed()),
            (vec!["GET /a reset 1".to_owned(), "* * 500 1".to_owned()], 9)
        );
        assert_eq!(args(&[], path, Some(3)).plan().unwrap().unwrap().chosen_seed(), 3);
        assert_eq!(args(&[], None, None).plan().unwrap(), None);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_flag() {
        for (args, says) in [
            (args(&["GET /a rest 1"], None, None), "--fault: fault \"GET /a rest 1\": \"rest\" is no fault"),
            (args(&[], Some("/no/such"), None), "--faults /no/such: No such file"),
            (args(&[], None, Some(1)), "--fault-seed: there are no faults"),
        ] {
            let error = args.plan().unwrap_err();
            assert!(error.0.starts_with(says), "{}", error.0);
        }
    }
}
