//! Do the simulator's nets have holes? Bugs with names are let loose in the core one by one, and each
//! must be caught within some seeds.
//!
//! The bugs are compiled with `--cfg canaries` alone: `.ci/canaries` does that, in a folder of its
//! own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names in the table of `docs/CANARIES.md`, in its order.
fn listed() -> Vec<String> {
    let table = fs::read_to_string(root().join("docs/CANARIES.md")).expect("the table is there");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(name, _)| name.to_owned()).collect()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn the_table_lists_what_the_code_has() {
    let listed = listed();
    assert!(listed.is_sorted(), "{listed:?} is not in the order of the alphabet");
    let mut in_code = BTreeSet::new();
    names_in(&root().join("crates/firehose-proto/src"), &mut in_code);
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), in_code);
    assert!(listed.len() >= 25, "only {} canaries are left", listed.len());
}

fn names_in(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            names_in(&path, names);
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source");
        let uses = text.split("canary!(\"").skip(1);
        names.extend(uses.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
    }
}

#[cfg(not(canaries))]
#[test]
fn each_is_caught() {
    eprintln!("canaries: built without --cfg canaries, skipped");
}

#[cfg(canaries)]
#[test]
fn each_is_caught() {
    use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

    use firehose_mock::sim::{Plan, Sim};

    const SEEDS: u64 = 200;

    let catch = |seed| {
        let run = catch_unwind(AssertUnwindSafe(|| Sim::run(&Plan::draw(seed))));
        match run {
            Ok(Ok(_)) => None,
            Ok(Err(violation)) => Some((seed, violation.rule().to_owned())),
            Err(_) => Some((seed, "panic".to_owned())),
        }
    };
    firehose_proto::let_loose("");
    assert_eq!((0..SEEDS).find_map(catch), None, "without a bug nothing is caught");

    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let mut alive = Vec::new();
    for name in listed() {
        let name: &'static str = name.leak();
        firehose_proto::let_loose(name);
        match (0..SEEDS).find_map(catch) {
            Some((seed, rule)) => println!("{name:24} caught by seed {seed:3} ({rule})"),
            None => alive.push(name),
        }
    }
    set_hook(hook);
    firehose_proto::let_loose("");
    assert!(alive.is_empty(), "not caught within {SEEDS} seeds: {alive:?}");
}
