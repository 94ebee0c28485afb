//! Lookup by name among a thousand services, beside the maps that people use for it.
//!
//! Every case is handed the same names in the same order, and hands the found value to a black box; the cost of the
//! walk over the names is in all of them.

use std::{collections::hash_map::RandomState, sync::Arc};

use crate::{
    fixture::{Fixture, names},
    handle::peek,
    limits::{self, found},
    measure::{Case, Kind},
    walk::Walk,
};

pub(crate) fn cases(fixture: &Fixture) -> anyhow::Result<Vec<Case>> {
    let names: Arc<[String]> = names().into();
    let discovery = fixture.warm(&names)?;
    let walk = {
        let names = Arc::clone(&names);
        move |thread| Walk::new(&names, thread)
    };
    let (peeked, walk_peek, walk_warm) = (discovery.clone(), walk.clone(), walk.clone());
    let mut cases = vec![
        Case::new(Kind::Portolan, "warm", move |thread| {
            let (discovery, mut walk) = (discovery.clone(), walk_warm(thread));
            move || discovery.warm(walk.next(), |resolver| found(Some(resolver))).unwrap_or(false)
        }),
        Case::new(Kind::Portolan, "warm + peek", move |thread| {
            let (discovery, mut walk) = (peeked.clone(), walk_peek(thread));
            move || discovery.warm(walk.next(), peek).unwrap_or(0)
        }),
    ];
    cases.extend(limits::by_name::<RandomState>("SipHash", &names, walk.clone()));
    cases.extend(limits::by_name::<foldhash::fast::FixedState>("foldhash", &names, walk.clone()));
    #[cfg(feature = "peers")]
    cases.extend(crate::peers::by_name(&names, &walk));
    Ok(cases)
}
