//! Filter expressions: each is read or refused, what is read is written so that it reads the same, and is judged without a
//! panic, patterns and all.
//!
//! In:  any text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan::{
    CheckScope, CheckState, Filter, Identity, Instance, Status,
    expr::{Expression, Shape},
};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = match text.parse::<Expression>() {
        Ok(read) => read,
        Err(wrong) => {
            let places = 1..=text.chars().count() + 1;
            assert!(wrong.place().is_some_and(|place| places.contains(&place)), "{wrong}");
            return;
        }
    };
    assert_eq!(read.to_string().parse::<Expression>().as_ref(), Ok(&read), "{read}");
    for shape in [Shape::Entries, Shape::CatalogServices, Shape::Nodes, Shape::Checks, Shape::Members] {
        let _matcher = read.over(shape);
    }
    if let Ok(filter) = text.parse::<Filter>() {
        let check = CheckState::new("c", text, Status::Critical, CheckScope::Service);
        let instance = Instance::new(Identity::default(), "web", "10.0.0.1", 80);
        let instance = instance.with_meta([("k", text)]).with_tags([text]).with_checks(vec![check]);
        let fits = filter.fits(&instance);
        let negated: Filter = format!("not ({text})").parse().unwrap_or_else(|_too_deep| filter.clone());
        assert!(negated == filter || negated.fits(&instance) != fits, "{text}");
    }
});
