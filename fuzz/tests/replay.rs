//! Runs every target over its corpus, and over bytes drawn from a seed.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use firehose_fuzz::TARGETS;
use firehose_proto::retry::Jitter;

const FILES_MAX: usize = 60;
const BYTES_MAX: usize = 200_000;

#[test]
fn every_corpus_holds() {
    for (name, body) in TARGETS {
        let files = files(name);
        assert!(!files.is_empty(), "the corpus of {name} is empty");
        for file in files {
            let data = fs::read(&file).unwrap();
            let held = catch_unwind(AssertUnwindSafe(|| body(&data)));
            assert!(held.is_ok(), "{name} fails on {}", file.display());
        }
    }
}

#[test]
fn every_corpus_is_small_and_has_a_target() {
    for folder in fs::read_dir(root()).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        assert!(TARGETS.iter().any(|(target, _)| *target == name), "{name} is no target");
        let files = files(&name);
        let bytes: u64 = files.iter().map(|file| fs::metadata(file).unwrap().len()).sum();
        assert!(files.len() <= FILES_MAX, "{name} has {} files", files.len());
        assert!(bytes <= BYTES_MAX as u64, "{name} has {bytes} bytes");
    }
}

#[test]
fn drawn_bytes_hold() {
    let mut random = Jitter::new(2_015);
    for (name, body) in TARGETS {
        for round in 0..1_000 {
            let len = random.number() % 400;
            let data: Vec<u8> = (0..len).map(|_| random.number().to_le_bytes()[0]).collect();
            let held = catch_unwind(AssertUnwindSafe(|| body(&data)));
            assert!(held.is_ok(), "{name} fails in round {round} on {}", data.escape_ascii());
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn files(target: &str) -> Vec<PathBuf> {
    let folder = fs::read_dir(root().join(target)).expect("every target has a folder");
    let mut files: Vec<_> = folder.flatten().map(|file| file.path()).collect();
    files.sort();
    files
}
