//! How bodies are read, and which are refused.

use super::*;

/// Sends records of these sizes to a stream; gives the message if they are refused, else null.
fn put(name: &str, sizes: &[usize]) -> Value {
    let records: Vec<Vec<u8>> = sizes.iter().map(|size| vec![b'x'; *size]).collect();
    let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    let mut service = service();
    let answer = service.handle(Request::put_record_batch(batch(name, &records)));
    let totals = service.ledger().totals();
    if answer.status == 200 {
        assert_eq!(body(&answer)["FailedPutCount"], 0);
        assert_eq!(totals.records_accepted, records.len() as u64);
        return Value::Null;
    }
    assert_eq!((answer.status, error_type(&answer)), (400, "InvalidArgumentException".into()));
    assert_eq!((totals.requests_refused, totals.records_accepted), (1, 0));
    body(&answer)["message"].clone()
}

fn too_long(value: &str, path: &str, max: usize) -> String {
    format!(
        "Value '{value}' at '{path}' failed to satisfy constraint: Member must have length less \
         than or equal to {max}"
    )
}

fn record_too_long(place: usize, bytes: usize) -> String {
    let value = format!("java.nio.HeapByteBuffer[pos=0 lim={bytes} cap={bytes}]");
    too_long(&value, &format!("records.{place}.member.data"), 1_024_000)
}

// R1 to R4.
#[test]
fn what_is_within_the_limits_is_taken() {
    let longest = "n".repeat(64);
    let full = [1_024_000, 1_024_000, 1_024_000, 1_024_000, 98_304];
    for (name, sizes) in
        [(longest.as_str(), &[1][..]), (DEMO, &[0]), (DEMO, &[0; 500]), (DEMO, &full)]
    {
        assert_eq!(put(name, sizes), Value::Null);
    }
}

// R1 to R4, one step further.
#[test]
fn what_is_beyond_the_limits_is_refused() {
    let too_many = too_long("[...]", "records", 500);
    let one = |violation: &str| format!("1 validation error detected: {violation}");
    let name = "n".repeat(65);
    let name_too_long = one(&too_long(&name, "deliveryStreamName", 64));
    let (first, second) = (record_too_long(1, 1_024_001), record_too_long(2, 1_024_002));
    let none = "Value '[]' at 'records' failed to satisfy constraint: Member must have length \
                greater than or equal to 1";
    let over = [1_024_000, 1_024_000, 1_024_000, 1_024_000, 98_305];
    for (name, sizes, message) in [
        (name.as_str(), &[1][..], name_too_long),
        (DEMO, &[], one(none)),
        (DEMO, &[0; 501], one(&too_many)),
        (DEMO, &[1_024_001, 1_024_000], one(&first)),
        (DEMO, &[1_024_000, 1_024_002], one(&second)),
        (DEMO, &[1_024_001, 1_024_002], format!("2 validation errors detected: {first}; {second}")),
        (DEMO, &over, "Records size exceeds 4 MB limit".to_owned()),
    ] {
        assert_eq!(put(name, sizes), message);
    }
}

#[test]
fn members_that_are_missing_are_told() {
    for (body, path) in [
        (r#"{"Records":[{"Data":""}]}"#, "deliveryStreamName"),
        (r#"{"DeliveryStreamName":null,"Records":[{"Data":""}]}"#, "deliveryStreamName"),
        (r#"{"DeliveryStreamName":"d"}"#, "records"),
        (r#"{"DeliveryStreamName":"d","Records":null}"#, "records"),
        (r#"{"DeliveryStreamName":"d","Records":[null]}"#, "records.1.member"),
        (r#"{"DeliveryStreamName":"d","Records":[{"Data":""},{}]}"#, "records.2.member.data"),
        (r#"{"DeliveryStreamName":"d","Records":[{"Data":null}]}"#, "records.1.member.data"),
    ] {
        let message = format!(
            "1 validation error detected: Value null at '{path}' failed to satisfy constraint: \
             Member must not be null"
        );
        let answer = service().handle(Request::put_record_batch(body));
        check_refused(&answer, 400, "InvalidArgumentException", &message);
    }
}

#[test]
fn bodies_of_another_form_are_refused() {
    const NOT_JSON: &str = "the body is not a JSON document";
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    for (body, message) in [
        ("", NOT_JSON),
        ("{", NOT_JSON),
        (r#"{"DeliveryStreamName":"d","Records":[{"Data":""}]}x"#, NOT_JSON),
        (&deep, NOT_JSON),
        ("[]", "the body is not an object"),
        ("null", "the body is not an object"),
        (r#"{"DeliveryStreamName":7,"Records":[]}"#, "DeliveryStreamName is not a string"),
        (r#"{"DeliveryStreamName":"d","Records":{}}"#, "Records is not a list"),
        (r#"{"DeliveryStreamName":"d","Records":["eA=="]}"#, "a record is not an object"),
        (r#"{"DeliveryStreamName":"d","Records":[{"Data":1}]}"#, "Data is not a string"),
    ] {
        let answer = service().handle(Request::put_record_batch(body));
        check_refused(&answer, 400, "SerializationException", message);
    }
}

#[test]
fn data_that_is_not_base64_is_refused() {
    for bad in ["!!!!", "eA", "eA=", "eB==", "eA==\\n", "e A=", "-_8=", "eA===", "=", "eA==eA=="] {
        let body = format!(r#"{{"DeliveryStreamName":"d","Records":[{{"Data":"{bad}"}}]}}"#);
        let answer = service().handle(Request::put_record_batch(body));
        let message = "the value at 'records.1.member.data' is not base64";
        check_refused(&answer, 400, "SerializationException", message);
    }
}

#[test]
fn names_that_can_be_none_are_refused() {
    for name in ["a b", "a\"\n", "caf\u{e9}", "arn:aws:firehose"] {
        let answer = service().handle(Request::put_record_batch(batch(name, &[b""])));
        let message = format!(
            "1 validation error detected: Value '{name}' at 'deliveryStreamName' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
        );
        check_refused(&answer, 400, "InvalidArgumentException", &message);
    }
    let answer = service().handle(Request::put_record_batch(batch("", &[b""])));
    let message = "1 validation error detected: Value '' at 'deliveryStreamName' failed to satisfy \
                   constraint: Member must have length greater than or equal to 1";
    check_refused(&answer, 400, "InvalidArgumentException", message);
}

#[test]
fn several_violations_are_told_together() {
    let answer = service().handle(Request::put_record_batch(r#"{"Records":[{},null]}"#));
    let message = body(&answer)["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("3 validation errors detected: Value null at "), "{message}");
    assert_eq!(message.matches("; ").count(), 2, "{message}");
}

#[test]
fn a_long_name_is_not_repeated_whole() {
    let answer = service().handle(Request::put_record_batch(batch(&"\u{e9}".repeat(10_000), &[])));
    assert!(answer.body.len() < 2_000);
    assert_eq!(error_type(&answer), "InvalidArgumentException");
}

#[test]
fn the_form_of_a_body_is_free() {
    for body in [
        r#" { "Records" : [ { "Data" : "YQ==" } , { "Data" : "Yg==" } ] ,
            "DeliveryStreamName" : "demo" } "#,
        "{\"DeliveryStreamName\":\"demo\",\r\n\t\"Records\":\r\n[{\"Data\":\"YQ==\"},\n\
         {\"Data\":\"Yg==\"}]}\n",
        r#"{"x":{"Records":[1,[2,{}],{"a":[]}]},"DeliveryStreamName":"demo","y":[[],[3]],
            "Records":[{"z":[[{}]],"Data":"YQ=="},{"Data":"Yg==","Data2":{"Data":1}}],
            "n":-1.5e3,"t":true}"#,
        r#"{"\u0044eliveryStreamName":"d\u0065mo",
            "Records":[{"Dat\u0061":"YQ\u003d="},{"Data":"Yg=\u003D"}]}"#,
        r#"{"DeliveryStreamName":"first","Records":7,"DeliveryStreamName":"demo",
            "Records":[{"Data":"eA==","Data":"YQ=="},{"Data":"Yg=="}]}"#,
        r#"{"deliverystreamname":"no","DeliveryStreamName":"demo",
            "Records":[{"Data":"YQ=="},{"Data":"Yg==","data":"eA=="}]}"#,
    ] {
        let mut service = service();
        let answer = service.handle(Request::put_record_batch(body));
        assert_eq!(answer.status, 200, "{body}: {}", String::from_utf8_lossy(&answer.body));
        let records: Vec<&[u8]> = service.ledger().records(&demo()).collect();
        assert_eq!(records, [b"a", b"b"], "{body}");
    }
}

/// Reads a body with another parser, slowly; gives the stream and the records if all is sound.
fn twin(body: &[u8]) -> Option<(StreamName, Vec<Vec<u8>>)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let stream = body.as_object()?.get("DeliveryStreamName")?.as_str()?.parse().ok()?;
    let data = |record: &Value| STANDARD.decode_to_vec(record.get("Data")?.as_str()?).ok();
    let records: Vec<Vec<u8>> =
        body.get("Records")?.as_array()?.iter().map(data).collect::<Option<_>>()?;
    (!records.is_empty() && records.len() <= 500).then_some((stream, records))
}

#[test]
fn changed_bodies_are_read_as_by_another_parser() {
    const ODD: &[u8] = b"{}[],:\"\\ aA0=\xff\n";
    let mut random = SplitMix64::new(11);
    let mut service = service();
    let sound = batch("d.e-m_o", &[b"hello", b"", b"x", b"some more"]);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut body = sound.clone();
        let mut below = |bound: usize| usize::try_from(random.next() % bound as u64).unwrap();
        let (at, odd) = (below(body.len()), ODD[below(ODD.len())]);
        match below(4) {
            0 => body[at] = odd,
            1 => drop(body.remove(at)),
            2 => body.insert(at, odd),
            _ => body[at] ^= 1 << below(8),
        }
        service = service.with_ledger(Ledger::keeping());
        let answer = service.handle(Request::put_record_batch(body.clone()));
        let shown = String::from_utf8_lossy(&body);
        let Some((stream, records)) = twin(&body) else {
            assert_eq!(answer.status, 400, "{shown}");
            refused += 1;
            continue;
        };
        assert_eq!(answer.status, 200, "{shown}");
        let kept: Vec<&[u8]> = service.ledger().records(&stream).collect();
        assert_eq!(kept, records, "{shown}");
        taken += 1;
    }
    assert!(taken > 500 && refused > 5_000, "{taken} taken, {refused} refused");
}
