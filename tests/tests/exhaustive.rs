//! All runs of a small scope, instead of some of a large one: up to 3 records, up to 3 attempts,
//! requests of up to 1, 2 or 3 records, up to 2 under way, every result of every record and of
//! every request, and every order in which requests end.
//!
//! A record of an answer is stored, failed, or in doubt; a request gets such an answer, none, or is
//! refused or rejected as a whole. What is tried of that:
//!
//! | records | in a request | attempts | under way | results |
//! |---|---|---|---|---|
//! | 1 to 3 | 1 to 3 | 1 to 3 | 1, 2 | all, but for the next line |
//! | 3 | 1 | 3 | 1, 2 | all, but a record is in doubt only by a lost answer |
//!
//! In a request of one record, an answer that leaves it in doubt and an answer that is lost differ
//! for the pace alone, not for the record. With `EXHAUSTIVE=full` both are tried in the second line
//! as well, which takes some twelve times as long. Not tried are the other classes of errors,
//! wishes for a wait, time-outs, and records that expire or come later: these are the simulator's
//! part.
//!
//! Waits are shorter than a microsecond here, so that what goes again goes at once.

use std::env;
use std::num::{NonZeroU8, NonZeroUsize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use firehose_mock::sim::{Ending, Said, Violation, Watched, record_id};
use firehose_proto::producer::{Config, Transmit};
use firehose_proto::retry::{Backoff, Class, Policy};
use firehose_proto::{Failure, Limits};

#[derive(Clone, Copy, Debug)]
struct Scope {
    records: usize,
    records_max: usize,
    attempts_max: u8,
    in_flight_max: usize,
    /// An answer may leave a record in doubt.
    doubts: bool,
}

/// So many runs there are at least, of what is tried each time and in full.
const RUNS_MIN: u64 = 2_800_000;
const RUNS_FULL_MIN: u64 = 29_000_000;

/// The runs of a scope are parted by so many choices, for threads to share.
const CHOICES_OF_PART: usize = 4;

#[test]
fn every_run_keeps_the_promises() {
    let started = Instant::now();
    let is_full = env::var_os("EXHAUSTIVE").is_some_and(|value| value == "full");
    let scopes = scopes(is_full);
    let parts: Vec<_> = scopes
        .iter()
        .flat_map(|scope| parts(*scope).into_iter().map(|part| (*scope, part)))
        .collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mine = core::iter::from_fn(|| parts.get(next.fetch_add(1, Ordering::Relaxed)));
        mine.map(|(scope, part)| explore(*scope, part)).sum::<u64>()
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let runs: u64 = thread::scope(|threads| {
        let threads: Vec<_> = (0..cores).map(|_| threads.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no run panics")).sum()
    });
    eprintln!("exhaustive: {runs} runs, {:.1} s", started.elapsed().as_secs_f64());
    let runs_min = if is_full { RUNS_FULL_MIN } else { RUNS_MIN };
    assert!(runs >= runs_min, "the scope has shrunk to {runs} runs");
}

fn scopes(is_full: bool) -> Vec<Scope> {
    let mut scopes = Vec::new();
    for records in 1..=3 {
        for records_max in 1..=records {
            for attempts_max in 1..=3 {
                for in_flight_max in 1..=2 {
                    let is_largest = records == 3 && records_max == 1 && attempts_max == 3;
                    let doubts = is_full || !is_largest;
                    scopes.push(Scope {
                        records,
                        records_max,
                        attempts_max,
                        in_flight_max,
                        doubts,
                    });
                }
            }
        }
    }
    scopes
}

/// Parts the runs of a scope by their first choices.
fn parts(scope: Scope) -> Vec<Odometer> {
    let mut parts = Vec::new();
    let mut odometer = Odometer::default();
    loop {
        check(scope, &mut odometer);
        odometer.digits.truncate(CHOICES_OF_PART);
        parts.push(Odometer { at: 0, fixed: odometer.digits.len(), ..odometer.clone() });
        if !odometer.turn() {
            return parts;
        }
    }
}

/// Goes through all runs of a part of a scope and returns how many there are.
fn explore(scope: Scope, part: &Odometer) -> u64 {
    let mut odometer = part.clone();
    let mut runs = 0;
    loop {
        check(scope, &mut odometer);
        runs += 1;
        if !odometer.turn() {
            return runs;
        }
    }
}

fn check(scope: Scope, odometer: &mut Odometer) {
    if let Err(violation) = run(scope, odometer) {
        panic!("{violation} in {scope:?}, choices {:?}", odometer.digits);
    }
}

fn run(scope: Scope, odometer: &mut Odometer) -> Result<(), Violation> {
    let mut watched = Watched::new(config(scope), 7, 8);
    for _ in 0..scope.records {
        watched.push()?;
    }
    watched.close()?;
    let mut under_way = Vec::new();
    loop {
        under_way.extend(core::iter::from_fn(|| watched.take_sent()));
        if under_way.is_empty() {
            break;
        }
        let transmit = under_way.remove(odometer.choose(under_way.len()));
        let ending = end(&mut watched, &transmit, scope, odometer)?;
        watched.end(transmit.id, ending)?;
    }
    assert!(watched.is_closed(), "a run stops before its end: {:?}", watched.stats());
    Ok(())
}

/// Chooses how a request ends. What is in doubt is stored: nothing can be told of it but doubt.
fn end(
    watched: &mut Watched,
    transmit: &Transmit,
    scope: Scope,
    odometer: &mut Odometer,
) -> Result<Ending, Violation> {
    let (id, records) = (transmit.id, transmit.records);
    let mut store = |index| watched.store(id, index, &record_id(id.number(), index));
    match odometer.choose(4) {
        0 => {
            let choices = [Said::Stored, Said::Odd, Said::Internal];
            let different = if scope.doubts { 3 } else { 2 };
            let said: Vec<_> = (0..records).map(|_| choices[odometer.choose(different)]).collect();
            for (index, said) in said.iter().enumerate() {
                if *said != Said::Odd {
                    store(index)?;
                }
            }
            Ok(Ending::each(id.number(), said))
        }
        1 => {
            (0..records).try_for_each(store)?;
            Ok(Ending::failed(Failure::OutcomeUnknown))
        }
        2 => Ok(Ending::refused(503, "ServiceUnavailableException", Class::Throttled)),
        _ => Ok(Ending::refused(400, "ValidationException", Class::Rejected)),
    }
}

fn config(scope: Scope) -> Config {
    let instant = Duration::from_micros(1);
    let backoff = Backoff::new(instant, instant).expect("longer than 0");
    let attempts_max = NonZeroU8::new(scope.attempts_max).expect("1 at least");
    let policy = Policy::default()
        .with_attempts_max(attempts_max)
        .with_throttled(backoff)
        .with_transient(backoff);
    let limits = Limits::default().with_records_max(scope.records_max).expect("1 to 3");
    let in_flight_max = NonZeroUsize::new(scope.in_flight_max).expect("1 at least");
    Config::new("small".parse().expect("a legal name"))
        .with_limits(limits)
        .with_in_flight_max(in_flight_max)
        .with_policy(policy)
}

/// A number whose digits are the choices of a run; turned on, it gives the next run.
#[derive(Clone, Debug, Default)]
struct Odometer {
    digits: Vec<Digit>,
    at: usize,
    /// So many of the digits stay as they are.
    fixed: usize,
}

#[derive(Clone, Debug)]
struct Digit {
    value: usize,
    bound: usize,
}

impl Odometer {
    /// Returns a number below `bound`.
    fn choose(&mut self, bound: usize) -> usize {
        if bound == 1 {
            return 0;
        }
        if self.at == self.digits.len() {
            self.digits.push(Digit { value: 0, bound });
        }
        let digit = &self.digits[self.at];
        assert_eq!(digit.bound, bound, "the same choices lead to another run");
        self.at += 1;
        digit.value
    }

    /// Goes on to the next run, and says whether there is one.
    fn turn(&mut self) -> bool {
        self.at = 0;
        while self.digits.len() > self.fixed {
            let last = self.digits.last_mut().expect("there are more than are fixed");
            last.value += 1;
            if last.value < last.bound {
                return true;
            }
            self.digits.pop();
        }
        false
    }
}
