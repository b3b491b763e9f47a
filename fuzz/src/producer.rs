//! The producer against a model, in virtual time, over operations decoded from bytes.
//!
//! Eleven bytes choose the settings, the seed, and whether all output is taken after each operation
//! or only now and then. What happens then is in [`World::step`]. In the end everything that is left
//! is driven to its outcome by a service without faults, which must take a bounded number of steps.

mod answer;
mod expect;
mod model;
mod settings;

use core::time::Duration;

use firehose_proto::producer::{Output, Producer, PushError};
use firehose_proto::retry::{Class, Failure};
use firehose_proto::wire::request::base64_len;
use firehose_proto::{Instant, RequestId};

use crate::input::Input;
use answer::Answer;
use model::Model;

/// More operations than this are not taken from one input.
const STEPS_MAX: usize = 4_096;

/// All ways in which a transport can fail.
const FAILURES: [Failure; 4] =
    [Failure::NotSent, Failure::OutcomeUnknown, Failure::NotReady, Failure::Unsendable];

/// Drives a producer as the bytes say, and holds all that comes out of it against a model.
///
/// # Panics
///
/// If a record has no outcome or two, if its outcome is not what the answers to its requests say, if
/// it is sent though it must not be, if a limit is broken, if a count is wrong, if time stands still.
pub fn producer(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new(&mut input);
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
        if world.eager {
            world.drain();
        }
    }
    world.finish();
}

struct World {
    producer: Producer,
    model: Model,
    /// The time that inputs are given, which may run backward now and then.
    now: Instant,
    /// All output is taken after each operation.
    eager: bool,
}

impl World {
    fn new(input: &mut Input<'_>) -> Self {
        let now = Instant::from_micros(1_000_000);
        let config = settings::config(input);
        let seed = u64::from(input.byte());
        let eager = !input.flag();
        let model = Model::new(now, &config);
        Self { producer: Producer::new(now, config, seed), model, now, eager }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(16) {
            0..=3 => self.push(input),
            4 => {
                for _ in 0..input.below(32) {
                    self.push(input);
                }
            }
            5 => {
                self.model.passes(self.now);
                self.model.flushed();
                self.producer.flush(self.now);
            }
            6 | 7 => self.answer(input, Answer::entries),
            8 => self.answer(input, |input, _, _| Answer::fault(input)),
            9 => self.answer(input, Answer::nonsense),
            10 => self.fail(input),
            11 => self.answer_late(input),
            12 | 13 => self.pass(input),
            14 => self.drain(),
            _ => self.end(input),
        }
    }

    fn push(&mut self, input: &mut Input<'_>) {
        let size = input.byte();
        let record = self.model.next_record(size);
        let (first, second) = record.split_at(usize::from(size) % (record.len() + 1));
        let held = (base64_len(record.len()) + 11) as u64;
        let before = self.producer.stats();
        self.model.passes(self.now);
        let pushed = self.producer.push_parts(self.now, &[first, second]);
        let (record_bytes_max, buffer_bytes_max) = {
            let config = self.producer.config();
            (config.limits().record_bytes_max(), config.buffer_bytes_max() as u64)
        };
        let expected = if self.model.is_closing() {
            Err(PushError::Closed)
        } else if record.len() > record_bytes_max {
            Err(PushError::RecordTooLarge { bytes: record.len(), bytes_max: record_bytes_max })
        } else if before.records_undecided > 0 && before.bytes_held + held > buffer_bytes_max {
            let bytes_held = before.bytes_held;
            Err(PushError::Full { bytes_held, bytes_max: buffer_bytes_max })
        } else {
            Ok(self.model.next_ticket())
        };
        assert_eq!(pushed, expected);
        if pushed.is_ok() {
            self.model.pushed(record);
        }
    }

    /// Answers one of the requests that nobody has answered yet.
    fn answer(
        &mut self,
        input: &mut Input<'_>,
        make: impl FnOnce(&mut Input<'_>, u64, usize) -> Answer,
    ) {
        let Some((id, records)) = self.model.in_flight(input.byte()) else { return };
        self.give(id, make(input, id, records));
    }

    fn give(&mut self, id: u64, answer: Answer) {
        let Answer { response, meaning, asked } = answer;
        let (planned, clean) = (self.producer.stats().requests, !self.producer.has_output());
        self.model.passes(self.now);
        let id = RequestId::from_number(id);
        let taken = self.producer.handle_response(self.now, id, response);
        taken.expect("the request is under way");
        self.model.answered(id.number(), meaning, asked, planned, clean);
    }

    fn fail(&mut self, input: &mut Input<'_>) {
        let Some((id, _)) = self.model.in_flight(input.byte()) else { return };
        let failure = input.pick(&FAILURES);
        let clean = !self.producer.has_output();
        self.model.passes(self.now);
        let taken = self.producer.handle_failure(self.now, RequestId::from_number(id), failure);
        taken.expect("the request is under way");
        self.model.failed(id, Class::of_failure(failure), clean);
    }

    /// Answers a request that was answered, failed or cancelled before.
    fn answer_late(&mut self, input: &mut Input<'_>) {
        let Some(id) = self.model.ended(input.byte()) else { return };
        let response = Answer::all_stored(id, 1).response;
        self.model.passes(self.now);
        let id = RequestId::from_number(id);
        assert!(self.producer.handle_response(self.now, id, response).is_err());
        assert!(self.producer.handle_failure(self.now, id, Failure::NotSent).is_err());
    }

    /// Lets time pass: up to the next deadline, by a span, or backward.
    fn pass(&mut self, input: &mut Input<'_>) {
        let micros = self.now.as_micros();
        self.now = match input.below(8) {
            0..=2 => self.producer.deadline().map_or(self.now, |(at, _)| at.max(self.now)),
            3 => self.now + Duration::from_micros(1),
            4 => self.now + Duration::from_millis(u64::from(input.byte())),
            5 => self.now + Duration::from_secs(u64::from(input.byte())),
            6 => Instant::from_micros(micros.saturating_sub(u64::from(input.byte()) * 1_000)),
            _ => self.now,
        };
        self.wake();
    }

    fn wake(&mut self) {
        // A deadline that never comes is no time to go to.
        if self.now.as_micros() > u64::MAX / 2 {
            self.now = self.model.now();
        }
        self.model.passes(self.now);
        self.model.woken();
        self.producer.handle_timeout(self.now);
    }

    /// Closes the producer or, less often, gives everything up.
    fn end(&mut self, input: &mut Input<'_>) {
        self.model.passes(self.now);
        match input.below(16) {
            0..4 => {
                self.model.closes();
                self.producer.close(self.now);
            }
            4 => {
                self.model.abandoned();
                self.producer.abandon(self.now);
            }
            _ => {}
        }
    }

    /// Takes all output, and checks what must hold when there is none left.
    fn drain(&mut self) {
        let mut outputs = Vec::new();
        let until = loop {
            match self.producer.poll_output() {
                Output::Wait(until) => break until,
                output @ (Output::Cancel(_) | Output::Event(_) | Output::Transmit(_)) => {
                    outputs.push(output);
                }
            }
        };
        assert!(!self.producer.has_output());
        assert_eq!(until, self.producer.deadline().map(|(at, _)| at));
        self.model.take(outputs, self.producer.stats());
        assert_eq!(self.producer.oldest_undecided(), self.model.oldest_undecided());
        assert_eq!(self.producer.is_closed(), self.model.is_closed());
        self.model.check_deadline(until);
    }

    /// Drives what is left to its end, with a service that stores everything.
    fn finish(mut self) {
        self.drain();
        self.model.passes(self.now);
        self.model.closes();
        self.producer.close(self.now);
        self.drain();
        let steps_max = 4 * self.model.undecided() + 16;
        for _ in 0..steps_max {
            if let Some((id, records)) = self.model.in_flight(0) {
                self.give(id, Answer::all_stored(id, records));
            } else if let Some((at, _)) = self.producer.deadline() {
                self.now = at.max(self.now);
                self.wake();
            } else {
                break;
            }
            self.drain();
        }
        assert_eq!(self.model.undecided(), 0, "it does not end in {steps_max} steps");
        assert!(self.producer.is_closed() && self.producer.deadline().is_none());
        let stats = self.producer.stats();
        assert_eq!(
            (stats.records_undecided, stats.bytes_held, stats.requests_in_flight),
            (0, 0, 0)
        );
        assert_eq!(stats.records_accepted, stats.records_delivered + stats.records_undelivered());
    }
}
