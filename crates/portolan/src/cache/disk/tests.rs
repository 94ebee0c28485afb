//! Files are whole or not there, the newest stays, and nothing piles up.

use std::{fs, path::Path};

use super::*;
use crate::{
    cache::saved::{HEAD, tests::bytes_of},
    model::ServiceName,
};

fn key(service: &str) -> CacheKey {
    CacheKey {
        registry: "test".into(),
        datacenter: None,
        namespace: "".into(),
        partition: "".into(),
        scope: "".into(),
        service: ServiceName::new(service).unwrap(),
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const TTL: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_is_saved_is_loaded_by_its_key_alone() {
    let place = tempfile::tempdir().unwrap();
    let disk = Disk::new(place.path().join("a/b"));
    disk.check().await.unwrap();
    assert_eq!(disk.load(&key("web")).await.unwrap(), None);
    let odd = "..\\ \u{202e}wéb:*?";
    disk.save(&key("web"), &bytes_of(1), TTL).await.unwrap();
    disk.save(&key(odd), &bytes_of(2), TTL).await.unwrap();
    // Another process on the same directory.
    let disk = Disk::new(place.path().join("a/b"));
    assert_eq!(disk.load(&key("web")).await.unwrap(), Some(bytes_of(1)));
    assert_eq!(disk.load(&key(odd)).await.unwrap(), Some(bytes_of(2)));
    assert_eq!(disk.load(&key("Web")).await.unwrap(), None);
    assert_eq!(names(&place.path().join("a/b")).len(), 2, "one file a view, and nothing unfinished");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = tempfile::tempdir().unwrap();
    let disk = Disk::new(place.path());
    disk.save(&key("web"), &bytes_of(1), TTL).await.unwrap();
    let file = place.path().join(&names(place.path())[0]);
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_newer_proof_of_another_process_stays() {
    let place = tempfile::tempdir().unwrap();
    let (one, other) = (Disk::new(place.path()), Disk::new(place.path()));
    one.save(&key("web"), &bytes_of(20), TTL).await.unwrap();
    other.save(&key("web"), &bytes_of(10), TTL).await.unwrap();
    assert_eq!(one.load(&key("web")).await.unwrap(), Some(bytes_of(20)));
    other.save(&key("web"), &bytes_of(30), TTL).await.unwrap();
    assert_eq!(one.load(&key("web")).await.unwrap(), Some(bytes_of(30)));
    // One that is dated after the end of the world is of a clock that was wrong.
    fs::write(place.path().join(key("web").text() + KEPT), &bytes_of(u32::MAX)[..HEAD]).unwrap();
    other.save(&key("web"), &bytes_of(40), TTL).await.unwrap();
    assert_eq!(one.load(&key("web")).await.unwrap(), Some(bytes_of(40)));
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_only_the_last_of_them_is_kept() {
    let place = tempfile::tempdir().unwrap();
    let disk = Disk::new(place.path());
    for text in ["first", "second"] {
        fs::write(place.path().join(key("web").text() + KEPT), text).unwrap();
        disk.set_aside(&key("web")).await.unwrap();
        assert_eq!(disk.load(&key("web")).await.unwrap(), None);
    }
    disk.set_aside(&key("web")).await.unwrap(); // nothing is there: nothing to do
    let left = names(place.path());
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].ends_with(".damaged"), "{left:?}");
    assert_eq!(fs::read_to_string(place.path().join(&left[0])).unwrap(), "second");
}

#[tokio::test]
async fn many_writers_leave_one_whole_file() {
    let place = tempfile::tempdir().unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for proof in 1..=40 {
        let disk = Disk::new(place.path()); // as so many processes
        writers.spawn(async move { disk.save(&key("web"), &bytes_of(proof), TTL).await });
    }
    while let Some(written) = writers.join_next().await {
        written.unwrap().unwrap();
    }
    let left = Disk::new(place.path()).load(&key("web")).await.unwrap().unwrap();
    assert!((1..=40).any(|proof| left == bytes_of(proof)), "a whole file");
    assert_eq!(names(place.path()).len(), 1);
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_an_error_that_names_the_setting() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    for directory in [file.clone(), file.join("below")] {
        let error = Disk::new(&directory).check().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        let says = format!("cache.directory: {} cannot be written", directory.display());
        assert!(error.to_string().starts_with(&says), "{error}");
    }
    let disk = Disk::new(file);
    assert_eq!(disk.save(&key("web"), &bytes_of(1), TTL).await.unwrap_err().kind(), Kind::Unavailable);
    assert!(disk.load(&key("web")).await.is_err(), "an error, not an empty cache");
}

#[tokio::test]
async fn a_write_that_fails_leaves_the_old_file_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let disk = Disk::new(place.path());
    // A directory where the file should be: the rename fails.
    fs::create_dir_all(place.path().join(key("web").text() + KEPT).join("x")).unwrap();
    assert!(disk.save(&key("web"), &bytes_of(1), TTL).await.is_err());
    assert_eq!(names(place.path()).len(), 1, "{:?}", names(place.path()));
}

#[tokio::test]
async fn what_a_killed_process_left_is_removed_and_what_is_being_written_is_not() {
    let place = tempfile::tempdir().unwrap();
    let old = place.path().join("web-1.view.77-0.tmp");
    fs::write(&old, "half").unwrap();
    let an_hour_ago = std::time::UNIX_EPOCH + wall() - Duration::from_secs(3600);
    File::options().write(true).open(&old).unwrap().set_modified(an_hour_ago).unwrap();
    fs::write(place.path().join("web-2.view.78-0.tmp"), "half").unwrap();
    fs::write(place.path().join("something.else"), "a person's").unwrap();
    Disk::new(place.path()).check().await.unwrap();
    assert_eq!(names(place.path()), ["something.else", "web-2.view.78-0.tmp"]);
}

#[tokio::test]
async fn a_file_that_is_too_long_is_not_read_to_its_end() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("long");
    fs::write(&path, [0; 100]).unwrap();
    assert_eq!(read(&path, 10).unwrap().unwrap().len(), 11);
}
