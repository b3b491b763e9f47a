//! The client's connections against whatever servers say, over pipes and in virtual time.
//!
//! One byte chooses the settings; the rest is what the servers say and do, connection by
//! connection, as the [`script`] describes. Three requests go out one after the other, and each of
//! them is held against a plain [`reading`] of the bytes that its connection gave.

mod reading;
mod script;
mod wire;

use core::time::Duration;

use bytes::Bytes;
use firehose_hyper::{Connector, Endpoint, Failure, Transport, TransportError};
use http::{Request, Response};
use tokio::time::{Instant, sleep, timeout};
use tower_service::Service as _;

use crate::input::Input;
use reading::Whole;
use wire::{Exchange, Wire, Wires};

/// How many requests an input sends.
const CALLS: usize = 3;

/// The time that a call may take by default, and what the clock of the runtime may add.
const CALL_SPAN_MAX: Duration = Duration::from_millis(60_010);

/// How long an unused connection is kept.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// Sends requests to servers that say what the bytes say.
///
/// # Panics
///
/// If a call does not end in time, if its answer is not the one that its connection gave, if it
/// fails though a plain answer came, if it says that the request cannot have been taken though all
/// of it was, or if a connection is used again that must not be.
pub fn http(data: &[u8]) {
    let settings = Settings::read(&mut Input::new(data));
    let scripts = script::read(data.get(1..).unwrap_or_default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread");
    runtime.block_on(async {
        let wires = Wires::new(scripts, settings.pipe_bytes);
        let mut world =
            World { transport: transport(&wires, settings), settings, wires, done: Vec::new() };
        for call in 0..CALLS {
            world.call(call).await;
            sleep(settings.gap).await;
        }
    });
}

#[derive(Clone, Copy)]
struct Settings {
    pipe_bytes: usize,
    body_bytes: usize,
    answer_bytes_max: usize,
    /// The time between two calls.
    gap: Duration,
}

impl Settings {
    fn read(input: &mut Input<'_>) -> Self {
        let byte = usize::from(input.byte());
        Self {
            pipe_bytes: [65_536, 64, 1_000, 7][byte % 4],
            body_bytes: [100, 2_000][byte / 4 % 2],
            answer_bytes_max: [65_536, 10][byte / 8 % 2],
            gap: [Duration::ZERO, Duration::from_secs(1), IDLE_MAX][byte / 16 % 3],
        }
    }
}

fn transport(wires: &Wires, settings: Settings) -> Transport {
    let wires = wires.clone();
    let endpoint = Endpoint::from_url("http://pipe.test", None).expect("a legal address");
    Transport::builder(endpoint)
        .connector(Connector::from_fn(move || core::future::ready(wires.connect())))
        .answer_bytes_max(settings.answer_bytes_max)
        .build()
        .expect("nothing needs a certificate")
}

struct World {
    transport: Transport,
    settings: Settings,
    wires: Wires,
    /// The answers of the calls so far.
    done: Vec<Option<Whole>>,
}

impl World {
    async fn call(&mut self, call: usize) {
        self.wires.begin(call);
        let letter = b'a' + u8::try_from(call).expect("there are few calls");
        let body = vec![letter; self.settings.body_bytes];
        let request = Request::post("/")
            .header("content-type", "application/x-amz-json-1.1")
            .body(Bytes::from(body.clone()))
            .expect("a legal request");
        let started = Instant::now();
        let ended = timeout(2 * CALL_SPAN_MAX, self.transport.call(request)).await;
        let result = ended.expect("every call ends");
        assert!(started.elapsed() <= CALL_SPAN_MAX, "a call took {:?}", started.elapsed());

        let wires = self.wires.all();
        let used: Vec<_> =
            wires.iter().filter_map(|wire| Some((wire, wire.exchange(call)?))).collect();
        let written = used.iter().filter(|(_, exchange)| !exchange.written.is_empty());
        assert!(written.count() <= 1, "the request went out twice");
        let answer = used.last().and_then(|(wire, exchange)| wire.answer(exchange));
        match &result {
            Ok(response) => self.check_answer(response, answer.as_ref()),
            Err(error) => self.check_error(error, used.last().copied(), answer.as_ref()),
        }
        for (wire, exchange) in used {
            assert!(exchange.is_start_of(&body), "something else than the request was written");
            self.check_reuse(wire, exchange);
        }
        self.check_thrift(&wires, call);
        self.done.push(answer.filter(|_| result.is_ok()));
    }

    fn check_answer(&self, response: &Response<Vec<u8>>, answer: Option<&Whole>) {
        let answer = answer.expect("no whole answer came");
        assert_eq!(response.status().as_u16(), answer.status);
        assert_eq!(
            response.body().escape_ascii().to_string(),
            answer.body.escape_ascii().to_string()
        );
        assert!(response.body().len() <= self.settings.answer_bytes_max);
        // Headers of one name keep their order; names do not.
        let mut seen: Vec<_> = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect();
        let mut headers = answer.headers.clone();
        seen.sort_by(|(a, _), (b, _)| a.cmp(b));
        headers.sort_by(|(a, _), (b, _)| a.cmp(b));
        assert_eq!(seen, headers);
    }

    fn check_error(
        &self,
        error: &TransportError,
        used: Option<(&Wire, &Exchange)>,
        answer: Option<&Whole>,
    ) {
        let Some((_, exchange)) = used else {
            assert_eq!(error.failure(), Failure::NotSent, "nothing was written: {error}");
            return;
        };
        let is_too_large = matches!(error, TransportError::TooLarge { .. });
        let failure = if exchange.is_whole() || is_too_large {
            Failure::OutcomeUnknown
        } else {
            Failure::NotSent
        };
        assert_eq!(error.failure(), failure, "{error}");
        let fits = |answer: &Whole| answer.body.len() <= self.settings.answer_bytes_max;
        let plain = answer.filter(|answer| answer.is_plain && fits(answer));
        // What is there before the request was not asked for.
        let is_asked = exchange.unread_before == 0;
        assert!(plain.is_none() || !is_asked, "a plain answer is lost: {error}");
    }

    /// Checks that the connection of an exchange was new, or left clean by the exchange before.
    fn check_reuse(&self, wire: &Wire, exchange: &Exchange) {
        let Some(before) = wire.exchange_before(exchange) else { return };
        let answer = self.done[before.call].as_ref().expect("used again after an error");
        assert!(before.is_whole(), "used again though a request was not written whole");
        assert!(answer.keeps, "used again after an answer that ends the connection");
        let end = before.read_before + answer.end;
        assert_eq!(exchange.read_before, end, "used again with bytes behind an answer");
        assert_eq!(exchange.unread_before, 0, "used again with bytes that nobody asked for");
        assert!(!exchange.is_ended_before, "used again after its end");
        assert!(self.settings.gap < IDLE_MAX, "used again after too long");
    }

    /// Checks that a connection that was left clean is used again.
    fn check_thrift(&self, wires: &[Wire], call: usize) {
        let Some(before) = call.checked_sub(1) else { return };
        let Some(answer) = &self.done[before] else { return };
        let wire = wires.iter().find_map(|wire| Some((wire, wire.exchange(before)?)));
        let (wire, exchange) = wire.expect("an answer has a connection");
        let is_clean = answer.is_plain
            && answer.keeps
            && exchange.is_whole()
            && exchange.read_before + answer.end == wire.said.len()
            && !wire.is_ended
            && self.settings.gap < IDLE_MAX;
        assert!(!is_clean || wire.exchange(call).is_some(), "a clean connection is not used again");
    }
}
