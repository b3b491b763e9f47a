//! The regions of `tests/data/regions.toml`; `tests/data/README.md` defines the format.

use std::path::Path;

use serde::Deserialize;

use crate::cases::fail;

/// The version of the format that is read here.
const FORMAT: u32 = 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    partition: Vec<Partition>,
}

/// Regions that share the rest of their host names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// The name of the partition.
    pub name: String,
    /// The regions in it.
    pub regions: Vec<String>,
    /// Names that no list has, and that belong to the partition by their pattern.
    pub unlisted: Vec<String>,
}

/// Returns the partitions.
///
/// # Panics
///
/// If the file is not there or not of the format.
pub fn partitions() -> Vec<Partition> {
    let name = "regions.toml";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name);
    let text = String::from_utf8(crate::read(&path)).unwrap_or_else(|error| fail(name, &error));
    let file: File = toml::from_str(&text).unwrap_or_else(|error| fail(name, &error));
    assert_eq!(file.format, FORMAT, "{name} is of another version");
    file.partition
}
