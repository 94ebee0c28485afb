//! How a program of a run ends, and another begins.
//!
//! In:  the play. Out: broken laws: what outlives its program, a close that does not say what it left behind, a start that
//! takes too long.

use std::{sync::Arc, time::Duration};

use portolan::{Discovery, Kind};
use tokio::time::{sleep, timeout};

use super::{NAMES, Play};
use crate::{events, registry::Scripted};

impl Play {
    /// The program ends, politely or not, and another begins: with the same caches, perhaps without a registry.
    pub(super) async fn restart(&mut self) {
        let killed = self.chance.one_in(3);
        if killed {
            // A killed program leaves nothing behind; tasks that were told to end take their time.
            self.stage.with(|inner| inner.views.clear());
            self.keep.killed(&self.stage).await;
        } else {
            self.close().await;
        }
        self.users.clear();
        self.judges.clear();
        self.config = self.config.clone().seed(self.keep.chance.next());
        let next = Discovery::with_registry(Arc::new(Scripted::new(&self.stage)), self.config.clone());
        self.discovery = next;
        self.consumers.iter().for_each(|consumer| consumer.stop.cancel());
        self.consumers.clear();
        while self.tasks.join_next().await.is_some() {}
        sleep(Duration::from_secs(if killed { 40 } else { 0 })).await;
        self.all_ended();
        self.stage.with(|inner| inner.next_program());
        for _ in 0..self.chance.below(4) {
            events::fault(self);
        }
        if self.chance.one_in(2) {
            events::cache_trouble(self);
        }
        let service = *self.chance.one_of(&NAMES).unwrap_or(&"web");
        self.stage.note(format_args!("another program begins (killed: {killed}) with {service}"));
        self.start_with(service).await;
        self.hire_user();
    }

    /// A start takes no longer than it says, and does not fail while a cache remembers: law 2.
    async fn start_with(&mut self, service: &str) {
        let remembered =
            self.stage.with(|inner| inner.disk.remembers(service) || inner.shared.remembers(service));
        let limit = self.config.start_wait + Duration::from_secs(1);
        let found = timeout(limit, self.discovery.service(service)).await;
        match found {
            Err(_late) => self.stage.broken(6, format!("{service}: a start took longer than {limit:?}")),
            Ok(Err(error)) if remembered => {
                self.stage.broken(2, format!("{service}: a start failed though a cache remembers: {error}"));
            }
            Ok(found) => self.stage.note(format_args!("{service} is found: {}", found.is_ok())),
        }
    }

    /// Closes at the end of a run.
    pub(super) async fn end(mut self) {
        if !self.is_over() {
            self.close().await;
            self.consumers.iter().for_each(|consumer| consumer.stop.cancel());
            while self.tasks.join_next().await.is_some() {}
            sleep(Duration::from_millis(5)).await;
            self.all_ended();
            self.users.iter().for_each(|user| user.look(&self.stage));
        }
    }

    async fn close(&mut self) {
        self.stage.with(|inner| inner.agency.closing());
        let closed = self.discovery.close(Duration::from_secs(10)).await;
        self.stage.note(format_args!("closed: {}", closed.is_ok()));
        for name in NAMES {
            let found = self.discovery.service(name).await;
            if !found.is_err_and(|error| error.kind() == Kind::Closed) {
                self.stage.broken(3, format!("{name} is still found after close, and nobody follows it"));
            }
        }
        self.keep.closed(&self.stage, closed.is_ok()).await;
        if let Err(error) = closed
            && !self.stage.with(|inner| inner.agency.excuses_a_close())
        {
            self.stage.broken(6, format!("close: {error}"));
        }
    }

    /// Law 6: no task outlives its program, and nothing is read any more.
    fn all_ended(&self) {
        let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let open = self.stage.with(|inner| inner.open_blocking + inner.open_plain);
        if alive + open > 0 {
            self.stage.broken(6, format!("after the end {alive} tasks live, and {open} reads are open"));
        }
    }
}
