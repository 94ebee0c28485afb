//! Answers of the catalogue without what their caller may not see.
//!
//! In:  what was found, and rights. Out: what may be told, and whether anything was left out.
//!
//! Whatever a blocking read answers with is [`Visible`], so that a new one cannot forget it.
//!
//! Never: copies a row; is asked where nothing is hidden.
//!
//! Rules from Consul 1.21: agent/structs/aclfilter/filter.go.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::rights::Rights;
use crate::state::{
    Entry,
    rows::{CheckRow, NodeRow, ServiceRow, Text},
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

/// The names of services with their tags.
impl Visible for BTreeMap<Text, BTreeSet<Text>> {
    fn leave_visible(&mut self, rights: &Rights) -> bool {
        let before = self.len();
        self.retain(|name, _| rights.see_service(name));
        self.len() < before
    }
}

/// A node with its instances.
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
