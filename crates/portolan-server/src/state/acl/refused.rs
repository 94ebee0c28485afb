//! Why a change of tokens and policies was not made, in Consul's words. PURE.
//!
//! Never: tells a secret.

use std::fmt;

use crate::state::rows::Text;

/// Why such a command changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AclRefused {
    /// It was bootstrapped, at that index.
    Bootstrapped(u64),
    NameTaken(Text),
    NoPolicyToUpdate(Text),
    NoPolicyToRemove,
    NoPolicyWithId(Text),
    Builtin(Text),
    BuiltinRemoved(Text),
    AccessorTaken,
    SecretTaken,
    NoToken(Text),
    NoTokenToRemove,
    OtherSecret,
    OtherLocal(Text),
    OtherEnd(Text),
    AnonymousRemoved,
}

impl fmt::Display for AclRefused {
    /// Consul's texts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bootstrapped(at) => {
                write!(f, "Permission denied: ACL bootstrap no longer allowed (reset index: {at})")
            }
            Self::NameTaken(name) => {
                write!(f, "Invalid Policy: A Policy with Name {name:?} already exists")
            }
            Self::NoPolicyToUpdate(id) => write!(f, "cannot find policy {id}"),
            Self::NoPolicyToRemove => f.write_str("Cannot find policy to delete"),
            Self::NoPolicyWithId(id) => write!(f, "No such ACL policy with ID {id:?}"),
            Self::Builtin(name) => {
                write!(f, "Changing the Rules for the builtin {name} policy is not permitted")
            }
            Self::BuiltinRemoved(name) => {
                write!(f, "Delete operation not permitted on the builtin {name} policy")
            }
            Self::AccessorTaken => f.write_str("Invalid Token: AccessorID is already in use"),
            Self::SecretTaken => f.write_str("Invalid Token: SecretID is already in use"),
            Self::NoToken(accessor) => write!(f, "Cannot find token {accessor:?}"),
            Self::NoTokenToRemove => f.write_str("Cannot find token to delete"),
            Self::OtherSecret => f.write_str("Changing a token's SecretID is not permitted"),
            Self::OtherLocal(accessor) => write!(f, "Cannot toggle local mode of {accessor}"),
            Self::OtherEnd(accessor) => write!(f, "Cannot change expiration time of {accessor}"),
            Self::AnonymousRemoved => f.write_str("Delete operation not permitted on the anonymous token"),
        }
    }
}
