//! Where a caller is, and what it prefers.
//!
//! In:  flags, and the environment that programs read too. Out: the library's own preferences.

use clap::Args;
use portolan::{Locality, Prefer, Select};

/// The flags of a caller's place and preferences.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Near {
    /// What is preferred, the most important first: node, zone, zone=callers:PERCENT,among:COUNT, region, tag=TAG,
    /// meta=KEY=VALUE or priority=KEY; may be given several times.
    #[arg(long, value_name = "WHAT", help_heading = "Preferences")]
    prefer: Vec<Prefer>,
    /// The caller's node, over `PORTOLAN_NODE`.
    #[arg(long, help_heading = "Preferences")]
    node: Option<String>,
    /// The caller's zone, over `PORTOLAN_ZONE`.
    #[arg(long, help_heading = "Preferences")]
    zone: Option<String>,
    /// The caller's region, over `PORTOLAN_REGION`.
    #[arg(long, help_heading = "Preferences")]
    region: Option<String>,
}

impl Near {
    /// Where the caller is, by the flags, else by the environment.
    pub(crate) fn locality(&self) -> Locality {
        let mut here = Locality::from_env();
        for (flag, known) in
            [(&self.node, &mut here.node), (&self.zone, &mut here.zone), (&self.region, &mut here.region)]
        {
            if let Some(flag) = flag {
                *known = Some(flag.as_str().into());
            }
        }
        here
    }

    /// The same with these preferences.
    pub(crate) fn prefer(&self, select: Select) -> Select {
        self.prefer.iter().cloned().fold(select, Select::prefer)
    }
}
