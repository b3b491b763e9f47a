//! The simulator: the real producer, a network that delays, loses and lies, and the service, under one
//! virtual clock and one seed.
//!
//! A run first storms: records are pushed while faults happen as often as the plan says. Then it is
//! calm, and everything that is left must be decided in a bounded number of steps. After each step an
//! oracle that knows only what the producer was told holds all that comes out of it against the list
//! of promises. What the service stored is compared byte for byte.
//!
//! [`Sim::run`] does all that. [`Watched`] is the producer with its oracle alone, for a world of
//! one's own.
//!
//! ```
//! use firehose_mock::sim::{Plan, Sim};
//!
//! let figures = Sim::run(&Plan::draw(42))?;
//! assert!(figures.attempts >= figures.delivered);
//! assert_eq!(figures, Sim::run(&Plan::draw(42))?);
//! # Ok::<(), firehose_mock::sim::Violation>(())
//! ```

mod ending;
mod link;
mod oracle;
mod payload;
mod plan;
mod violation;
mod watched;
mod wrong;

use core::fmt;
use std::sync::Arc;

use firehose_proto::RequestId;
use firehose_proto::producer::Stats;

pub use ending::{Ending, Said, record_id};
pub use plan::{Plan, Rates};
pub use violation::Violation;
pub use watched::Watched;

use crate::random::mix;
use link::Link;
use payload::Payload;
use violation::ensure;

/// How often the producer is woken though it does not want that.
const SPURIOUS_RATE: f64 = 0.01;

/// The numbers of a run.
///
/// ```
/// use firehose_mock::sim::{Plan, Sim};
///
/// let figures = Sim::run(&Plan::new(5, 1_000, 8..=40))?;
/// assert_eq!((figures.delivered, figures.doubtful), (figures.records, 0));
/// # Ok::<(), firehose_mock::sim::Violation>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Figures {
    /// Records that were pushed.
    pub records: u64,
    /// Records in all requests, one that goes again counting again.
    pub attempts: u64,
    /// Requests.
    pub requests: u64,
    /// Records that were delivered.
    pub delivered: u64,
    /// Records, delivered or not, on which the producer told doubt.
    pub doubtful: u64,
    /// Records that the service really stored more than once.
    pub doubled: u64,
    /// How long the run took, in virtual microseconds.
    pub micros: u64,
    /// Folds together everything that was sent and decided: equal runs have equal digests.
    pub digest: u64,
}

/// A run under way.
///
/// ```
/// use firehose_mock::sim::{Plan, Sim};
///
/// for seed in 0..3 {
///     if let Err(violation) = Sim::run(&Plan::draw(seed)) {
///         panic!("{violation}");
///     }
/// }
/// ```
pub struct Sim<'a> {
    plan: &'a Plan,
    watched: Watched,
    link: Link,
    arrivals: Vec<Arrival>,
    /// Records that are still to be pushed.
    left: usize,
    push_at: u64,
    /// There was no room for a record while so many were undecided.
    full_at: Option<u64>,
    steps_left: u64,
}

/// News on their way back.
struct Arrival {
    at: u64,
    id: RequestId,
    ending: Ending,
}

/// What happens next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    Arrival(usize),
    Push,
    Wake,
}

impl<'a> Sim<'a> {
    /// Runs a plan to its end.
    ///
    /// # Errors
    ///
    /// The first [`Violation`], with the seed that leads to it.
    pub fn run(plan: &'a Plan) -> Result<Figures, Violation> {
        let mut sim = Self::new(plan);
        sim.storm().and_then(|()| sim.calm()).and_then(|()| sim.finish()).map_err(|violation| {
            Violation { seed: Some(plan.seed), micros: sim.watched.now(), ..violation }
        })
    }

    fn new(plan: &'a Plan) -> Self {
        let (min, max) = (*plan.record_bytes.start(), *plan.record_bytes.end());
        let payload = Arc::new(Payload::new(plan.seed, min, max));
        let link = Link::new(plan, &payload);
        Self {
            plan,
            watched: Watched::with_payload(plan.config.clone(), mix(plan.seed ^ 1), payload),
            link,
            arrivals: Vec::new(),
            left: plan.records,
            push_at: 0,
            full_at: None,
            steps_left: 0,
        }
    }

    /// Pushes everything while faults happen.
    fn storm(&mut self) -> Result<(), Violation> {
        let attempts_max = u64::from(self.plan.config.policy().attempts_max().get());
        self.steps_left = 1_000 + 8 * self.left as u64 * attempts_max;
        while self.left > 0 && !self.watched.is_closed() {
            self.step()?;
        }
        if self.plan.is_stormy_to_the_end && !self.watched.is_closed() {
            self.watched.close()?;
            self.hand_over()?;
            while self.watched.undecided() > 0 {
                self.step()?;
            }
        }
        Ok(())
    }

    /// Ends the faults, and sees to it that everything is decided soon.
    fn calm(&mut self) -> Result<(), Violation> {
        self.link.calm();
        if self.watched.is_closed() {
            return Ok(());
        }
        self.left = 1 + self.plan.records / 16;
        let open = self.watched.undecided() + self.left as u64 + self.arrivals.len() as u64;
        self.steps_left = 256 + 8 * open;
        while self.left > 0 && !self.watched.is_closed() {
            self.step()?;
        }
        self.watched.close()?;
        self.hand_over()?;
        while !self.watched.is_closed() {
            self.step()?;
        }
        Ok(())
    }

    /// Lets the last news come, which nobody waits for, and compares the accounts.
    fn finish(&mut self) -> Result<Figures, Violation> {
        while !self.arrivals.is_empty() {
            self.steps_left = 1;
            self.step()?;
        }
        let (stats, seen) = (self.watched.stats(), self.watched.seen());
        let (undecided, until) = (self.watched.undecided(), self.watched.until());
        ensure!(undecided == 0, "I1", "{undecided} records are undecided at the end");
        ensure!(until.is_none(), "I16", "it wants to be woken at {until:?} after the end");
        let accepted = self.link.records_accepted();
        ensure!(
            accepted == seen.stored,
            "I18",
            "{accepted} records are stored, {seen:?} were seen"
        );
        Ok(self.figures(stats))
    }

    fn figures(&self, stats: Stats) -> Figures {
        let seen = self.watched.seen();
        Figures {
            records: stats.records_accepted,
            attempts: stats.attempts,
            requests: stats.requests,
            delivered: stats.records_delivered,
            doubtful: stats.records_maybe_doubled + stats.records_maybe_delivered,
            doubled: seen.doubled,
            micros: self.watched.now(),
            digest: seen.digest,
        }
    }

    /// Lets the next thing happen.
    fn step(&mut self) -> Result<(), Violation> {
        ensure!(self.steps_left > 0, "I16", "it does not come to an end");
        self.steps_left -= 1;
        let Some((at, next)) = self.next() else {
            let left = self.watched.undecided();
            ensure!(false, "I16", "nothing happens any more, {left} records are undecided");
            return Ok(());
        };
        self.watched.pass(at);
        match next {
            Next::Arrival(index) => {
                let Arrival { id, ending, .. } = self.arrivals.swap_remove(index);
                self.watched.end(id, ending)?;
            }
            Next::Push => self.push()?,
            Next::Wake => self.watched.wake()?,
        }
        self.hand_over()?;
        if self.link.chance(SPURIOUS_RATE) {
            self.watched.wake()?;
            self.hand_over()?;
        }
        Ok(())
    }

    fn next(&self) -> Option<(u64, Next)> {
        let arrivals = self.arrivals.iter().enumerate();
        let arrival = arrivals.map(|(index, arrival)| (arrival.at, Next::Arrival(index)));
        let arrival = arrival.min_by_key(|(at, _)| *at);
        let wake = self.watched.until().map(|until| (self.lagging(until), Next::Wake));
        let has_room = self.full_at.is_none_or(|full_at| self.watched.undecided() < full_at);
        let push = (self.left > 0 && has_room && !self.watched.is_closed())
            .then_some((self.push_at, Next::Push));
        arrival.into_iter().chain(wake).chain(push).min_by_key(|(at, _)| *at)
    }

    /// Returns when a wake-up comes that is wanted at an instant.
    fn lagging(&self, until: u64) -> u64 {
        until.saturating_add(mix(until) % (self.plan.lag + 1))
    }

    fn push(&mut self) -> Result<(), Violation> {
        self.full_at = None;
        for _ in 0..self.plan.burst.min(self.left) {
            if !self.watched.push_quietly()? {
                self.full_at = Some(self.watched.undecided());
                break;
            }
            self.left -= 1;
        }
        self.watched.rest()?;
        self.push_at = self.watched.now() + self.plan.burst_gap;
        if self.link.chance(self.plan.flush) {
            self.watched.flush()?;
        }
        let pushed = self.watched.pushed_count();
        if self.plan.abandon_after.is_some_and(|after| pushed >= after) {
            self.left = 0;
            self.watched.abandon()?;
        }
        Ok(())
    }

    /// Gives the requests that were handed out to the network.
    fn hand_over(&mut self) -> Result<(), Violation> {
        while let Some(transmit) = self.watched.take_sent() {
            let id = transmit.id;
            if !self.watched.is_under_way(id) {
                continue;
            }
            let journey = self.link.carry(self.watched.now(), &transmit)?;
            drop(transmit);
            let mut result = Ok(());
            let watched = &mut self.watched;
            self.link.take_stored(|ticket, id_tail| {
                if result.is_ok() {
                    result = watched.stored(ticket, id_tail);
                }
            });
            result?;
            let news = journey.news.into_iter().chain(journey.late);
            self.arrivals.extend(news.map(|(at, ending)| Arrival { at, id, ending }));
        }
        Ok(())
    }
}

impl fmt::Debug for Sim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("plan", &self.plan)
            .field("watched", &self.watched)
            .finish_non_exhaustive()
    }
}
