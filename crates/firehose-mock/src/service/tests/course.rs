//! Faults, destinations, and the account of both.

use super::*;

#[test]
fn a_script_is_gone_through_step_by_step() {
    let odd = Answer::new(200, "{}");
    let status = Step::Status { status: 403, error_type: "X\n".into(), message: "no".into() };
    for (step, status, delivery, accepted) in [
        (Step::Take, 200, Disposition::Reply, 1),
        (Step::CutAfter, 200, Disposition::CutAfter, 1),
        (Step::CutBefore, 500, Disposition::CutBefore, 0),
        (Step::Raw(odd.clone()), 200, Disposition::Reply, 0),
        (Step::TakeThen(odd.clone()), 200, Disposition::Reply, 1),
        (status, 403, Disposition::Reply, 0),
        (Step::Entries(vec![(0, EntryFault::Internal)]), 200, Disposition::Reply, 0),
    ] {
        let mut service = service().with_faults("fail=1".parse().unwrap());
        let is_raw = matches!(step, Step::Raw(_) | Step::TakeThen(_));
        service.script([step]);
        let answer = service.handle(Request::put_record_batch(batch(DEMO, &[b"a"])));
        assert_eq!((answer.status, answer.delivery), (status, delivery));
        assert_eq!(answer == odd, is_raw);
        assert_eq!(service.ledger().totals().records_accepted, accepted);
        assert_eq!(service.script_len(), 0);
        let answer = service.handle(Request::put_record_batch(batch(DEMO, &[b"a"])));
        assert_eq!(answer.status, 500, "faults follow on the script");
    }
}

#[test]
fn the_ledger_agrees_with_the_answers() {
    let faults = "refuse=0.2,internal=0.1,unavailable=0.1,fail=0.1,cut=0.1,drop=0.1";
    let run = |seed: u64| {
        let mut service = service().with_faults(faults.parse::<Faults>().unwrap().with_seed(seed));
        let (mut stored, mut failed, mut said) = (0, 0, Vec::new());
        for number in 0..500_u32 {
            let data = number.to_be_bytes();
            let answer = service.handle(Request::put_record_batch(batch(DEMO, &[&data, b"same"])));
            if answer.status == 200 {
                let count = body(&answer)["FailedPutCount"].as_u64().unwrap();
                stored += 2 - count;
                failed += count;
            }
            said.push((answer.status, answer.delivery));
        }
        let totals = service.ledger().totals();
        assert_eq!((totals.records_accepted, totals.records_refused), (stored, failed));
        let count = |wanted| said.iter().filter(|said| **said == wanted).count() as u64;
        assert_eq!(totals.requests, 500);
        assert_eq!(totals.requests_succeeded, count((200, Disposition::Reply)));
        assert_eq!(totals.requests_unavailable, count((503, Disposition::Reply)));
        assert_eq!(totals.requests_failed, count((500, Disposition::Reply)));
        assert_eq!(totals.requests_cut, count((200, Disposition::CutAfter)));
        assert_eq!(totals.requests_dropped, count((500, Disposition::CutBefore)));
        let ledger = service.ledger();
        let same = ledger.times_accepted(&demo(), b"same");
        assert_eq!(totals.records_doubled, Some(same - 1));
        assert_eq!(ledger.accepted_more_than_once(&demo()), 1);
        assert_eq!(ledger.records(&demo()).count() as u64, stored);
        assert_eq!(ledger.stream_totals(&demo()).bytes_accepted, totals.bytes_accepted);
        assert_eq!(totals.bytes_accepted, stored * 4);
        for ending in [totals.requests_unavailable, totals.requests_cut, totals.records_refused] {
            assert!(ending > 10, "{totals:?}");
        }
        said
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn totals_are_plain_integers() {
    let totals = serde_json::to_value(Ledger::counting().totals()).unwrap();
    assert!(totals.as_object().unwrap().values().all(Value::is_u64));
    assert!(totals.get("records_doubled").is_none());
    let totals = serde_json::to_value(Ledger::keeping().totals()).unwrap();
    assert_eq!(totals["records_doubled"], 0);
}

#[test]
#[should_panic(expected = "this ledger only counts")]
fn a_ledger_that_counts_knows_no_records() {
    Ledger::counting().times_accepted(&demo(), b"a");
}

type Taken = Vec<(String, Vec<u8>)>;

struct Shelf {
    taken: Arc<Mutex<Taken>>,
    is_full: bool,
}

impl Destination for Shelf {
    fn accept(
        &mut self,
        stream: &StreamName,
        records: &Accepted<'_>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        if self.is_full {
            return Err(format!("no room for {stream}").into());
        }
        assert_eq!(records.bytes(), records.iter().map(|record| record.data.len()).sum::<usize>());
        let mut taken = crate::transport::lock(&self.taken);
        taken.extend(records.iter().map(|record| (record.id.to_owned(), record.data.to_vec())));
        Ok(())
    }
}

#[test]
fn a_destination_gets_what_is_accepted_and_nothing_else() {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let shelf = Shelf { taken: Arc::clone(&taken), is_full: false };
    let mut service = service().with_destination(Box::new(shelf));
    service.script([
        Step::Entries(vec![(1, EntryFault::Unavailable)]),
        Step::Entries(vec![(0, EntryFault::Internal)]),
    ]);
    let answer = service.handle(Request::put_record_batch(batch(DEMO, &[b"a", b"b", b""])));
    service.handle(Request::put_record_batch(batch(DEMO, &[b"all fail"])));
    let entries = &body(&answer)["RequestResponses"];
    let id = |index: usize| entries[index]["RecordId"].as_str().unwrap().to_owned();
    assert_eq!(*taken.lock().unwrap(), [(id(0), b"a".to_vec()), (id(2), Vec::new())]);
}

#[test]
fn what_a_destination_refuses_is_not_accepted() {
    let shelf = Shelf { taken: Arc::default(), is_full: true };
    let mut service = service().with_destination(Box::new(shelf));
    assert!(service.last_destination_error().is_none());
    let answer = service.handle(Request::put_record_batch(batch(DEMO, &[b"a"])));
    check_refused(&answer, 500, "InternalFailure", "no room for demo");
    let totals = service.ledger().totals();
    assert_eq!((totals.requests_failed, totals.records_accepted), (1, 0));
    assert_eq!(service.last_destination_error().unwrap().to_string(), "no room for demo");
}
