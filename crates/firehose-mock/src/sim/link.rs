//! The network and what stands behind it: delays, losses, wrong answers, and the service.
//!
//! A request is decided on when it is handed out: whether it reaches the service, what that makes of
//! it, and what news of it comes back when. So the truth about a record is known before anybody is
//! told of it.

use core::error::Error;
use core::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use firehose_proto::producer::Transmit;
use firehose_proto::wire::request::FRAME_BYTES;
use firehose_proto::wire::{BODY_HEADROOM_BYTES, Response};
use firehose_proto::{Failure, StreamName};

use super::ending::{Ending, Said, id_tail};
use super::payload::Payload;
use super::plan::{Plan, Rates};
use super::violation::{Violation, ensure};
use super::wrong;
use crate::destination::{Accepted, Destination};
use crate::exchange::Request;
use crate::faults::{EntryFault, Fault, Faults, Step};
use crate::random::{SplitMix64, mix};
use crate::service::{Service, Streams};
use crate::transport::lock;

/// How long after its deadline a request is certainly given up.
const GIVEN_UP_MICROS: u64 = 1_000_001;

/// Refusals for size that are drawn in a run, which would otherwise end with records one by one.
const TOO_LARGE_MAX: usize = 2;

pub(super) struct Link {
    random: SplitMix64,
    rates: Rates,
    latency: RangeInclusive<u64>,
    size_bound: Option<usize>,
    service: Service,
    store: Arc<Mutex<Store>>,
    is_calm: bool,
    too_large: usize,
}

/// The news of a request, and when they come: none, one, or one that comes too late.
#[derive(Default)]
pub(super) struct Journey {
    pub(super) news: Option<(u64, Ending)>,
    pub(super) late: Option<(u64, Ending)>,
}

impl Link {
    pub(super) fn new(plan: &Plan, payload: &Arc<Payload>) -> Self {
        let seed = mix(!plan.seed);
        let store =
            Arc::new(Mutex::new(Store { payload: Arc::clone(payload), stored: Vec::new() }));
        let faults = Faults::none()
            .with_rate(Fault::Refuse, plan.rates.refuse)
            .and_then(|faults| faults.with_rate(Fault::Internal, plan.rates.internal))
            .unwrap_or_default();
        let service = Service::new(Streams::Any, seed)
            .with_record_id_bytes(plan.record_id_bytes)
            .with_faults(faults)
            .with_destination(Box::new(Probe { store: Arc::clone(&store) }));
        Self {
            random: SplitMix64::new(mix(seed)),
            rates: plan.rates,
            latency: plan.latency.clone(),
            size_bound: plan.size_bound,
            service,
            store,
            is_calm: false,
            too_large: 0,
        }
    }

    /// Ends all faults; from now on the way is short.
    pub(super) fn calm(&mut self) {
        self.is_calm = true;
        self.rates = Rates::default();
        self.latency = 1_000..=10_000;
    }

    /// Takes what the service stored since the last time: tickets, and the ids given to them.
    pub(super) fn take_stored(&mut self, mut take: impl FnMut(usize, u64)) {
        for (ticket, id) in lock(&self.store).stored.drain(..) {
            take(ticket, id);
        }
    }

    /// Returns how many records the service says that it stored.
    pub(super) fn records_accepted(&self) -> u64 {
        self.service.ledger().totals().records_accepted
    }

    pub(super) fn chance(&mut self, rate: f64) -> bool {
        rate > 0.0 && self.random.fraction() < rate
    }

    /// Carries a request there, and the news of it back.
    pub(super) fn carry(&mut self, now: u64, transmit: &Transmit) -> Result<Journey, Violation> {
        let deadline = transmit.deadline.as_micros();
        let there = now + self.delay();
        let back = there + self.delay();
        if self.size_bound.is_some_and(|bound| data_bytes(transmit) > bound) {
            let ending = wrong::too_large(&mut self.random);
            return Ok(self.arrives(deadline, back, ending));
        }
        let rates = self.rates;
        let mut left = self.random.fraction();
        let mut is_drawn = |rate: f64| {
            left -= rate;
            left < 0.0
        };
        if is_drawn(rates.not_sent) {
            let ending = Ending::failed(Failure::NotSent);
            return Ok(Journey { news: Some((there.min(deadline), ending)), late: None });
        }
        if is_drawn(rates.not_ready + rates.unsendable) {
            let share = rates.unsendable / (rates.not_ready + rates.unsendable);
            let is_final = self.chance(share);
            let failure = if is_final { Failure::Unsendable } else { Failure::NotReady };
            let ending = Ending::failed(failure);
            return Ok(Journey { news: Some((there.min(deadline), ending)), late: None });
        }
        if is_drawn(rates.lost) {
            return Ok(self.is_silent(deadline, back));
        }
        if is_drawn(rates.cut) {
            self.serve(transmit)?;
            return Ok(self.is_silent(deadline, back));
        }
        if is_drawn(rates.late) {
            let ending = self.answer(transmit)?;
            let late = deadline + GIVEN_UP_MICROS + self.delay();
            return Ok(self.arrives(deadline, late, ending));
        }
        let ending = if is_drawn(rates.fault) {
            self.fault(transmit)?
        } else if is_drawn(rates.deny) {
            self.deny()
        } else if is_drawn(rates.wrong) {
            let (response, said) = self.serve(transmit)?;
            wrong::answer(&mut self.random, response, said, self.service.record_ids())
        } else {
            self.answer(transmit)?
        };
        Ok(self.arrives(deadline, back, ending))
    }

    fn delay(&mut self) -> u64 {
        let (min, max) = (*self.latency.start(), *self.latency.end());
        min + self.random.next() % (max - min + 1)
    }

    /// An answer arrives. Beyond the deadline an adapter may have given up before.
    fn arrives(&mut self, deadline: u64, at: u64, ending: Ending) -> Journey {
        if at <= deadline {
            return Journey { news: Some((at, ending)), late: None };
        }
        let gives_up = self.chance(0.5);
        let unknown = (deadline, Ending::failed(Failure::OutcomeUnknown));
        Journey { news: gives_up.then_some(unknown), late: Some((at, ending)) }
    }

    /// No answer arrives: the connection ends, the adapter gives up, or nobody says anything.
    fn is_silent(&mut self, deadline: u64, at: u64) -> Journey {
        let at = match self.random.next() % 3 {
            0 => at.min(deadline),
            1 => deadline,
            _ => return Journey::default(),
        };
        Journey { news: Some((at, Ending::failed(Failure::OutcomeUnknown))), late: None }
    }

    fn answer(&mut self, transmit: &Transmit) -> Result<Ending, Violation> {
        let (response, said) = self.serve(transmit)?;
        let ending = Ending::right(response, said);
        Ok(if !self.is_calm && self.chance(0.05) {
            ending.asking(&mut self.random)
        } else {
            ending
        })
    }

    /// An error that passes. Where it leaves that open, the request was taken or not.
    fn fault(&mut self, transmit: &Transmit) -> Result<Ending, Violation> {
        let (ending, may_be_taken) = wrong::passing(&mut self.random);
        if may_be_taken && self.chance(0.5) {
            self.serve(transmit)?;
        }
        Ok(if self.chance(0.25) { ending.asking(&mut self.random) } else { ending })
    }

    fn deny(&mut self) -> Ending {
        if self.too_large < TOO_LARGE_MAX && self.chance(0.5) {
            self.too_large += 1;
            return wrong::too_large(&mut self.random);
        }
        wrong::lasting(&mut self.random)
    }

    /// Lets the service take a request: its answer, and what that says.
    fn serve(&mut self, transmit: &Transmit) -> Result<(Response, Vec<Said>), Violation> {
        let mut body = Vec::with_capacity(transmit.body.len() + BODY_HEADROOM_BYTES);
        body.extend_from_slice(&transmit.body);
        if self.is_calm {
            self.service.script([Step::Take]);
        }
        let answer = self.service.handle(Request::put_record_batch(body));
        let error = self.service.last_destination_error();
        ensure!(error.is_none(), "I18", "the service stored something else: {error:?}");
        let id = transmit.id.number();
        ensure!(answer.status == 200, "I5", "the service refuses request {id}: {answer:?}");
        let said = self.service.entry_faults().iter().map(|fault| match fault {
            None => Said::Stored,
            Some(EntryFault::Unavailable) => Said::Throttled,
            Some(EntryFault::Internal) => Said::Internal,
            Some(EntryFault::Other { .. }) => Said::Odd,
        });
        let mut response = Response::new(answer.status, answer.body);
        for (name, value) in &answer.headers {
            response = response.with_header(name.as_str(), value.as_bytes());
        }
        Ok((response, said.collect()))
    }
}

/// Returns the bytes of data in a request, give or take two for each record.
fn data_bytes(transmit: &Transmit) -> usize {
    let frames = FRAME_BYTES + 12 * transmit.records;
    transmit.body.len().saturating_sub(frames) / 4 * 3
}

/// What the service stored, checked byte for byte.
struct Store {
    payload: Arc<Payload>,
    stored: Vec<(usize, u64)>,
}

struct Probe {
    store: Arc<Mutex<Store>>,
}

impl Destination for Probe {
    fn accept(
        &mut self,
        _: &StreamName,
        records: &Accepted<'_>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let store = &mut *lock(&self.store);
        for record in records.iter() {
            let ticket = store.payload.ticket_of(record.data).ok_or("no record has these bytes")?;
            store.stored.push((usize::try_from(ticket)?, id_tail(record.id)));
        }
        Ok(())
    }
}
