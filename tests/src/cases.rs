//! The cases of `tests/data`: answers and what they are worth, as data that other implementations
//! can run too. Here they are read, not judged; `tests/data/README.md` defines the format.

use std::fmt::Debug;
use std::path::Path;

use base64_simd::STANDARD;
use serde::Deserialize;

/// The version of the format that is read here.
const FORMAT: u32 = 1;

/// A file of cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    case: Vec<Case>,
}

/// An answer to a request, and what it is worth.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The name of the case, which no other has.
    pub name: String,
    /// The requirements that it shows, as `R5`.
    pub requirements: Vec<String>,
    /// The number of records in the request.
    pub n_records: usize,
    /// The status of the answer.
    pub status: u16,
    /// Its headers, as far as they matter.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    body: Option<String>,
    body_b64: Option<String>,
    body_parts: Option<Vec<(String, usize)>>,
    /// What the answer is worth as a whole.
    pub kind: Kind,
    /// The indexes of the stored records, counted from 0.
    #[serde(default)]
    pub ok: Vec<usize>,
    /// The indexes of the failed records.
    #[serde(default)]
    pub failed: Vec<usize>,
    /// The indexes of the failed records that may be stored all the same.
    #[serde(default)]
    pub doubtful: Vec<usize>,
    /// What does not fit together though each entry can be believed.
    #[serde(default)]
    pub anomalies: Vec<String>,
    /// The code of the first failed entry, or of the error.
    pub code: Option<String>,
    /// What that code, or the status, means.
    pub class: Option<String>,
    /// Whether some record is to be sent again.
    pub retryable: bool,
    /// Whether the service asks for less.
    pub throttling: bool,
    /// How long the service asks to wait.
    pub retry_after_ms: Option<u64>,
}

/// What an answer is worth as a whole.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The service answered with an error.
    Error,
    /// There is a verdict for each record.
    Records,
    /// The answer is not believed.
    Unknown,
}

impl Kind {
    /// Returns the word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Records => "records",
            Self::Unknown => "unknown",
        }
    }
}

impl Case {
    /// Makes the body of the answer.
    ///
    /// # Panics
    ///
    /// If the case has not exactly one form of a body, or its base64 is none.
    pub fn body(&self) -> Vec<u8> {
        match (&self.body, &self.body_b64, &self.body_parts) {
            (Some(text), None, None) => text.clone().into_bytes(),
            (None, Some(base64), None) => {
                let decoded = STANDARD.decode_to_vec(base64);
                decoded.unwrap_or_else(|error| panic!("{}: {error}", self.name))
            }
            (None, None, Some(parts)) => {
                parts.iter().flat_map(|(text, times)| text.repeat(*times).into_bytes()).collect()
            }
            _ => panic!("{}: not exactly one of body, body_b64 and body_parts", self.name),
        }
    }
}

/// Returns the cases of both files, `replies.toml` and `faults.toml`.
///
/// # Panics
///
/// If a file is not there or not of the format.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in ["replies.toml", "faults.toml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name);
        let text = String::from_utf8(crate::read(&path)).unwrap_or_else(|error| fail(name, &error));
        let file: File = toml::from_str(&text).unwrap_or_else(|error| fail(name, &error));
        assert_eq!(file.format, FORMAT, "{name} is of another version");
        cases.extend(file.case);
    }
    cases
}

pub(crate) fn fail<T>(name: &str, error: &impl Debug) -> T {
    panic!("{name}: {error:?}")
}
