//! The core driven without async: the example, against the emulator on a socket.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../examples/blocking.rs"]
#[expect(dead_code, reason = "its main is not called here")]
mod blocking;

use std::sync::{Arc, Mutex};

use firehose_mock::{Ledger, Server, Service, Streams};
use firehose_proto::StreamName;

#[test]
fn the_core_needs_no_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _context = runtime.enter();
    let faults = "refuse=0.02,cut=0.05,seed=3".parse().unwrap();
    let service = Service::new(Streams::Any, 1).with_faults(faults).with_ledger(Ledger::keeping());
    let service = Arc::new(Mutex::new(service));
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), Arc::clone(&service)).unwrap();
    let address = server.local_addr();
    runtime.spawn(server.run(std::future::pending()));

    let stream: StreamName = "demo".parse().unwrap();
    let records: Vec<_> = (0..3_000).map(|line| format!("line {line}\n").into_bytes()).collect();
    let stats = blocking::put(address, stream.clone(), records.iter().cloned().map(Ok)).unwrap();
    assert_eq!((stats.records_delivered, stats.records_undecided), (3_000, 0));
    let service = service.lock().unwrap();
    for record in &records {
        assert!(service.ledger().times_accepted(&stream, record) >= 1);
    }
}
