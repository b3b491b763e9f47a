//! The service without a wire: request in, answer out.
//!
//! It reads no clock and no randomness of the system: what it does follows from its seed and the
//! requests. It enforces the documented limits in the service's words, makes faults happen, hands
//! accepted records to the destination, and keeps the ledger.

use core::error::Error;
use core::fmt;
use core::ops::Range;
use std::collections::{BTreeSet, VecDeque};

use firehose_proto::StreamName;
use firehose_proto::limits::REQUEST_BYTES_MAX;
use firehose_proto::wire::{CONTENT_TYPE, Operation};

use crate::destination::{Accepted, Destination};
use crate::exchange::{Answer, Disposition, Request};
use crate::faults::{EntryFault, Fault, Faults, INTERNAL, Step};
use crate::ledger::Ledger;
use crate::random::SplitMix64;

mod answer;
mod intake;
mod refusal;
#[cfg(test)]
mod tests;

use answer::{Ids, batch_body, single_body};
use intake::Intake;
pub(crate) use refusal::Refusal;

/// The streams that exist.
///
/// ```
/// use firehose_mock::{Request, Service, Streams};
///
/// let streams = Streams::Only(["logs".parse()?].into());
/// let body = br#"{"DeliveryStreamName":"logs","Record":{"Data":""}}"#;
/// assert_eq!(Service::new(streams, 1).handle(Request::put_record(body)).status, 200);
/// # Ok::<(), firehose_proto::InvalidStreamName>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "all or some")]
pub enum Streams {
    /// Every name that can be one.
    Any,
    /// These alone.
    Only(BTreeSet<StreamName>),
}

/// The service: takes requests, answers them, and keeps account.
///
/// ```
/// use firehose_mock::{EntryFault, Request, Service, Step, Streams};
///
/// let mut service = Service::new(Streams::Any, 1);
/// service.script([Step::Entries(vec![(0, EntryFault::Unavailable)])]);
/// let body = br#"{"DeliveryStreamName":"demo","Records":[{"Data":"aGVsbG8="}]}"#;
/// let answer = service.handle(Request::put_record_batch(body));
/// assert_eq!(answer.status, 200);
/// assert!(answer.body.starts_with(br#"{"Encrypted":false,"FailedPutCount":1,"#));
/// assert_eq!(service.ledger().totals().records_refused, 1);
/// ```
pub struct Service {
    streams: Streams,
    faults: Faults,
    script: VecDeque<Step>,
    random: SplitMix64,
    ids: Ids,
    intake: Intake,
    outcome: Outcome,
    destination: Option<Box<dyn Destination + Send>>,
    destination_error: Option<Box<dyn Error + Send + Sync>>,
    recorder: Option<Recorder>,
    ledger: Ledger,
}

/// What is shown each request as it came.
type Recorder = Box<dyn FnMut(&Request) + Send>;

impl Service {
    /// Makes a service without faults, whose ledger counts only.
    ///
    /// The same seed gives the same ids and the same faults.
    pub fn new(streams: Streams, seed: u64) -> Self {
        Self {
            streams,
            faults: Faults::none(),
            script: VecDeque::new(),
            random: SplitMix64::new(seed),
            ids: Ids::new(seed),
            intake: Intake::new(),
            outcome: Outcome::default(),
            destination: None,
            destination_error: None,
            recorder: None,
            ledger: Ledger::counting(),
        }
    }

    /// Sets what goes wrong at random.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        if let Some(seed) = faults.seed() {
            self.random = SplitMix64::new(seed);
        }
        self.faults = faults;
        self
    }

    /// Sets where accepted records go; without a destination they are only counted.
    #[must_use]
    pub fn with_destination(mut self, destination: Box<dyn Destination + Send>) -> Self {
        self.destination = Some(destination);
        self
    }

    /// Shows each request as it came, before anything is made of it: what exactly did a client
    /// send? Requests that go wrong by a fault are shown too.
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    /// use firehose_mock::{Request, Service, Streams};
    ///
    /// let (sender, bodies) = channel();
    /// let record = move |request: &Request| drop(sender.send(request.body.clone()));
    /// let mut service = Service::new(Streams::Any, 1).with_recorder(record);
    /// service.handle(Request::put_record_batch(b"no JSON"));
    /// assert_eq!(bodies.recv()?, b"no JSON");
    /// # Ok::<(), std::sync::mpsc::RecvError>(())
    /// ```
    #[must_use]
    pub fn with_recorder(mut self, recorder: impl FnMut(&Request) + Send + 'static) -> Self {
        self.recorder = Some(Box::new(recorder));
        self
    }

    /// Replaces the ledger, with what it says already.
    #[must_use]
    pub fn with_ledger(mut self, ledger: Ledger) -> Self {
        self.ledger = ledger;
        self
    }

    /// Appends steps to the script: the next requests go by it, one step each, without random
    /// faults until it is used up.
    pub fn script(&mut self, steps: impl IntoIterator<Item = Step>) {
        self.script.extend(steps);
    }

    /// Takes a request and answers it.
    pub fn handle(&mut self, request: Request) -> Answer {
        if let Some(recorder) = &mut self.recorder {
            recorder(&request);
        }
        let answer = match self.course() {
            Course::Given(answer) => answer,
            Course::Refused(refusal) => self.stamp(refusal.into_answer()),
            Course::Taken { entries, ending } => {
                let taken = self.take(request, entries);
                let answer = self.stamp(taken.unwrap_or_else(Refusal::into_answer));
                match ending {
                    Ending::Answer => answer,
                    Ending::Cut => answer.with_delivery(Disposition::CutAfter),
                    Ending::Instead(instead) => instead,
                }
            }
        };
        self.ledger.note_answer(&answer);
        answer
    }

    /// Answers a request that cannot be one of the service's operations.
    pub(crate) fn refuse(&mut self, refusal: Refusal) -> Answer {
        let answer = self.stamp(refusal.into_answer());
        self.ledger.note_answer(&answer);
        answer
    }

    /// Returns the account of what was accepted and answered.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Returns what became of each record of the last batch that was taken.
    pub(crate) fn entry_faults(&self) -> &[Option<EntryFault>] {
        &self.outcome.faults
    }

    /// Makes the ids of records shorter than those of the real service.
    pub(crate) fn with_record_id_bytes(mut self, bytes: usize) -> Self {
        self.ids.shorten(bytes);
        self
    }

    /// Returns the ids of the records that the last batch stored, one behind the other.
    pub(crate) fn record_ids(&self) -> &str {
        &self.outcome.ids
    }

    /// Returns the number of steps of the script that are still to come.
    pub fn script_len(&self) -> usize {
        self.script.len()
    }

    /// Returns the last error of the destination, if it ever failed.
    pub fn last_destination_error(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.destination_error.as_deref()
    }

    fn course(&mut self) -> Course {
        let Some(step) = self.script.pop_front() else { return self.random_course() };
        let taken = |entries, ending| Course::Taken { entries, ending };
        match step {
            Step::CutAfter => taken(Entries::Sound, Ending::Cut),
            Step::CutBefore => Course::dropped(),
            Step::Entries(faults) => taken(Entries::Listed(faults), Ending::Answer),
            Step::Raw(answer) => Course::Given(answer),
            Step::Status { status, error_type, message } => {
                Course::Refused(Refusal::new(status, error_type, message))
            }
            Step::Take => taken(Entries::Sound, Ending::Answer),
            Step::TakeThen(answer) => taken(Entries::Sound, Ending::Instead(answer)),
        }
    }

    fn random_course(&mut self) -> Course {
        let taken = |ending| Course::Taken { entries: Entries::Random, ending };
        match self.faults.draw_call(&mut self.random) {
            Some(Fault::Unavailable) => Course::Refused(Refusal::unavailable()),
            Some(Fault::Fail) => Course::Refused(Refusal::internal()),
            Some(Fault::Cut) => taken(Ending::Cut),
            Some(Fault::Drop) => Course::dropped(),
            Some(Fault::Refuse | Fault::Internal) | None => taken(Ending::Answer),
        }
    }

    /// Takes the records of a request, if it is as it should be.
    fn take(&mut self, mut request: Request, entries: Entries) -> Result<Answer, Refusal> {
        let operation = operation(&request)?;
        let stream = self.intake.read(operation, &mut request.body)?;
        if self.intake.data().len() > REQUEST_BYTES_MAX {
            return Err(Refusal::invalid_argument("Records size exceeds 4 MB limit"));
        }
        self.assert_exists(&stream)?;
        self.decide(entries);
        self.store(&stream)?;
        self.answer(operation)
    }

    fn assert_exists(&self, stream: &StreamName) -> Result<(), Refusal> {
        match &self.streams {
            Streams::Any => Ok(()),
            Streams::Only(streams) if streams.contains(stream) => Ok(()),
            Streams::Only(_) => Err(Refusal::new(
                400,
                "ResourceNotFoundException",
                format!("Firehose {stream} under account {ACCOUNT} not found."),
            )),
        }
    }

    /// Decides for each record of the request whether it fails.
    fn decide(&mut self, entries: Entries) {
        let Outcome { faults, spans, ids } = &mut self.outcome;
        let records = self.intake.spans();
        faults.clear();
        match entries {
            Entries::Listed(listed) => {
                faults.resize(records.len(), None);
                for (index, fault) in listed {
                    if let Some(entry) = faults.get_mut(index) {
                        *entry = Some(fault);
                    }
                }
            }
            Entries::Random => {
                let random = &mut self.random;
                faults.extend(records.iter().map(|_| self.faults.draw_entry(random)));
            }
            Entries::Sound => faults.resize(records.len(), None),
        }
        spans.clear();
        ids.clear();
        for (span, _) in records.iter().zip(&*faults).filter(|(_, fault)| fault.is_none()) {
            spans.push(span.clone());
            self.ids.push_record_id(ids);
        }
    }

    /// Hands the records that do not fail to the destination and notes them.
    fn store(&mut self, stream: &StreamName) -> Result<(), Refusal> {
        let Outcome { faults, spans, ids } = &self.outcome;
        let data = self.intake.data();
        let accepted = Accepted { data, spans, ids, id_bytes: self.ids.record_id_bytes() };
        if let Some(destination) = self.destination.as_mut().filter(|_| !accepted.is_empty())
            && let Err(error) = destination.accept(stream, &accepted)
        {
            let refusal = Refusal::new(500, INTERNAL, error.to_string());
            self.destination_error = Some(error);
            return Err(refusal);
        }
        self.ledger.note_records(stream, &accepted, faults.len() - accepted.len());
        Ok(())
    }

    fn answer(&mut self, operation: Operation) -> Result<Answer, Refusal> {
        let id_bytes = self.ids.record_id_bytes();
        let Outcome { faults, ids, .. } = &mut self.outcome;
        match operation {
            Operation::PutRecordBatch => Ok(Answer::new(200, batch_body(faults, ids, id_bytes))),
            Operation::PutRecord => match faults.first_mut().and_then(Option::take) {
                Some(fault) => {
                    let (code, message) = (fault.code().to_owned(), fault.message().to_owned());
                    Err(Refusal::new(fault.status(), code, message))
                }
                None => Ok(Answer::new(200, single_body(ids))),
            },
        }
    }

    fn stamp(&mut self, mut answer: Answer) -> Answer {
        self.ids.stamp(&mut answer.headers);
        answer
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("streams", &self.streams)
            .field("faults", &self.faults)
            .field("script", &self.script)
            .field("destination_error", &self.destination_error)
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}

/// How a request goes, before it is looked at.
enum Course {
    /// It gets this answer as it is.
    Given(Answer),
    Refused(Refusal),
    Taken {
        entries: Entries,
        ending: Ending,
    },
}

impl Course {
    fn dropped() -> Self {
        Self::Given(Answer::new(500, "").with_delivery(Disposition::CutBefore))
    }
}

/// Which records of a request fail.
enum Entries {
    Listed(Vec<(usize, EntryFault)>),
    Random,
    Sound,
}

/// What follows on a request that was taken.
enum Ending {
    Answer,
    Cut,
    Instead(Answer),
}

/// What became of the records of a request; the memory is used again for each.
#[derive(Default)]
struct Outcome {
    faults: Vec<Option<EntryFault>>,
    /// The records that do not fail, in the decoded data.
    spans: Vec<Range<usize>>,
    ids: String,
}

fn operation(request: &Request) -> Result<Operation, Refusal> {
    let media_type = request.content_type.as_deref().unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let Some(target) = request.target.as_deref() else {
        return Err(Refusal::unknown_operation(400, "the header X-Amz-Target is missing"));
    };
    let Some(operation) = Operation::from_target(target) else {
        return Err(Refusal::unknown_operation(400, "the header X-Amz-Target names no operation"));
    };
    if !media_type.eq_ignore_ascii_case(CONTENT_TYPE) {
        let message = format!("the header Content-Type is not {CONTENT_TYPE}");
        return Err(Refusal::serialization(message));
    }
    Ok(operation)
}

const ACCOUNT: &str = "123456789012";
