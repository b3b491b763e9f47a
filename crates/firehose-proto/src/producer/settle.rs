//! What an answer, or none, does to the records of its request.

use core::time::Duration;

use super::load::{Pending, SealedLoad, held_bytes};
use super::output::{Event, Setback, SetbackCause};
use super::report::{Last, Reason, Report};
use super::stats::Stats;
use super::{Phase, Producer};
use crate::batch::Encoded;
use crate::ids::RequestId;
use crate::judge::{Anomalies, Distrust, Judged, Judgement, VerdictSpans};
use crate::retry::{Class, Failure, Policy};
use crate::time::Instant;
use crate::wire::Response;
use crate::wire::fault::Fault;

impl Producer {
    pub(super) fn settle_response(
        &mut self,
        id: RequestId,
        load: SealedLoad,
        mut response: Response,
    ) {
        let asked = response.retry_after();
        // A fault keeps it itself.
        let request_id = if response.is_success() { response.take_request_id() } else { None };
        match Judgement::of(response, load.batch().len(), &mut self.scratch) {
            Judgement::Records(judged) => self.settle_records(load, judged, request_id, asked),
            Judgement::Fault(fault) => self.settle_fault(id, load, fault),
            Judgement::Unknown(distrust) => {
                self.settle_distrust(id, load, distrust, request_id);
            }
        }
    }

    pub(super) fn settle_failure(&mut self, id: RequestId, load: SealedLoad, failure: Failure) {
        let class = Class::of_failure(failure);
        let cause = SetbackCause::Failure(failure);
        self.settle_whole(id, load, class, cause, Report::default());
    }

    fn settle_distrust(
        &mut self,
        id: RequestId,
        load: SealedLoad,
        distrust: Distrust,
        request_id: Option<Box<str>>,
    ) {
        self.stats.replies_distrusted += 1;
        if canary!("drop_unknown") {
            return;
        }
        let cause = SetbackCause::Distrust(distrust);
        self.settle_whole(id, load, Class::Unknown, cause, Report::new(request_id));
    }

    fn settle_fault(&mut self, id: RequestId, load: SealedLoad, fault: Fault) {
        self.stats.faults += 1;
        let mut class = Class::of_fault(&fault);
        if class == Class::TooLarge {
            if load.batch().len() == 1 || canary!("no_split") {
                class = Class::Rejected;
            } else {
                if !canary!("bound_not_lowered") {
                    self.backlog.lower_limits(&load);
                }
                let request_bytes_max = self.backlog.limits().request_bytes_max();
                self.events.push_back(Event::SizeBoundLowered { request_bytes_max });
            }
        }
        let mut report = Report::new(fault.request_id().map(Into::into));
        report.set_fault(fault.clone());
        self.settle_whole(id, load, class, SetbackCause::Fault(fault), report);
    }

    /// Settles a request of which every record fares alike.
    fn settle_whole(
        &mut self,
        id: RequestId,
        load: SealedLoad,
        class: Class,
        cause: SetbackCause,
        mut report: Report,
    ) {
        let records = load.batch().len();
        let asked = match &cause {
            SetbackCause::Fault(fault) => fault.retry_after(),
            SetbackCause::Distrust(_) | SetbackCause::Failure(_) => None,
        };
        let retry = self.retry(asked);
        let request_id = report.request_id().map(Into::into);
        let setback = Setback { id, request_id, records, class, cause };
        self.events.push_back(Event::Setback(setback));
        self.stats.count_attempts(class, records as u64);
        self.slow_down(class, records, &retry);
        if let Some(due) = retry.uniform(&load, class) {
            let load = load.reopen(|record| {
                retry.decide(record, class);
            });
            self.backlog.push_load_again(due, load);
        } else {
            for (record, encoded) in load.records() {
                self.place(record, encoded, class, Last::Request(class), &retry, &mut report);
            }
            self.backlog.recycle(load.into_storage());
        }
        if class.is_of_stream() && !canary!("backlog_not_rejected") {
            self.reject_backlog(class, &mut report);
        }
        self.publish(report);
    }

    /// Settles a request record by record (R5, R7, R9).
    fn settle_records(
        &mut self,
        load: SealedLoad,
        judged: Judged,
        request_id: Option<Box<str>>,
        asked: Option<Duration>,
    ) {
        let retry = self.retry(asked);
        let mut report = Report::new(request_id);
        report.reserve(load.batch().len());
        let (mut stored, mut throttled) = (0, 0);
        let skipped = usize::from(canary!("off_by_one_index"));
        let verdicts = judged.verdict_spans().skip(skipped);
        for (verdict, (mut record, encoded)) in verdicts.zip(load.records()) {
            let (class, code, message) = match verdict {
                VerdictSpans::Stored { record_id } => {
                    if canary!("resend_whole_batch") {
                        self.backlog.push_again(self.now, record, encoded);
                    }
                    stored += 1;
                    report.delivered(&record, record_id);
                    self.stats.count_delivered(&record, encoded);
                    continue;
                }
                VerdictSpans::Failed { code, message, may_be_stored } => {
                    record.may_be_stored |= may_be_stored;
                    let class = Class::of_entry(code.of(judged.reply().text()));
                    (class, Some(code), message)
                }
                VerdictSpans::Unknown => (Class::Unknown, None, None),
            };
            throttled += usize::from(class == Class::Throttled);
            self.stats.count_attempts(class, 1);
            let last = Last::Entry { class, code, message };
            self.place(record, encoded, class, last, &retry, &mut report);
        }
        let anomalies = judged.anomalies();
        self.stats.count_anomalies(anomalies);
        report.set_answer(self.scratch.recycle_entries(judged.into_reply()), anomalies);
        self.adapt(load.batch().len(), stored, throttled, &retry);
        self.backlog.recycle(load.into_storage());
        self.publish(report);
    }

    /// Lets the pace follow an answer.
    fn adapt(&mut self, records: usize, stored: usize, throttled: usize, retry: &Retry) {
        self.window.answered(records, throttled);
        if stored > 0 {
            self.window.progress();
        } else {
            let setbacks = self.window.setback();
            if throttled > 0 {
                self.window.pause_until(retry.due(Class::Throttled, setbacks));
            }
        }
        let told = self.throttle.answered(self.now, records, throttled);
        self.events.extend(told.map(Event::Throttled));
    }

    /// Lets the pace follow a request of which nothing was stored.
    fn slow_down(&mut self, class: Class, records: usize, retry: &Retry) {
        match class {
            Class::Throttled => self.adapt(records, 0, records, retry),
            // What was under way together counts once: the wait grows from one look to the next.
            Class::NotReady if self.window.paused_until() > self.now => {}
            Class::NotReady => {
                let setbacks = self.window.setback();
                self.window.pause_until(retry.due(class, setbacks));
            }
            Class::NotSent | Class::StreamRejected | Class::Unsendable => {
                let setbacks = self.window.setback();
                self.window.answered(records, records);
                self.window.pause_until(retry.due(class, setbacks));
            }
            Class::Failed | Class::Unknown => {
                self.window.setback();
                self.window.answered(records, records);
            }
            Class::Rejected | Class::Renew | Class::TooLarge => {}
        }
    }

    /// Puts a record that was not stored where it belongs: back to wait, or into the report.
    fn place(
        &mut self,
        mut record: Pending,
        encoded: Encoded<'_>,
        class: Class,
        last: Last,
        retry: &Retry,
        report: &mut Report,
    ) {
        match retry.decide(&mut record, class) {
            Step::Again(due) => self.backlog.push_again(due, record, encoded),
            Step::GiveUp(reason) => {
                report.undelivered(&record, reason, last, encoded);
                self.stats.count_undelivered(&record, reason, encoded);
            }
        }
    }

    /// Gives up everything that waits, because it would fare as the request that just ended.
    fn reject_backlog(&mut self, class: Class, report: &mut Report) {
        let stats = &mut self.stats;
        self.backlog.drain(&mut |record, encoded| {
            let last = Last::Request(class);
            report.undelivered(&record, Reason::Rejected, last, encoded);
            stats.count_undelivered(&record, Reason::Rejected, encoded);
        });
    }

    /// Gives up the waiting records whose time is over.
    pub(super) fn expire(&mut self) {
        if self.backlog.expires_first() > self.now || canary!("expired_not_checked") {
            return;
        }
        let mut report = Report::default();
        let stats = &mut self.stats;
        self.backlog.expire(self.now, &mut |record, encoded| {
            report.undelivered(&record, Reason::Expired, Last::Earlier(record.last), encoded);
            stats.count_undelivered(&record, Reason::Expired, encoded);
        });
        self.publish(report);
    }

    /// Gives up everything that is under way.
    pub(super) fn give_up_under_way(&mut self) {
        let mut report = Report::default();
        while let Some((id, load)) = self.in_flight.remove_first() {
            let class = Class::of_failure(self.cancel(id));
            for (mut record, encoded) in load.records() {
                record.may_be_stored |= class.may_be_stored();
                report.undelivered(&record, Reason::Abandoned, Last::Request(class), encoded);
                self.stats.count_undelivered(&record, Reason::Abandoned, encoded);
            }
        }
        self.publish(report);
    }

    /// Gives up everything that waits.
    pub(super) fn give_up_waiting(&mut self) {
        let mut report = Report::default();
        let stats = &mut self.stats;
        self.backlog.drain(&mut |record, encoded| {
            report.undelivered(&record, Reason::Abandoned, Last::Earlier(record.last), encoded);
            stats.count_undelivered(&record, Reason::Abandoned, encoded);
        });
        self.publish(report);
    }

    fn publish(&mut self, report: Report) {
        if !report.is_empty() {
            self.events.push_back(Event::Settled(report));
        }
    }

    fn retry(&mut self, asked: Option<Duration>) -> Retry {
        let policy = self.config.policy();
        let is_last = self.phase == Phase::Stopping;
        Retry { now: self.now, policy, fraction: self.jitter.fraction(), asked, is_last }
    }
}

/// The rule for records of one answer: the same random part and the same wish of the service.
struct Retry {
    now: Instant,
    policy: Policy,
    fraction: f64,
    asked: Option<Duration>,
    /// Nothing is sent again.
    is_last: bool,
}

/// What happens to a record that was not stored.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Step {
    Again(Instant),
    GiveUp(Reason),
}

impl Retry {
    /// Notes on the record how its attempt ended and says what comes next.
    fn decide(&self, record: &mut Pending, class: Class) -> Step {
        record.last = Some(class);
        record.may_be_stored |= class.may_be_stored() || canary!("doubt_always");
        if canary!("doubt_not_kept") {
            record.may_be_stored = false;
        }
        let free = match class {
            Class::NotReady => !canary!("not_ready_counts"),
            Class::TooLarge => true,
            Class::Renew => !core::mem::replace(&mut record.renewed, true),
            Class::Failed
            | Class::NotSent
            | Class::Rejected
            | Class::StreamRejected
            | Class::Throttled
            | Class::Unknown
            | Class::Unsendable => false,
        };
        if !class.is_retryable() || (class == Class::Renew && !free) {
            return Step::GiveUp(Reason::Rejected);
        }
        if self.is_last {
            return Step::GiveUp(Reason::Abandoned);
        }
        if free {
            record.attempts = record.attempts.saturating_sub(1);
        } else if record.attempts + u8::from(canary!("exhausted_one_early"))
            >= self.policy.attempts_max().get()
        {
            return Step::GiveUp(Reason::Exhausted);
        }
        let due = self.due(class, record.attempts);
        if due >= record.expires_at {
            return Step::GiveUp(Reason::Expired);
        }
        Step::Again(due)
    }

    /// Returns when all records of a request go again, if it is one and the same instant.
    fn uniform(&self, load: &SealedLoad, class: Class) -> Option<Instant> {
        let mut steps = load.records().map(|(mut record, _)| self.decide(&mut record, class));
        let first = steps.next()?;
        match first {
            Step::Again(due) if steps.all(|step| step == first) => Some(due),
            Step::Again(_) | Step::GiveUp(_) => None,
        }
    }

    /// Returns the end of the wait after `attempts` attempts. Waits end on common instants, so that
    /// records of different answers go together.
    fn due(&self, class: Class, attempts: u8) -> Instant {
        let delay = self.policy.delay(class, attempts, self.fraction, self.asked);
        if delay.is_zero() || canary!("retry_before_due") {
            return self.now;
        }
        (self.now + delay).round_up(self.policy.backoff(class).step())
    }
}

impl Stats {
    fn count_attempts(&mut self, class: Class, attempts: u64) {
        match class {
            Class::Throttled => self.attempts_throttled += attempts,
            Class::Unknown => self.attempts_unknown += attempts,
            Class::NotReady | Class::NotSent | Class::Unsendable => {
                self.attempts_not_sent += attempts;
            }
            Class::Failed
            | Class::Rejected
            | Class::Renew
            | Class::StreamRejected
            | Class::TooLarge => self.attempts_failed += attempts,
        }
    }

    fn count_delivered(&mut self, record: &Pending, encoded: Encoded<'_>) {
        self.records_delivered += 1;
        self.records_maybe_doubled += u64::from(record.may_be_stored);
        self.count_decided(encoded);
    }

    fn count_undelivered(&mut self, record: &Pending, reason: Reason, encoded: Encoded<'_>) {
        match reason {
            Reason::Abandoned => self.records_abandoned += 1,
            Reason::Exhausted => self.records_exhausted += 1,
            Reason::Expired => self.records_expired += 1,
            Reason::Rejected => self.records_rejected += 1,
        }
        self.records_maybe_delivered += u64::from(record.may_be_stored);
        self.count_decided(encoded);
    }

    fn count_decided(&mut self, encoded: Encoded<'_>) {
        self.records_undecided -= 1;
        if !canary!("held_bytes_leak") {
            self.bytes_held -= held_bytes(encoded.data_bytes()) as u64;
        }
    }

    fn count_anomalies(&mut self, anomalies: Anomalies) {
        self.replies_inconsistent_count += u64::from(anomalies.inconsistent_count);
        self.replies_duplicate_id += u64::from(anomalies.duplicate_id);
    }
}
