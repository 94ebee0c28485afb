//! A server of some workers and one queue: first come, first served. PURE.
//!
//! In:  jobs that come, and workers that are done. Out: the job that a worker begins. Never: a worker that is idle while
//! somebody waits; work for who has gone.

use std::collections::VecDeque;

/// Workers, and jobs that wait for one.
#[derive(Debug)]
pub(super) struct Queue<Job> {
    idle: usize,
    waiting: VecDeque<Job>,
}

impl<Job> Queue<Job> {
    pub(super) fn new(workers: usize) -> Self {
        Self { idle: workers, waiting: VecDeque::new() }
    }

    /// A job comes. Gives it back when a worker begins it at once.
    pub(super) fn comes(&mut self, job: Job) -> Option<Job> {
        match self.idle.checked_sub(1) {
            Some(idle) => {
                self.idle = idle;
                Some(job)
            }
            None => {
                self.waiting.push_back(job);
                None
            }
        }
    }

    /// A worker is done. Gives the job that it begins next, of those that are still `wanted`.
    pub(super) fn done(&mut self, wanted: impl Fn(&Job) -> bool) -> Option<Job> {
        let next = std::iter::from_fn(|| self.waiting.pop_front()).find(wanted);
        if next.is_none() {
            self.idle = self.idle.saturating_add(1);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use super::*;
    use crate::{chance::Chance, cluster::draw::exponential};

    #[test]
    fn who_waits_is_served_in_turn_and_who_has_gone_is_passed_over() {
        let mut queue = Queue::new(1);
        assert_eq!(queue.comes(1), Some(1));
        assert!((2..6).all(|job| queue.comes(job).is_none()));
        assert_eq!(queue.done(|job| *job != 2 && *job != 3), Some(4));
        assert_eq!(queue.done(|_| true), Some(5));
        assert_eq!(queue.done(|_| true), None);
        assert_eq!(queue.comes(6), Some(6), "the worker is idle again");
        assert_eq!(queue.comes(7), None);
    }

    /// Arrivals, mean time in the queue, mean time in all, and the mean number there, of four workers of which so many are
    /// busy on average.
    fn run(busy: f64) -> (f64, Duration, Duration, f64) {
        const JOBS: u32 = 300_000;
        let service = Duration::from_millis(10);
        let mut chance = Chance::new(7);
        let mut queue = Queue::new(4);
        let mut due = BTreeSet::from([(Duration::ZERO, u32::MAX)]);
        let mut came: Vec<Duration> = Vec::new();
        let (mut waited, mut stayed, mut there) = (Duration::ZERO, Duration::ZERO, 0.0);
        let (mut present, mut last) = (0_u32, Duration::ZERO);
        let (mut ended, mut begun) = (0_u32, Vec::new());
        while ended < JOBS {
            let (now, who) = due.pop_first().unwrap();
            there += f64::from(present) * now.saturating_sub(last).as_secs_f64();
            last = now;
            if who == u32::MAX {
                let job = u32::try_from(came.len()).unwrap();
                came.push(now);
                present += 1;
                due.insert((now + exponential(&mut chance, service.div_f64(busy)), u32::MAX));
                begun.extend(queue.comes(job));
            } else {
                (present, ended) = (present - 1, ended + 1);
                stayed += now.saturating_sub(came[who as usize]);
                begun.extend(queue.done(|_| true));
            }
            for job in begun.drain(..) {
                waited += now.saturating_sub(came[job as usize]);
                due.insert((now + exponential(&mut chance, service), job));
            }
        }
        (came.len() as f64 / last.as_secs_f64(), waited / JOBS, stayed / JOBS, there / last.as_secs_f64())
    }

    #[test]
    fn littles_law_holds_and_waits_are_erlangs() {
        // Of four workers: the chance to wait by Erlang's C, over what is left of them.
        for (busy, expected_wait) in [(2.4, 1.795), (3.2, 7.455)] {
            let (rate, waited, stayed, there) = run(busy);
            let law = rate * stayed.as_secs_f64();
            assert!((there / law - 1.0).abs() < 0.005, "{there} there, {law} by the law");
            let served = stayed.saturating_sub(waited).as_secs_f64() * 1e3;
            assert!((served - 10.0).abs() < 0.1, "{served} ms of service");
            let wait = waited.as_secs_f64() * 1e3;
            assert!((wait / expected_wait - 1.0).abs() < 0.05, "{wait} ms for {expected_wait}");
        }
    }
}
