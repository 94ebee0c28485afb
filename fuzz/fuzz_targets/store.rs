//! A damaged data directory: used, or refused and repaired; then it is used. Never a panic that gets out.
//!
//! In:  edits of a file that a registry wrote: a place of three bytes, and the byte that stands there now. With an odd number
//! of bytes left over, the last of them cuts the file.
#![no_main]

use std::{fs, sync::OnceLock};

use libfuzzer_sys::fuzz_target;
use portolan::Error;
use portolan_server::{Repair, Server, ServerConfig};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

struct Place {
    dir: TempDir,
    config: ServerConfig,
    file: Vec<u8>,
    runtime: Runtime,
}

/// In memory, where there is such a place.
fn folder() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_none| TempDir::new()).expect("a folder")
}

fn place() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| {
        // redb panics on pages that make no sense, and a repair catches that; the fuzzer's hook would end us first.
        drop(std::panic::take_hook());
        std::panic::set_hook(Box::new(|_| {}));
        let dir = folder();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let config = ServerConfig::default().http_addr(([127, 0, 0, 1], 0).into());
        let config = config.data_dir(Some(dir.path().to_owned()));
        runtime.block_on(bind(&config)).expect("a new directory");
        let file = fs::read(dir.path().join("registry.redb")).expect("it was written");
        Place { dir, config, file, runtime }
    })
}

async fn bind(config: &ServerConfig) -> Result<(), Error> {
    let server = Server::bind(config.clone()).await?;
    // It ends at once, and closes its file.
    server.run(async {}).await;
    Ok(())
}

fn damaged(file: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    let (edits, rest) = edits.as_chunks::<4>();
    for [low, middle, high, byte] in edits {
        let at = usize::from(*low) | usize::from(*middle) << 8 | usize::from(*high) << 16;
        let at = at % bytes.len();
        bytes[at] = *byte;
    }
    if let [cut] = rest {
        bytes.truncate(bytes.len() * usize::from(*cut) / 256);
    }
    bytes
}

fuzz_target!(|data: &[u8]| {
    let Place { dir, config, file, runtime } = place();
    for entry in fs::read_dir(dir.path()).expect("it is there").flatten() {
        fs::remove_file(entry.path()).expect("it is ours");
    }
    fs::write(dir.path().join("registry.redb"), damaged(file, data)).expect("there is room");
    let Err(refused) = runtime.block_on(bind(config)) else { return };
    let refused = refused.to_string();
    assert!(!refused.contains("report this bug"), "{refused}");
    match Repair::survey(config) {
        Ok(Some(repair)) => {
            repair.carry_out().expect("it can be repaired");
            runtime.block_on(bind(config)).expect("what was repaired is used");
        }
        Ok(None) => panic!("it is refused, and there is nothing to repair: {refused}"),
        // A number of the format was hit.
        Err(why) => assert!(why.to_string().contains("has format"), "{why}"),
    }
});
