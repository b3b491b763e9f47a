//! The simulator: seeds that are always the same, fresh ones on demand, and a table of how the
//! producer behaves.
//!
//! `SIM_ATTEMPTS=1000000000 cargo test -p firehose-tests --release --test sim -- --nocapture fresh`
//! runs fresh seeds until so many record attempts were simulated. `SIM_SEED=… … replay` runs one.

use core::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs};

use firehose_mock::sim::{Figures, Plan, Rates, Sim};
use firehose_proto::Limits;
use firehose_proto::producer::Config;

/// Seeds of the short run; each has some thousand records.
const SEEDS: u64 = if cfg!(debug_assertions) { 200 } else { 4_000 };

/// Records of each run of the table.
const TABLE_RECORDS: usize = 10_000;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sim.txt");

/// Runs a seed, and says in words what it breaks.
fn run(seed: u64) -> Result<Figures, String> {
    let result = catch_unwind(AssertUnwindSafe(|| Sim::run(&Plan::draw(seed))));
    match result {
        Ok(result) => result.map_err(|violation| violation.to_string()),
        Err(_) => Err(format!("seed {seed} panics")),
    }
}

#[derive(Default)]
struct Campaign {
    attempts: AtomicU64,
    seeds: AtomicU64,
    violations: Mutex<Vec<String>>,
}

impl Campaign {
    /// Runs seeds from `first` on over all cores while `goes_on` says so.
    fn run(first: u64, goes_on: impl Fn(u64, u64) -> bool + Sync) -> Self {
        let campaign = Self::default();
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let started = Instant::now();
        thread::scope(|scope| {
            for _ in 0..cores {
                scope.spawn(|| campaign.work(first, &goes_on));
            }
        });
        let seconds = started.elapsed().as_secs_f64();
        campaign.tell(seconds, cpu_seconds().unwrap_or(seconds * cores as f64));
        campaign
    }

    fn work(&self, first: u64, goes_on: &(impl Fn(u64, u64) -> bool + Sync)) {
        loop {
            let seed = self.seeds.fetch_add(1, Ordering::Relaxed);
            if !goes_on(seed, self.attempts.load(Ordering::Relaxed)) {
                self.seeds.fetch_sub(1, Ordering::Relaxed);
                return;
            }
            match run(first + seed) {
                Ok(figures) => {
                    self.attempts.fetch_add(figures.attempts, Ordering::Relaxed);
                }
                Err(violation) => self.violations.lock().expect("no holder panics").push(violation),
            }
        }
    }

    fn tell(&self, seconds: f64, cpu_seconds: f64) {
        let attempts = self.attempts.load(Ordering::Relaxed);
        let seeds = self.seeds.load(Ordering::Relaxed);
        let violations = self.violations.lock().expect("no holder panics");
        eprintln!(
            "sim: {attempts} record attempts in {seeds} seeds, {seconds:.1} s, {cpu_seconds:.1} s of \
             processors, {:.2} million attempts per processor and second, {} violations",
            attempts as f64 / cpu_seconds / 1e6,
            violations.len()
        );
        assert!(violations.is_empty(), "\n{}", violations.join("\n"));
    }
}

#[test]
fn seeds() {
    let campaign = Campaign::run(0, |seed, _| seed < SEEDS);
    assert_eq!(campaign.seeds.into_inner(), SEEDS);
}

/// Runs fresh seeds until `SIM_ATTEMPTS` record attempts were simulated.
#[test]
fn fresh_seeds() {
    let Some(wanted) = number("SIM_ATTEMPTS") else {
        eprintln!("sim: SIM_ATTEMPTS is not set, no fresh seeds");
        return;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    let first = now.as_secs() << 24;
    Campaign::run(first, |_, attempts| attempts < wanted);
}

/// Runs the seed that `SIM_SEED` names.
#[test]
fn replay() {
    let Some(seed) = number("SIM_SEED") else {
        eprintln!("sim: SIM_SEED is not set, nothing to replay");
        return;
    };
    let plan = Plan::draw(seed);
    eprintln!("{plan:#?}");
    match Sim::run(&plan) {
        Ok(figures) => eprintln!("{figures:#?}"),
        Err(violation) => panic!("{violation}"),
    }
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    for seed in [1, 7, 40] {
        assert_eq!(run(seed), run(seed));
    }
    assert_ne!(run(1), run(7));
}

/// What changes the producer's behaviour changes this table, and is reviewed there.
/// `UPDATE=1` writes it anew.
#[test]
fn the_table_is_as_reviewed() {
    let table = table();
    if env::var_os("UPDATE").is_some() {
        fs::write(TABLE, &table).unwrap();
    }
    let reviewed = fs::read_to_string(TABLE).unwrap_or_default();
    assert!(table == reviewed, "tests/data/sim.txt differs; UPDATE=1 writes it anew:\n{table}");
}

fn table() -> String {
    let shapes = [("500 records", 500), ("100 records", 100), ("20 records", 20)];
    let mut table = format!(
        "{TABLE_RECORDS} records of 8-40 bytes, 4 requests under way, 5-50 ms each way; faults last to the end.\n\n\
         {:<22}{:<15}{:>9}{:>9}{:>10}{:>9}{:>8}{:>10}\n",
        "faults",
        "requests of",
        "requests",
        "attempts",
        "delivered",
        "doubtful",
        "doubled",
        "seconds"
    );
    for (shape, records_max) in shapes {
        for (name, rates) in mixes() {
            let limits = Limits::default().with_records_max(records_max);
            let limits = limits.expect("500 at most");
            let config =
                Config::new("simulated".parse().expect("a legal name")).with_limits(limits);
            let plan = Plan::new(1, TABLE_RECORDS, 8..=40).with_config(config).with_rates(rates);
            let figures = Sim::run(&plan).unwrap_or_else(|violation| panic!("{violation}"));
            let Figures { requests, attempts, delivered, doubtful, doubled, micros, .. } = figures;
            writeln!(
                table,
                "{name:<22}{shape:<15}{requests:>9}{attempts:>9}{delivered:>10}{doubtful:>9}\
                 {doubled:>8}{:>10.3}",
                micros as f64 / 1e6
            )
            .expect("a string takes any text");
        }
    }
    table
}

/// Mixes of faults, by name.
fn mixes() -> Vec<(&'static str, Rates)> {
    let mix = |set: &dyn Fn(&mut Rates)| {
        let mut rates = Rates::default();
        set(&mut rates);
        rates
    };
    vec![
        ("none", Rates::default()),
        ("1 record in 10", mix(&|rates| rates.refuse = 0.1)),
        ("1 record in 3", mix(&|rates| rates.refuse = 0.33)),
        ("internal 1 in 10", mix(&|rates| rates.internal = 0.1)),
        ("not sent 1 in 5", mix(&|rates| rates.not_sent = 0.2)),
        ("lost or cut 1 in 10", mix(&|rates| (rates.lost, rates.cut) = (0.05, 0.05))),
        ("late 1 in 10", mix(&|rates| rates.late = 0.1)),
        ("errors 1 in 5", mix(&|rates| rates.fault = 0.2)),
        ("wrong 1 in 5", mix(&|rates| rates.wrong = 0.2)),
        (
            "a little of all",
            mix(&|rates| {
                (rates.refuse, rates.internal, rates.not_sent) = (0.03, 0.01, 0.03);
                (rates.lost, rates.cut, rates.late) = (0.02, 0.02, 0.02);
                (rates.fault, rates.wrong) = (0.03, 0.02);
            }),
        ),
    ]
}

/// Returns how long processors worked for this process, where the system tells.
fn cpu_seconds() -> Option<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    let text = text.replace('_', "");
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no whole number")))
}
