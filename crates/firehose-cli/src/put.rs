//! `firehose put`: reads, pushes, waits for the outcomes, and says how it ended.

use std::io::IsTerminal;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use firehose_hyper::{Producer, Transport};
use firehose_proto::producer::{Config, Stats};
use firehose_proto::retry::Policy;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use crate::args::PutArgs;
use crate::failures::Failures;
use crate::feed::{Fed, Feeder, Input, lock};
use crate::local::Local;
use crate::progress::Progress;
use crate::remote::{self, NoRemote, Remote};
use crate::say;
use crate::signals::{Signal, Signals};
use crate::summary::Summary;
use crate::watch::{State, Watcher};

/// The time that what is under way may take after a signal.
const FLUSH: Duration = Duration::from_secs(30);

/// The exit status for a command line that makes no sense.
const USAGE: u8 = 2;

pub(crate) fn run(args: &PutArgs) -> ExitCode {
    let started = Instant::now();
    let mut summary = Summary::new(args.stream.clone());
    summary.delivered_to = args.local.as_ref().map(|dir| dir.join(args.stream.as_str()));
    if let Err(Refusal { error, exit_status }) = execute(args, &mut summary) {
        summary.error = Some(error);
        summary.exit_status = exit_status;
    }
    summary.seconds = started.elapsed().as_secs_f64();
    report(args, &summary)
}

/// Everything that is needed, opened before anything is sent.
struct Plan {
    inputs: Vec<Input>,
    failures: Failures,
    local: Option<Local>,
    transport: Transport,
    policy: Policy,
    renews: bool,
    warning: Option<String>,
}

struct Refusal {
    error: String,
    exit_status: u8,
}

impl Refusal {
    fn usage(error: impl Into<String>) -> Self {
        Self { error: error.into(), exit_status: USAGE }
    }

    fn nothing_sent(error: impl Into<String>) -> Self {
        Self { error: error.into(), exit_status: 3 }
    }
}

fn plan(args: &PutArgs, runtime: &Runtime) -> Result<Plan, Refusal> {
    if args.files.is_empty() && std::io::stdin().is_terminal() {
        return Err(Refusal::usage("nothing to put: name files, or pipe something into stdin"));
    }
    let inputs = Input::open_all(&args.files).map_err(Refusal::nothing_sent)?;
    let failures = match &args.failed_to {
        Some(path) => Failures::to(path).map_err(|error| {
            Refusal::nothing_sent(format!("cannot write {}: {error}", path.display()))
        })?,
        None => Failures::if_needed(PathBuf::from(format!("{}.failed.jsonl", args.stream))),
    };
    if let Some(dir) = &args.local {
        let local = Local::open(dir, args.ledger).map_err(Refusal::nothing_sent)?;
        let transport = local.transport().map_err(Refusal::nothing_sent)?;
        let policy = Policy::default();
        let policy = args.attempts.map_or(policy, |attempts| policy.with_attempts_max(attempts));
        let (local, renews, warning) = (Some(local), false, None);
        return Ok(Plan { inputs, failures, local, transport, policy, renews, warning });
    }
    let env = |name: &str| std::env::var(name).ok();
    let remote = runtime.block_on(remote::open(args, &env)).map_err(|error| match error {
        NoRemote::Usage(error) => Refusal::usage(error),
        NoRemote::Missing(error) => Refusal::nothing_sent(error),
    })?;
    let Remote { transport, policy, renews, warning } = remote;
    Ok(Plan { inputs, failures, local: None, transport, policy, renews, warning })
}

fn execute(args: &PutArgs, summary: &mut Summary) -> Result<(), Refusal> {
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Refusal::nothing_sent(format!("cannot start: {error}")))?;
    let planned = plan(args, &runtime);
    let done = planned.map(|plan| runtime.block_on(drive(args, plan, summary)));
    // A read of stdin cannot be taken back; nobody waits for it.
    runtime.shutdown_background();
    done
}

async fn drive(args: &PutArgs, plan: Plan, summary: &mut Summary) {
    let can_be_read_again = plan.inputs.iter().all(Input::is_regular);
    let progress = Progress::new(plan.inputs.iter().map(Input::len).sum(), args.quiet);
    if let Some(warning) = &plan.warning {
        progress.say(warning);
    }
    let config = config(args, plan.policy, plan.local.is_some());
    let endpoint = plan.transport.endpoint().clone();
    let (producer, events) = Producer::spawn_with_events(config, plan.transport);
    let failures = Arc::new(Mutex::new(plan.failures));
    let (is_hopeless, hopeless) = oneshot::channel();
    let watcher = Watcher {
        producer: producer.clone(),
        stream: args.stream.clone(),
        endpoint,
        renews: plan.renews,
        failures: Arc::clone(&failures),
        progress: progress.clone(),
        is_verbose: args.verbose,
        local: plan.local.clone(),
        hopeless: Some(is_hopeless),
        state: State::default(),
    };
    let watching = tokio::spawn(watcher.run(events));
    let fed = Arc::new(Mutex::new(Fed::default()));
    let stop = Arc::new(AtomicBool::new(false));
    let feeder = Feeder {
        split: args.split,
        delimiter: args.delimiter,
        producer: producer.clone(),
        failures: Arc::clone(&failures),
        progress: progress.clone(),
        stop: Arc::clone(&stop),
        runtime: Handle::current(),
        fed: Arc::clone(&fed),
    };
    let (done, read) = oneshot::channel();
    let inputs = plan.inputs;
    std::thread::spawn(move || {
        // Nobody listens any more after a signal.
        let _ = done.send(feeder.run(inputs));
    });
    let run = Run { producer, progress: progress.clone(), stop, read, hopeless };
    let ending = run.finish().await;
    // The watcher ends with the producer; it has seen everything then.
    let hopeless = watching.await.unwrap_or_default();
    progress.finish();
    summary.error = ending.error.or(hopeless);
    summary.stats = ending.stats;
    summary.input = *lock(&fed);
    let placed = plan.local.as_ref().map_or(Ok(()), Local::finish);
    if let Err(error) = placed {
        summary.error.get_or_insert(error);
    }
    summary.decide_status(ending.signal);
    keep_failures(failures, can_be_read_again, summary);
}

fn config(args: &PutArgs, policy: Policy, is_local: bool) -> Config {
    let config = Config::new(args.stream.clone())
        .with_linger(Duration::from_millis(args.linger))
        .with_policy(policy)
        .with_record_ttl(args.ttl.map(Duration::from_secs));
    match args.in_flight {
        Some(requests) => config.with_in_flight_max(requests),
        None if is_local => config.with_in_flight_max(NonZeroUsize::MIN),
        None => config,
    }
}

/// A run under way.
struct Run {
    producer: Producer,
    progress: Progress,
    /// Tells the reading thread to stop.
    stop: Arc<AtomicBool>,
    /// The end of reading.
    read: oneshot::Receiver<Result<(), String>>,
    /// Tells that going on is of no use.
    hopeless: oneshot::Receiver<()>,
}

struct Ending {
    stats: Stats,
    error: Option<String>,
    signal: Option<Signal>,
}

impl Run {
    /// Waits for the end of the input, a reason to give up, or a signal; then ends in good order.
    async fn finish(mut self) -> Ending {
        let mut signals = Signals::listen().ok();
        let mut ending = Ending { stats: self.producer.stats(), error: None, signal: None };
        let was_read = tokio::select! {
            biased;
            read = &mut self.read => {
                ending.error = read.unwrap_or(Ok(())).err();
                true
            }
            Ok(()) = &mut self.hopeless => false,
            signal = next(&mut signals) => {
                ending.signal = Some(signal);
                false
            }
        };
        self.stop.store(true, Ordering::Relaxed);
        ending.stats = if was_read {
            self.close(&mut signals, &mut ending).await
        } else if ending.signal.is_some() {
            self.flush(&mut signals).await
        } else {
            self.stop(&mut signals, &mut ending).await
        };
        ending
    }

    /// Lets everything come to its end, unless that is of no use or a signal asks for haste.
    async fn close(&mut self, signals: &mut Option<Signals>, ending: &mut Ending) -> Stats {
        tokio::select! {
            biased;
            stats = self.producer.close() => stats,
            Ok(()) = &mut self.hopeless => self.stop(signals, ending).await,
            signal = next(signals) => {
                ending.signal = Some(signal);
                self.flush(signals).await
            }
        }
    }

    /// Sends nothing more; what is under way is still answered, unless a signal asks for haste.
    async fn stop(&self, signals: &mut Option<Signals>, ending: &mut Ending) -> Stats {
        tokio::select! {
            stats = self.producer.stop() => stats,
            signal = next(signals) => {
                ending.signal = Some(signal);
                self.producer.abandon().await
            }
        }
    }

    /// Gives what is under way some time; a second signal ends the process at once.
    async fn flush(&self, signals: &mut Option<Signals>) -> Stats {
        self.progress.say(&format!(
            "ending: what was read is sent, for at most {} s; a signal once more ends at once",
            FLUSH.as_secs()
        ));
        tokio::select! {
            stats = self.producer.close_within(FLUSH) => stats,
            signal = next(signals) => std::process::exit(signal.exit_status().into()),
        }
    }
}

async fn next(signals: &mut Option<Signals>) -> Signal {
    match signals {
        Some(signals) => signals.next().await,
        None => std::future::pending().await,
    }
}

/// Closes the failure file and notes in the summary what it holds.
fn keep_failures(failures: Arc<Mutex<Failures>>, can_be_read_again: bool, summary: &mut Summary) {
    let Some(failures) = Arc::into_inner(failures) else { return };
    let failures = failures.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let can_be_put_again = can_be_read_again && summary.exit_status == 3;
    let written = failures.finish(can_be_put_again);
    summary.failed_to = written.path;
    if let Some(error) = written.error {
        summary.failed_to_error =
            Some(format!("not all of them are in the failure file, writing failed: {error}"));
    }
}

fn report(args: &PutArgs, summary: &Summary) -> ExitCode {
    if !args.quiet || summary.exit_status != 0 {
        for line in summary.lines() {
            say(&line);
        }
    }
    if args.json {
        print_json(summary);
    }
    ExitCode::from(summary.exit_status)
}

fn print_json(summary: &Summary) {
    let text = serde_json::to_string(summary).unwrap_or_default();
    // If nobody reads stdout any more, nobody wants the object.
    let _ = writeln!(std::io::stdout(), "{text}");
}
