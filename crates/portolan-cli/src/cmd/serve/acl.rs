//! The flags of `portolan serve` about who may do what.
//!
//! In:  a default, a file with a token. Out: settings of the registry.
//!
//! Never: takes a secret on the command line, where every user of the machine sees it; shows one in an error.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use clap::{Args as ClapArgs, ValueEnum};
use portolan_server::{DefaultPolicy, Secret, ServerConfig};

use crate::exit::Usage;

/// The longest token file that is read: a token is 36 bytes.
const LIMIT: u64 = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Default {
    Allow,
    Deny,
}

#[derive(Debug, ClapArgs)]
pub(super) struct AclArgs {
    /// Turn access rules (Consul's ACLs) on: what callers may do where no rule says.
    #[arg(long, value_name = "POLICY", value_enum, help_heading = "Access rules")]
    acl_default_policy: Option<Default>,
    /// A file with the token (a UUID) that may do everything, there from the start. Turns access rules on, with `deny`
    /// unless another default is given.
    #[arg(long, value_name = "FILE", help_heading = "Access rules")]
    acl_initial_management_token_file: Option<PathBuf>,
}

impl AclArgs {
    /// Whether callers need rights.
    pub(super) fn are_on(&self) -> bool {
        self.acl_default_policy.is_some() || self.acl_initial_management_token_file.is_some()
    }

    /// Whether the first token is made by whoever asks for it first.
    pub(super) fn want_bootstrap(&self) -> bool {
        self.are_on() && self.acl_initial_management_token_file.is_none()
    }

    pub(super) fn put_into(&self, config: ServerConfig) -> Result<ServerConfig, Usage> {
        if !self.are_on() {
            return Ok(config);
        }
        let policy = match self.acl_default_policy {
            Some(Default::Allow) => DefaultPolicy::Allow,
            Some(Default::Deny) | None => DefaultPolicy::Deny,
        };
        let initial = self.acl_initial_management_token_file.as_deref().map(read).transpose()?;
        Ok(config.acl_enabled(true).acl_default_policy(policy).acl_initial_management(initial))
    }
}

fn read(path: &Path) -> Result<Secret, Usage> {
    let wrong =
        |what: &str| Usage(format!("--acl-initial-management-token-file: {}: {what}", path.display()));
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LIMIT).read_to_string(&mut text))
        .map_err(|cause| wrong(&format!("it cannot be read: {cause}")))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(wrong("it is empty; put a UUID into it, as uuidgen makes one"));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn args(policy: Option<Default>, file: Option<&Path>) -> AclArgs {
        AclArgs { acl_default_policy: policy, acl_initial_management_token_file: file.map(Path::to_owned) }
    }

    #[test]
    fn a_default_or_a_token_turns_the_rules_on() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        fs::write(&file, " 11111111-1111-4111-8111-111111111111\n").unwrap();
        for (args, on, policy, bootstrap) in [
            (args(None, None), false, DefaultPolicy::Deny, false),
            (args(Some(Default::Allow), None), true, DefaultPolicy::Allow, true),
            (args(Some(Default::Deny), None), true, DefaultPolicy::Deny, true),
            (args(None, Some(&file)), true, DefaultPolicy::Deny, false),
            (args(Some(Default::Allow), Some(&file)), true, DefaultPolicy::Allow, false),
        ] {
            let Ok(config) = args.put_into(ServerConfig::default()) else { panic!("{args:?}") };
            config.validate().unwrap();
            assert_eq!((config.acl_enabled, config.acl_default_policy), (on, policy), "{args:?}");
            assert_eq!((args.are_on(), args.want_bootstrap()), (on, bootstrap), "{args:?}");
            let wanted = args.acl_initial_management_token_file.is_some();
            assert_eq!(config.acl_initial_management.is_some(), wanted, "{args:?}");
        }
    }

    #[test]
    fn a_file_without_a_token_is_named_and_a_bad_token_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        let tried = || args(None, Some(&file)).put_into(ServerConfig::default());
        assert!(tried().is_err_and(|Usage(text)| text.contains("token: it cannot be read: ")));
        fs::write(&file, " \n").unwrap();
        assert!(tried().is_err_and(|Usage(text)| text.contains("token: it is empty; put a UUID into it")));
        fs::write(&file, "hunter2").unwrap();
        let Ok(config) = tried() else { panic!("it is a text") };
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains("not a UUID") && !error.contains("hunter2"), "{error}");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
