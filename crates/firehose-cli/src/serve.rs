//! `firehose serve`: the emulator on a socket.

mod bodies;
mod tls;

use std::io::Write;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use firehose_mock::{Buffering, Faults, Server, Service, Shared, Streams};
use serde::Serialize;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::args::ServeArgs;
use crate::feed::lock;
use crate::local::{open_directory, seed};
use crate::say;
use crate::signals::Signals;
use bodies::Bodies;
use tls::Encryption;

/// How often objects are looked at whether their time is over.
const ROLL: Duration = Duration::from_secs(1);

/// The time that requests may take after a signal.
const GRACE: Duration = Duration::from_secs(5);

pub(crate) fn run(args: &ServeArgs) -> ExitCode {
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error);
            ExitCode::from(3)
        }
    }
}

/// The line that says that the server is ready.
#[derive(Serialize)]
struct Ready<'a> {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    streams: Vec<&'a str>,
}

fn serve(args: &ServeArgs) -> Result<(), String> {
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let directory = directory(args)?;
        let service = Arc::new(Mutex::new(service(args, directory.clone())?));
        let encryption = Encryption::of(args)?;
        let mut signals = Signals::listen().map_err(|error| error.to_string())?;
        let mut server = Server::bind(args.listen, Arc::clone(&service))
            .map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
        let (mut scheme, mut ca) = ("http", None);
        if let Some(encryption) = encryption {
            // Only now, so that the file of a server that has the address already stays.
            ca = encryption.write_authority()?;
            scheme = "https";
            server = server.with_tls(encryption.into_tls());
        }
        let url = format!("{scheme}://{}", server.local_addr());
        let streams = args.streams.iter().map(|stream| stream.as_str()).collect();
        print_line(&Ready { url, ca, streams });
        let rolling = tokio::spawn(roll(directory.clone()));
        run_until_signal(server, &mut signals).await;
        rolling.abort();
        if let Some(directory) = directory {
            directory.lock().finish().map_err(|error| error.to_string())?;
        }
        print_line(&lock(&service).ledger().totals());
        Ok(())
    })
}

/// Serves until a signal; then lets requests that have begun come to their end, but not for ever.
async fn run_until_signal(server: Server, signals: &mut Signals) {
    let (stop, stopped) = oneshot::channel::<()>();
    let mut running = tokio::spawn(server.run(async {
        // Dropping the other end stops as well.
        let _ = stopped.await;
    }));
    signals.next().await;
    drop(stop);
    tokio::select! {
        _ = &mut running => {}
        () = tokio::time::sleep(GRACE) => running.abort(),
        _ = signals.next() => running.abort(),
    }
}

fn directory(args: &ServeArgs) -> Result<Option<Shared>, String> {
    let buffering = Buffering {
        bytes_max: args.buffer_bytes,
        interval: Duration::from_secs(args.buffer_seconds),
    };
    args.dir.as_ref().map(|dir| open_directory(dir, buffering, args.ledger)).transpose()
}

fn service(args: &ServeArgs, directory: Option<Shared>) -> Result<Service, String> {
    let streams = if args.streams.is_empty() {
        Streams::Any
    } else {
        Streams::Only(args.streams.iter().cloned().collect())
    };
    let faults = args.faults.unwrap_or_else(Faults::none);
    let mut service = Service::new(streams, seed()).with_faults(faults);
    if let Some(directory) = directory {
        service = service.with_destination(Box::new(directory));
    }
    if let Some(dir) = &args.bodies {
        let mut bodies = Bodies::open(dir)?;
        service = service.with_recorder(move |request| bodies.keep(&request.body));
    }
    Ok(service)
}

/// Completes objects when their time is over.
async fn roll(directory: Option<Shared>) {
    let Some(directory) = directory else { return };
    let mut ticks = tokio::time::interval(ROLL);
    loop {
        ticks.tick().await;
        if let Err(error) = directory.lock().roll_due() {
            say(&error.to_string());
        }
    }
}

fn print_line(value: &impl Serialize) {
    let text = serde_json::to_string(value).unwrap_or_default();
    let mut stdout = std::io::stdout();
    // Whoever started the server may have closed its end; the server goes on.
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}
