//! TLS: who is trusted, who is not, and who does not even speak it.

use firehose_hyper::{Endpoint, Phase, Timeouts, Transport, TransportError};
use tower_service::Service;

use crate::certificates::{Certificate, trust};
use crate::check::End::{NotSent, Permanent};
use crate::check::{ATTEMPT, Row, SHORT, Why, body, check_all, request};
use crate::server::Step::{AfterExchange, Close, Drop, Read, Reset, Write};
use crate::server::{Over, Server, answer, echo};

#[tokio::test]
async fn faults_of_tls_end_as_their_rows_say() {
    check_all(rows()).await;
}

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = untrusted();
    rows.extend(unspoken());
    rows
}

fn untrusted() -> Vec<Row> {
    let row = |name, over, says| {
        let permanent = Permanent(Why::Certificate);
        Row::new(31, name, vec![], permanent).over(over).for_good().says(says)
    };
    vec![
        row("wrong name", &[Over::Tls(Certificate::WrongName)], "not valid for name \"127.0.0.1\""),
        row("expired", &[Over::Tls(Certificate::Expired)], "certificate expired"),
        row("not yet valid", &[Over::Tls(Certificate::NotYetValid)], "certificate not valid yet"),
        row("unknown issuer", &[Over::Tls(Certificate::UnknownIssuer)], "UnknownIssuer"),
        row("self-signed", &[Over::Tls(Certificate::SelfSigned)], "UnknownIssuer"),
    ]
}

fn unspoken() -> Vec<Row> {
    let row = |name, script| Row::new(31, name, script, NotSent(Why::Handshake)).over(&[Over::Raw]);
    let stall = |name, timeouts: fn(Timeouts) -> Timeouts| {
        Row::new(31, name, vec![Read(10), AfterExchange], NotSent(Why::Time(Phase::Handshake)))
            .over(&[Over::Raw])
            .within(timeouts)
    };
    // A fatal alert of TLS: handshake_failure is 40, protocol_version is 70.
    let alert = |code| vec![Read(10), Write(vec![21, 3, 3, 0, 2, 2, code]), AfterExchange];
    let plain = vec![Read(10), Write(answer("{}")), AfterExchange];
    vec![
        row("closed at once", vec![Close, AfterExchange]),
        row("closed in the handshake", vec![Read(10), Close, AfterExchange]),
        row("dropped in the handshake", vec![Read(10), Drop]),
        row("reset in the handshake", vec![Read(10), Reset]),
        row("plain text", plain),
        row("alert", alert(40)).says("HandshakeFailure"),
        row("alert of one that speaks TLS 1.1 only", alert(70)).says("ProtocolVersion"),
        row("TLS 1.1", vec![Read(10), Write(hello_of_tls_1_1()), AfterExchange]),
        stall("handshake stalls", |timeouts| timeouts.with_handshake(SHORT)),
        stall("deadline in the handshake", |timeouts| timeouts.with_attempt(ATTEMPT)),
    ]
}

/// Returns a server's hello that chooses TLS 1.1, with a suite that version has.
fn hello_of_tls_1_1() -> Vec<u8> {
    const VERSION: [u8; 2] = [3, 2];
    let mut hello = VERSION.to_vec();
    hello.extend([7; 32]); // The server's random bytes.
    hello.push(0); // No session.
    hello.extend([0xc0, 0x13]); // ECDHE with RSA and AES-128 in CBC mode.
    hello.push(0); // No compression.
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, VERSION[0], VERSION[1], 0, length + 4];
    record.extend([2, 0, 0, length]);
    record.extend(hello);
    record
}

#[tokio::test]
async fn trusted_names_and_addresses_get_requests() {
    for host in ["localhost", "127.0.0.1"] {
        let server = Server::start(Over::Tls(Certificate::Good), vec![], None);
        let url = format!("https://{host}:{}", server.address.port());
        let endpoint = Endpoint::from_url(&url, None).unwrap();
        let mut transport = Transport::builder(endpoint).tls(trust()).build().unwrap();
        for fill_bytes in [3_000_000, 0] {
            let answer = transport.call(request(body("mine", fill_bytes))).await.unwrap();
            assert_eq!(answer.body(), echo(0, b"mine").as_bytes(), "{host}");
        }
    }
}

#[tokio::test]
async fn the_platform_does_not_trust_a_stranger() {
    let server = Server::start(Over::Tls(Certificate::Good), vec![], None);
    let endpoint = Endpoint::from_url(&format!("https://{}", server.address), None).unwrap();
    // A machine without any certificates says so at once, which is as good.
    let Ok(mut transport) = Transport::builder(endpoint).build() else { return };
    let error = transport.call(request(body("mine", 0))).await.unwrap_err();
    assert!(matches!(error, TransportError::Certificate { .. }), "{error:?}");
    assert!(server.seen().requests.is_empty());
}
