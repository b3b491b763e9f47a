//! `docs/CONFIGURATION.md` against the command, the code and the defaults, so that it stays true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use firehose_hyper::Timeouts;
use firehose_hyper::proto::producer::Config;
use firehose_hyper::proto::retry::Policy;
use tempfile::tempdir;

use crate::support::run;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The cells of the table's rows: setting, flag, variable, profile, library, default, unit.
fn rows() -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join("docs/CONFIGURATION.md")).unwrap();
    let table = text.lines().skip_while(|line| !line.starts_with("| setting |")).skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<String>> = rows
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect();
    assert!(rows.len() > 40 && rows.iter().all(|row| row.len() == 7), "{rows:?}");
    rows
}

/// What stands between backquotes.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The flags of `firehose put --help`, with their defaults as far as help names one.
fn flags() -> BTreeMap<String, Option<String>> {
    let folder = tempdir().unwrap();
    let help = run(folder.path(), &["put", "--help"]);
    assert_eq!(help.status, 0);
    let mut flags = BTreeMap::new();
    let mut last = None;
    for line in help.stdout.lines() {
        let line = line.trim_start();
        if line.starts_with('-')
            && let Some(at) = line.find("--")
        {
            let flag = line[at..].split([' ', '=']).next().unwrap().to_owned();
            flags.insert(flag.clone(), None);
            last = Some(flag);
        }
        if let (Some(flag), Some((_, rest))) = (&last, line.split_once("[default: ")) {
            let default = rest.split([']', ';']).next().unwrap().to_owned();
            flags.insert(flag.clone(), Some(default));
        }
    }
    assert!(flags.remove("--help").is_some() && flags.len() > 10, "{flags:?}");
    flags
}

#[test]
fn each_flag_has_its_row_and_its_default() {
    let flags = flags();
    let mut told = BTreeMap::new();
    for row in rows() {
        for flag in quoted(&row[1]) {
            told.insert(flag, row[5].clone());
        }
    }
    let names = |map: BTreeSet<&String>| map.into_iter().cloned().collect::<Vec<_>>();
    assert_eq!(names(told.keys().collect()), names(flags.keys().collect()));
    for (flag, default) in flags {
        if let Some(default) = default {
            assert!(told[&flag].contains(&default), "{flag}: {default:?} in {:?}", told[&flag]);
        }
    }
}

/// The files of a folder and below.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// Returns whether a text can be the name of a variable that a user sets.
fn is_variable(text: &str) -> bool {
    let is_word = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let starts = ["AWS_", "HOME", "REQUEST_METHOD", "USERPROFILE"];
    let is_proxy = text.to_ascii_lowercase().ends_with("_proxy");
    is_word && (is_proxy || starts.iter().any(|start| text.starts_with(start)))
}

#[test]
fn each_variable_in_the_code_has_its_row() {
    let mut files = Vec::new();
    for folder in ["crates/firehose-hyper/src", "crates/firehose-cli/src"] {
        sources(&root().join(folder), &mut files);
    }
    let mut read = BTreeSet::new();
    for file in files.iter().filter(|file| !file.ends_with("tests.rs")) {
        let text = fs::read_to_string(file).unwrap();
        let literals = text.split('"').filter(|literal| is_variable(literal));
        read.extend(literals.map(str::to_owned));
    }
    let told: BTreeSet<_> = rows().iter().flat_map(|row| quoted(&row[2])).collect();
    assert_eq!(read, told);
    // What help says of the environment is in the row of its flag.
    let folder = tempdir().unwrap();
    let help = run(folder.path(), &["put", "--help"]).stdout;
    let named = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let named: BTreeSet<_> = named.filter(|word| is_variable(word)).collect();
    assert!(named.len() >= 7 && named.iter().all(|word| told.contains(*word)), "{named:?}");
}

#[test]
fn defaults_are_those_of_the_library() {
    let rows = rows();
    let default = |method: &str| {
        let row = rows.iter().find(|row| quoted(&row[4]).contains(method));
        row.unwrap_or_else(|| panic!("{method} has no row"))[5].clone()
    };
    let check = |method: &str, text: String| assert_eq!(default(method), text, "{method}");
    let span = |span: Duration| {
        let millis = span.as_millis();
        if millis.is_multiple_of(1_000) {
            format!("{} s", millis / 1_000)
        } else {
            format!("{millis} ms")
        }
    };
    let timeouts = Timeouts::default();
    check("Timeouts::with_attempt", span(timeouts.attempt()));
    check("Timeouts::with_connect", span(timeouts.connect()));
    check("Timeouts::with_first_byte", span(timeouts.first_byte()));
    check("Timeouts::with_handshake", span(timeouts.handshake()));
    check("Timeouts::with_idle", span(timeouts.idle()));
    check("Timeouts::with_read_progress", span(timeouts.read_progress()));
    check("Timeouts::with_write_progress", span(timeouts.write_progress()));
    let config = Config::new("demo".parse().unwrap());
    check("Config::with_buffer_bytes_max", config.buffer_bytes_max().to_string());
    check("Config::with_linger", span(config.linger()));
    check("Config::with_request_timeout", span(config.request_timeout()));
    check("Config::with_throttle_notice", span(config.throttle_notice()));
    let in_flight = default("Config::with_in_flight_max");
    assert!(in_flight.starts_with(&format!("{};", config.in_flight_max())), "{in_flight}");
    check("Policy::with_attempts_max", Policy::default().attempts_max().to_string());
    let limits = config.limits();
    check(
        "Config::with_limits",
        format!(
            "{} records, {} bytes each, {} bytes in all",
            limits.records_max(),
            limits.record_bytes_max(),
            limits.request_bytes_max()
        ),
    );
}
