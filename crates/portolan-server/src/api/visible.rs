//! Answers of the catalogue without what their caller may not see.
//!
//! In:  what was found, and rights. Out: what may be told, and whether anything was left out.
//!
//! Whatever a blocking read answers with is [`Visible`], so that a new one cannot forget it.
//!
//! Never: copies a row; is asked where nothing is hidden.
//!
//! Rules from Consul 1.21: agent/structs/aclfilter/filter.go.

use std::sync::Arc;

use super::rights::Rights;
use crate::state::{
    Entry,
    rows::{CheckRow, NodeRow, ServiceRow},
};

/// What can be told in part.
pub(super) trait Visible {
    /// Leaves out what `rights` do not allow to see, and says whether there was any.
    fn leave_visible(&mut self, rights: &Rights) -> bool;
}

fn retain<T>(rows: &mut Vec<T>, visible: impl FnMut(&T) -> bool) -> bool {
    let before = rows.len();
    rows.retain(visible);
    rows.len() < before
}

impl Visible for Vec<Entry> {
    fn leave_visible(&mut self, rights: &Rights) -> bool {
        retain(self, |entry| {
            rights.see_node(&entry.node.spec.name) && rights.see_service(&entry.service.spec.name)
        })
    }
}

impl Visible for Vec<Arc<CheckRow>> {
    fn leave_visible(&mut self, rights: &Rights) -> bool {
        retain(self, |check| rights.see_check(check))
    }
}

impl Visible for Vec<Arc<NodeRow>> {
    fn leave_visible(&mut self, rights: &Rights) -> bool {
        retain(self, |node| rights.see_node(&node.spec.name))
    }
}

/// Instances without their checks: a service is seen where one of its instances is.
impl Visible for Vec<(Arc<NodeRow>, Arc<ServiceRow>)> {
    fn leave_visible(&mut self, rights: &Rights) -> bool {
        retain(self, |(node, row)| rights.see_node(&node.spec.name) && rights.see_service(&row.spec.name))
    }
}

/// A node with its instances. Consul 1.21 asks of its map of them whether the id may be read, not the name
/// (`filterNodeServices`): here it is the name, as everywhere else.
impl Visible for Option<(Arc<NodeRow>, Vec<Arc<ServiceRow>>)> {
    fn leave_visible(&mut self, rights: &Rights) -> bool {
        match self {
            None => false,
            Some((node, services)) if rights.see_node(&node.spec.name) => {
                retain(services, |row| rights.see_service(&row.spec.name))
            }
            Some(_) => {
                *self = None;
                true
            }
        }
    }
}
