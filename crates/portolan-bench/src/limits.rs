//! What the machine can do, and what people write by hand: the same choice with nothing around it.
//!
//! Power of two choices over plain rows, from a generator that each thread has to itself.
#![expect(clippy::disallowed_types, reason = "a lock is one of the things to compare with")]

use std::{
    collections::HashMap,
    hash::BuildHasher,
    net::SocketAddrV4,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
};

use arc_swap::ArcSwap;

use crate::{
    fixture::place,
    measure::{Case, Kind},
};

/// The least that an instance can be.
#[derive(Debug)]
pub(crate) struct Row {
    at: SocketAddrV4,
    in_flight: AtomicU32,
}

impl Row {
    fn new(number: u16) -> Self {
        let (address, port) = place(number);
        Self { at: SocketAddrV4::new(address, port), in_flight: AtomicU32::new(0) }
    }

    fn load(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }
}

pub(crate) fn rows(count: u16) -> Vec<Row> {
    (0..count).map(Row::new).collect()
}

/// A generator of one multiplication: xorshift64*.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(thread: usize) -> Self {
        Self(0x9E37_79B9_7F4A_7C15 ^ (thread as u64 + 1))
    }

    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Two different numbers below `count`, which is at least 1.
    fn two_of(&mut self, count: usize) -> (usize, usize) {
        let roll = self.roll();
        let below = |half: u64, limit: usize| ((half * limit as u64) >> 32) as usize;
        let first = below(roll >> 32, count);
        let second = below(roll & 0xFFFF_FFFF, count - 1);
        (first, if second >= first { (second + 1) % count } else { second })
    }
}

/// The less loaded of two at random.
fn p2c<'a, T>(rows: &'a [T], dice: &mut Dice, row: impl Fn(&T) -> &Row) -> Option<&'a T> {
    let (first, second) = dice.two_of(rows.len());
    let (first, second) = (rows.get(first)?, rows.get(second)?);
    Some(if row(second).load() < row(first).load() { second } else { first })
}

pub(crate) fn p2c_port(rows: &[Row], dice: &mut Dice) -> u16 {
    p2c(rows, dice, |row| row).map_or(0, |row| row.at.port())
}

/// Choices that hand nothing out: to be compared with peek.
pub(crate) fn borrowed(instances: u16) -> Vec<Case> {
    let slice = Arc::new(rows(instances));
    let swap = Arc::new(ArcSwap::from_pointee(rows(instances)));
    let cached = Arc::clone(&swap);
    let (sender, receiver) = tokio::sync::watch::channel(Arc::new(rows(instances)));
    let lock = Arc::new(RwLock::new(Arc::new(rows(instances))));
    let turn = Arc::new(AtomicU32::new(0));
    vec![
        Case::new(Kind::Limit, "one shared counter, nothing else", move |_| {
            let turn = Arc::clone(&turn);
            move || turn.fetch_add(1, Ordering::Relaxed)
        }),
        Case::new(Kind::Limit, "plain slice, p2c", move |thread| {
            let (rows, mut dice) = (Arc::clone(&slice), Dice::new(thread));
            move || p2c_port(&rows, &mut dice)
        }),
        Case::new(Kind::Limit, "arc-swap load + slice, p2c", move |thread| {
            let (rows, mut dice) = (Arc::clone(&swap), Dice::new(thread));
            move || p2c_port(&rows.load(), &mut dice)
        }),
        Case::new(Kind::Limit, "arc-swap cache + slice, p2c", move |thread| {
            let (mut rows, mut dice) = (arc_swap::Cache::new(Arc::clone(&cached)), Dice::new(thread));
            move || p2c_port(rows.load(), &mut dice)
        }),
        Case::new(Kind::ByHand, "tokio watch borrow + slice, p2c", move |thread| {
            let (rows, mut dice, _sender) = (receiver.clone(), Dice::new(thread), sender.clone());
            move || p2c_port(&rows.borrow(), &mut dice)
        }),
        Case::new(Kind::ByHand, "RwLock + slice, p2c", move |thread| {
            let (rows, mut dice) = (Arc::clone(&lock), Dice::new(thread));
            move || p2c_port(&rows.read().unwrap_or_else(PoisonError::into_inner), &mut dice)
        }),
    ]
}

/// Choices that hand an instance out and count it as in flight: to be compared with pick.
pub(crate) fn owned(instances: u16) -> Vec<Case> {
    let shared = || rows(instances).into_iter().map(Arc::new).collect::<Vec<Arc<Row>>>();
    let swap = Arc::new(ArcSwap::from_pointee(shared()));
    let lock = Arc::new(RwLock::new(Arc::new(shared())));
    vec![
        Case::new(Kind::Limit, "arc-swap load + p2c, counted", move |thread| {
            let (rows, mut dice) = (Arc::clone(&swap), Dice::new(thread));
            move || counted(&rows.load(), &mut dice)
        }),
        Case::new(Kind::ByHand, "RwLock + p2c, counted", move |thread| {
            let (rows, mut dice) = (Arc::clone(&lock), Dice::new(thread));
            move || counted(&rows.read().unwrap_or_else(PoisonError::into_inner), &mut dice)
        }),
    ]
}

/// Takes a row out, counts it up, reads it, counts it down.
fn counted(rows: &[Arc<Row>], dice: &mut Dice) -> u16 {
    let Some(row) = p2c(rows, dice, |row| row) else { return 0 };
    let row = Arc::clone(row);
    row.in_flight.fetch_add(1, Ordering::Relaxed);
    let port = std::hint::black_box(&row).at.port();
    row.in_flight.fetch_sub(1, Ordering::Relaxed);
    port
}

/// Maps from a name to its instances.
pub(crate) fn by_name<S>(
    hasher: &'static str,
    names: &Arc<[String]>,
    walk: impl Fn(usize) -> crate::walk::Walk + Clone + 'static,
) -> Vec<Case>
where
    S: BuildHasher + Default + Send + Sync + 'static,
{
    let map = || -> HashMap<String, Arc<Vec<Row>>, S> {
        names.iter().map(|name| (name.clone(), Arc::new(rows(3)))).collect()
    };
    let plain = Arc::new(map());
    let swap = Arc::new(ArcSwap::from_pointee(map()));
    let lock = Arc::new(RwLock::new(map()));
    let (walk_plain, walk_swap, walk_lock) = (walk.clone(), walk.clone(), walk);
    vec![
        Case::new(Kind::Limit, format!("plain map ({hasher})"), move |thread| {
            let (map, mut walk) = (Arc::clone(&plain), walk_plain(thread));
            move || found(map.get(walk.next()))
        }),
        Case::new(Kind::Limit, format!("arc-swap + map ({hasher})"), move |thread| {
            let (map, mut walk) = (Arc::clone(&swap), walk_swap(thread));
            move || found(map.load().get(walk.next()))
        }),
        Case::new(Kind::ByHand, format!("RwLock + map ({hasher})"), move |thread| {
            let (map, mut walk) = (Arc::clone(&lock), walk_lock(thread));
            move || found(map.read().unwrap_or_else(PoisonError::into_inner).get(walk.next()))
        }),
    ]
}

/// What a lookup found, as something that must have been found; nothing in it is followed.
pub(crate) fn found<T>(value: Option<&T>) -> bool {
    std::hint::black_box(value).is_some()
}
