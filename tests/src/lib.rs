//! What the tests of this workspace share: inputs, delivered objects, comparisons.

pub mod batches;
pub mod canaries;
pub mod cases;
pub mod regions;

use std::fs;
use std::path::{Path, PathBuf};

use firehose_proto::retry::Jitter;

/// A text that is put into a stream.
#[derive(Debug)]
pub struct Sample {
    /// The name of the file.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Returns real log files where they lie beside the repository, else made ones of the same shape:
/// line ends of both kinds, a last line without one, text beyond ASCII. Says which on stderr.
pub fn samples() -> Vec<Sample> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/loghub");
    let real = real_samples(&folder);
    if real.is_empty() {
        eprintln!("samples: made ones, since the log files are not beside the repository");
        return made_samples();
    }
    eprintln!("samples: {} real log files", real.len());
    real
}

fn real_samples(folder: &Path) -> Vec<Sample> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    paths.sort();
    paths.iter().map(|path| Sample { name: name(path), bytes: read(path) }).collect()
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Makes samples by seed, so that they are the same each time.
pub fn made_samples() -> Vec<Sample> {
    let words =
        ["INFO", "error", "gr\u{fc}n", "\u{65e5}\u{672c}", "block_-123", "10.0.0.1:80", "\t"];
    let shapes =
        [("unix.log", "\n", true), ("crlf.log", "\r\n", false), ("no-end.log", "\n", false)];
    let mut samples = Vec::new();
    for (seed, (name, end, is_ended)) in (1..).zip(shapes) {
        let mut random = Jitter::new(seed);
        let mut text = String::new();
        for line in 0..2_000 {
            for _ in 0..below(&mut random, 40) {
                text.push_str(words[below(&mut random, words.len())]);
                text.push(' ');
            }
            if line < 1_999 || is_ended {
                text.push_str(end);
            }
        }
        samples.push(Sample { name: name.to_owned(), bytes: text.into_bytes() });
    }
    samples
}

/// Returns a random number below `bound`.
///
/// # Panics
///
/// If `bound` is 0.
pub fn below(random: &mut Jitter, bound: usize) -> usize {
    let number = random.number() % u64::try_from(bound).unwrap_or(u64::MAX);
    usize::try_from(number).unwrap_or_default()
}

/// Returns the lines of a text with their ends, sorted, for comparison where order may differ.
pub fn sorted_lines(bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    lines
}

/// Adds the last line end where there is none.
pub fn with_last_newline(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.last().is_some_and(|last| *last != b'\n') {
        bytes.push(b'\n');
    }
    bytes
}

/// Returns the delivered objects of a stream, in the order of their names, which is that of
/// writing.
pub fn objects(folder: &Path, stream: &str) -> Vec<PathBuf> {
    let mut found = vec![folder.join(stream)];
    for _ in ["year", "month", "day", "hour", "object"] {
        found = found.iter().flat_map(fs::read_dir).flatten().flatten().map(|e| e.path()).collect();
    }
    found.sort();
    found
}

/// Returns everything that was delivered into a stream.
pub fn delivered(folder: &Path, stream: &str) -> Vec<u8> {
    objects(folder, stream).iter().flat_map(|path| read(path)).collect()
}

/// Reads a file.
///
/// # Panics
///
/// If it cannot be read.
pub fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}
