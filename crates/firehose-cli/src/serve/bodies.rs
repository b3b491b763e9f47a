//! What clients sent, byte for byte: the body of each request in a file of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::say;

/// A folder of bodies, numbered from 1 in the order in which they came.
pub(super) struct Bodies {
    dir: PathBuf,
    count: u64,
}

impl Bodies {
    /// Opens a folder, which must not have files of another run in it.
    pub(super) fn open(dir: &Path) -> Result<Self, String> {
        let made = fs::create_dir_all(dir).and_then(|()| Ok(fs::read_dir(dir)?.next().is_none()));
        match made {
            Ok(true) => Ok(Self { dir: dir.to_owned(), count: 0 }),
            Ok(false) => Err(format!(
                "{} is not empty: give --bodies an empty folder, or a new one",
                dir.display()
            )),
            Err(error) => Err(format!("cannot keep bodies in {}: {error}", dir.display())),
        }
    }

    /// Writes a body. It is in its place before the request is answered.
    pub(super) fn keep(&mut self, body: &[u8]) {
        self.count += 1;
        let path = self.dir.join(format!("{:06}.json", self.count));
        if let Err(error) = fs::write(&path, body) {
            say(&unwritten(&path, &error));
        }
    }
}

fn unwritten(path: &Path, error: &io::Error) -> String {
    format!("cannot write {}: {error}; the request is answered all the same", path.display())
}
