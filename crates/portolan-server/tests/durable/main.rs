//! The registry with a data directory, over HTTP: what it acknowledged is there again, however it ended.

mod restart;
