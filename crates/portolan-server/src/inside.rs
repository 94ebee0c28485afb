//! What the fuzz targets need of what is private here. No part of the interface: it changes without notice.
//!
//! In:  rules and names. Out: what they come to. Never: is used by anything but `fuzz/`.

use crate::acl::{Access, DefaultPolicy, Resource, authorizer::Authorizer, policy};

/// What rules, as a policy has them, allow on each kind of thing of one name: to read, to list, to write. Empty where the
/// same policy twice is not that policy, which is a bug.
///
/// # Errors
/// What is wrong with the rules.
pub fn allowed(rules: &str, name: &str) -> Result<Vec<[bool; 3]>, String> {
    let rules = policy::parse(rules).map_err(|bad| bad.to_string())?;
    let once = Authorizer::new([&rules], DefaultPolicy::Deny);
    let twice = Authorizer::new([&rules, &rules], DefaultPolicy::Deny);
    if once != twice {
        return Ok(Vec::new());
    }
    let of = |resource| {
        [Access::Read, Access::List, Access::Write].map(|access| once.allows(resource, name, access))
    };
    Ok(Resource::ALL.map(of).into())
}
