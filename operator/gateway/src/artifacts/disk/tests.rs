use std::{io::Write as _, path::Path};

use super::*;

/// Returns a text as a file of its own, with its digests.
fn put(disk: &Arc<Disk>, text: &str) -> Digests {
    let digests = super::super::hashing::digests(text.as_bytes()).unwrap();
    let room = disk.reserve(text.len() as u64).unwrap();
    room.create().unwrap().write_all(text.as_bytes()).unwrap();
    room.keep(digests.clone()).unwrap();
    digests
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

// shows B6 K4
#[test]
fn the_file_used_longest_ago_goes_and_one_that_is_read_stays() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path().to_owned(), 30);
    let [one, two, three] = ["1", "2", "3"].map(|it| put(&disk, &it.repeat(10)));
    let read = disk.get(&one.sha256).unwrap();
    put(&disk, &"4".repeat(10));
    assert!(disk.get(&two.sha256).is_none(), "it was used longest ago");
    let third = disk.get(&three.sha256).unwrap();
    assert_eq!(disk.reserve(11).err(), Some(NoRoom::InUse));
    assert_eq!(disk.reserve(31).err(), Some(NoRoom::TooLong(30)));
    drop((read, third));
    put(&disk, &"7".repeat(30));
    assert_eq!((disk.taken(), names(directory.path()).len()), (30, 1));
}

// shows K4
#[test]
fn room_that_is_reserved_counts_and_is_free_again_with_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path().to_owned(), 30);
    let room = disk.reserve(20).unwrap();
    room.create().unwrap().write_all(b"half").unwrap();
    assert_eq!(disk.reserve(11).err(), Some(NoRoom::InUse));
    assert_eq!(names(directory.path()).len(), 1);
    drop(room);
    assert!(names(directory.path()).is_empty() && disk.taken() == 0);
    assert!(disk.reserve(30).is_ok());
}

// shows B6
#[test]
fn a_file_of_a_process_before_is_used_once_it_was_compared_and_a_partial_one_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path().to_owned(), 100);
    let [old, good] = ["old", "good"].map(|it| put(&disk, it));
    let room = disk.reserve(20).unwrap();
    room.create().unwrap();
    std::mem::forget(room);
    let long_ago = SystemTime::UNIX_EPOCH;
    let path = directory.path().join(&old.sha256);
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(long_ago).unwrap();

    let disk = Disk::open(directory.path().to_owned(), 100);
    assert_eq!(disk.taken(), 7, "the partial one is gone");
    assert!(
        disk.get(&good.sha256).is_none(),
        "nobody has compared it yet"
    );
    let path = disk.left_behind(&good.sha256).unwrap();
    let found = super::super::hashing::digests(File::open(path).unwrap()).unwrap();
    disk.compared(&good.sha256, Some(found));
    assert_eq!(disk.get(&good.sha256).unwrap().digests, good);
    disk.compared(&old.sha256, None);
    assert_eq!(names(directory.path()), [good.sha256]);

    let smaller = Disk::open(directory.path().to_owned(), 3);
    assert_eq!(smaller.taken(), 0, "what no longer fits goes");
}

// shows B6
#[test]
fn a_file_that_somebody_cut_or_removed_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path().to_owned(), 100);
    let [cut, removed] = ["a file that is cut", "removed"].map(|it| put(&disk, it));
    let path = |of: &Digests| directory.path().join(&of.sha256);
    let file = File::options().write(true).open(path(&cut)).unwrap();
    file.set_len(3).unwrap();
    fs::remove_file(path(&removed)).unwrap();
    assert!(disk.get(&cut.sha256).is_none() && disk.get(&removed.sha256).is_none());
    assert_eq!(disk.taken(), 0);
}
