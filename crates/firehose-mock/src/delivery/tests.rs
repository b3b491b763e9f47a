//! Objects: when they are complete, where they lie, and what is left after a failure.

use std::fs::OpenOptions;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use super::*;
use crate::{EntryFault, Request, Service, Step, Streams};

/// 2026-11-23 12:59:58 UTC.
const START_SECS: u64 = 1_795_438_798;

/// A directory, a service that delivers into it, and a clock that stands still until it is moved.
struct Setting {
    dir: TempDir,
    clock: Arc<AtomicU64>,
    directory: Shared,
    service: Service,
}

impl Setting {
    fn new(bytes_max: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicU64::new(START_SECS));
        let directory = open(&dir, bytes_max, &clock).with_ledger().unwrap().shared();
        let service = Service::new(Streams::Any, 1).with_destination(Box::new(directory.clone()));
        Self { dir, clock, directory, service }
    }

    fn put(&mut self, stream: &str, records: &[&str]) -> u16 {
        let records: Vec<String> = records
            .iter()
            .map(|data| format!(r#"{{"Data":"{}"}}"#, base64_simd::STANDARD.encode_to_string(data)))
            .collect();
        let records = records.join(",");
        let body = format!(r#"{{"DeliveryStreamName":"{stream}","Records":[{records}]}}"#);
        self.service.handle(Request::put_record_batch(body)).status
    }

    fn advance(&self, secs: u64) {
        self.clock.fetch_add(secs, Ordering::Relaxed);
    }

    /// Lists the files below a directory with what is in them, by path.
    fn files(&self, below: &str) -> Vec<(String, String)> {
        let mut files = Vec::new();
        walk(&self.dir.path().join(below), &mut files);
        let root = self.dir.path();
        let mut files: Vec<_> = files
            .into_iter()
            .map(|path| {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                (name, fs::read_to_string(path).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    fn contents(&self, below: &str) -> Vec<String> {
        self.files(below).into_iter().map(|(_, content)| content).collect()
    }

    fn ledger_lines(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.dir.path().join(".firehose/ledger.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn open(dir: &TempDir, bytes_max: u64, clock: &Arc<AtomicU64>) -> Directory {
    let clock = Arc::clone(clock);
    let now = move || SystemTime::UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed));
    let buffering = Buffering { bytes_max, interval: Duration::from_secs(300) };
    Directory::open(dir.path(), buffering, now).unwrap()
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => walk(&entry.path(), files),
            false => files.push(entry.path()),
        }
    }
}

// R18
#[test]
fn objects_lie_where_the_service_puts_them() {
    let mut setting = Setting::new(100);
    assert_eq!(setting.put("a-1-b", &["x\n", "", "y"]), 200);
    assert_eq!(setting.files("a-1-b"), [], "nothing incomplete lies there");
    setting.advance(4);
    assert_eq!(setting.put("a-1-b", &["z"]), 200);
    setting.directory.lock().finish().unwrap();
    let files = setting.files("a-1-b");
    let [(path, content)] = files.as_slice() else { panic!("one object, not {files:?}") };
    let name = path.strip_prefix("a-1-b/2026/11/23/12/a-1-b-1-2026-11-23-12-59-58-").unwrap();
    assert_eq!(uuid::Uuid::try_parse(name).unwrap().get_version_num(), 7);
    assert_eq!(content, "x\nyz");
    assert_eq!(setting.files(".firehose/open"), []);
}

#[test]
fn objects_are_complete_by_size_and_by_time() {
    let mut setting = Setting::new(10);
    for (advance, record, complete) in [
        (0, "aaaaaa", &[][..]),
        (0, "bbbb", &[]),
        (0, "c", &["aaaaaabbbb"]),
        (299, "d", &["aaaaaabbbb"]),
        (1, "e", &["aaaaaabbbb", "cd"]),
        (0, "larger than ten", &["aaaaaabbbb", "cd", "e"]),
        (0, "", &["aaaaaabbbb", "cd", "e", "larger than ten"]),
        (301, "f", &["aaaaaabbbb", "cd", "e", "larger than ten"]),
    ] {
        setting.advance(advance);
        assert_eq!(setting.put("demo", &[record]), 200);
        assert_eq!(setting.contents("demo"), complete, "after {record}");
    }
    let due = setting.directory.lock().next_due().unwrap();
    assert_eq!(due, SystemTime::UNIX_EPOCH + Duration::from_secs(START_SECS + 601 + 300));
    for (advance, complete) in [(299, 4), (1, 5), (1_000, 5)] {
        setting.advance(advance);
        setting.directory.lock().roll_due().unwrap();
        assert_eq!(setting.contents("demo").len(), complete);
    }
    assert_eq!(setting.directory.lock().next_due(), None);
}

#[test]
fn names_sort_in_the_order_of_writing() {
    let mut setting = Setting::new(1);
    let written: Vec<String> = (0..300).map(|number| format!("{number}")).collect();
    for (number, record) in written.iter().enumerate() {
        // The clock stands still mostly, and once it goes back.
        match number {
            100 => setting.advance(1),
            200 => setting.clock.store(START_SECS - 86_400, Ordering::Relaxed),
            _ => {}
        }
        assert_eq!(setting.put("demo", &[record]), 200);
    }
    setting.directory.lock().finish().unwrap();
    assert_eq!(setting.contents("demo"), written);
}

#[test]
fn the_ledger_names_each_accepted_record() {
    let mut setting = Setting::new(4);
    setting.service.script([Step::Entries(vec![(1, EntryFault::Unavailable)])]);
    setting.put("demo", &["abcd", "not this", ""]);
    setting.put("other", &["ef"]);
    setting.directory.lock().finish().unwrap();
    let lines = setting.ledger_lines();
    let told: Vec<_> = lines.iter().map(|line| (&line["stream"], &line["bytes"])).collect();
    assert_eq!(serde_json::to_string(&told).unwrap(), r#"[["demo",4],["demo",0],["other",2]]"#);
    for line in &lines {
        assert_eq!(line["record_id"].as_str().unwrap().len(), 224);
        let files = setting.files(line["stream"].as_str().unwrap());
        assert!(files[0].0.ends_with(line["object"].as_str().unwrap()), "{files:?}");
    }
}

#[test]
fn objects_of_a_killed_process_are_moved_into_place() {
    let mut setting = Setting::new(100);
    assert_eq!(setting.put("demo", &["kept"]), 200);
    let own = setting.dir.path().join(OWN);
    let name = "demo-1-2026-11-23-12-59-59-019ab0e5-5a3e-7000-8000-000000000000";
    fs::write(own.join("open").join(name), "").unwrap();
    fs::write(own.join("open/not-an-object"), "x").unwrap();
    let journal = own.join("ledger.jsonl");
    let lines = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, format!("{lines}{{\"stream\":\"de")).unwrap();

    let busy = Directory::open(setting.dir.path(), Buffering::default(), SystemTime::now);
    assert!(matches!(busy, Err(DeliveryError::Busy { .. })), "{busy:?}");
    assert_eq!(setting.files("demo"), []);

    // Dropping without finishing leaves what a killed process leaves.
    let Setting { dir, clock, directory, service } = setting;
    drop((directory, service));
    let directory = open(&dir, 100, &clock).with_ledger().unwrap().shared();
    let service = Service::new(Streams::Any, 1).with_destination(Box::new(directory.clone()));
    let mut setting = Setting { dir, clock, directory, service };
    assert_eq!(setting.contents("demo"), ["kept"]);
    assert_eq!(setting.contents(".firehose/open"), ["x"], "what is not ours is left alone");
    assert_eq!(setting.put("demo", &["more"]), 200);
    assert_eq!(setting.ledger_lines().len(), 2);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let mut setting = Setting::new(100);
    for stream in [".", "..", ".firehose"] {
        assert_eq!(setting.put(stream, &["x"]), 500);
        let error = setting.service.last_destination_error().unwrap().to_string();
        assert!(error.contains(stream), "{error}");
    }
    assert_eq!(setting.put("...", &["x"]), 200);
    assert_eq!(setting.service.ledger().totals().records_accepted, 1);
}

#[test]
fn what_the_ledger_cannot_take_is_taken_back() {
    let mut setting = Setting::new(100);
    assert_eq!(setting.put("demo", &["first"]), 200);
    let sound = setting.directory.lock().journal.take();
    let broken = read_only_journal(&setting);
    setting.directory.lock().journal = Some(broken);
    assert_eq!(setting.put("demo", &["second"]), 500);
    assert_eq!(setting.put("other", &["second"]), 500);
    assert_eq!(setting.contents(".firehose/open"), ["first"]);
    setting.directory.lock().journal = sound;
    assert_eq!(setting.put("demo", &["third"]), 200);
    setting.directory.lock().finish().unwrap();
    assert_eq!(setting.contents("demo"), ["firstthird"]);
    assert_eq!(setting.service.ledger().totals().bytes_accepted, 10);
}

#[test]
fn what_could_not_be_taken_back_is_taken_back_later() {
    let mut setting = Setting::new(100);
    assert_eq!(setting.put("demo", &["first"]), 200);
    let path = setting.files(".firehose/open")[0].0.clone();
    let path = setting.dir.path().join(path);
    let swap = |file| {
        let mut directory = setting.directory.lock();
        directory.objects.values_mut().next().unwrap().swap_file(file)
    };
    let sound = swap(File::open(&path).unwrap());
    fs::write(&path, "firsthalf of the sec").unwrap();
    let put = |service: &mut Service| {
        let body = r#"{"DeliveryStreamName":"demo","Record":{"Data":"c2Vjb25k"}}"#;
        service.handle(Request::put_record(body)).status
    };
    assert_eq!(put(&mut setting.service), 500);
    assert_eq!(put(&mut setting.service), 500);
    setting.directory.lock().finish().unwrap_err();
    assert_eq!(setting.files("demo"), []);
    swap(sound);
    assert_eq!(put(&mut setting.service), 200);
    setting.directory.lock().finish().unwrap();
    assert_eq!(setting.contents("demo"), ["firstsecond"]);
}

fn read_only_journal(setting: &Setting) -> Journal {
    let path = setting.dir.path().join("read-only");
    fs::write(&path, "").unwrap();
    let journal = Journal::open(path.clone()).unwrap();
    journal.with_file(OpenOptions::new().read(true).open(path).unwrap())
}

#[test]
fn an_object_that_cannot_move_stays_open() {
    let mut setting = Setting::new(100);
    assert_eq!(setting.put("demo", &["first"]), 200);
    let in_the_way = setting.dir.path().join("demo");
    fs::write(&in_the_way, "").unwrap();
    let error = setting.directory.lock().finish().unwrap_err().to_string();
    assert!(error.contains("demo/2026/11/23/12"), "{error}");
    fs::remove_file(&in_the_way).unwrap();
    assert_eq!(setting.put("demo", &["second"]), 200);
    setting.directory.lock().finish().unwrap();
    assert_eq!(setting.contents("demo"), ["firstsecond"]);
}

/// Runs the next test in a process whose files may not grow beyond 4 KiB.
#[cfg(target_os = "linux")]
#[test]
fn a_write_that_fails_half_way_is_taken_back() {
    let script =
        r#"trap "" XFSZ; ulimit -f 4; export FILES_LIMITED=1; exec "$0" --ignored --exact "$1""#;
    let output = std::process::Command::new("bash")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg("delivery::tests::files_that_may_not_grow")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by the test above in a process whose files are limited"]
fn files_that_may_not_grow() {
    if std::env::var_os("FILES_LIMITED").is_none() {
        return;
    }
    let mut setting = Setting::new(100_000);
    let (large, small) = ("x".repeat(3_000), "y".repeat(1_000));
    assert_eq!(setting.put("demo", &[&large]), 200);
    assert_eq!(setting.put("demo", &[&large]), 500);
    let error = setting.service.last_destination_error().unwrap().to_string();
    assert!(error.contains(".firehose/open/demo-1-"), "{error}");
    assert_eq!(setting.put("new", &["z".repeat(5_000).as_str()]), 500);
    assert_eq!(setting.put("demo", &[&small]), 200);
    setting.directory.lock().finish().unwrap();
    assert_eq!(setting.contents("demo"), [format!("{large}{small}")]);
    assert_eq!(setting.files("new"), []);
    assert_eq!(setting.ledger_lines().len(), 2);
}
