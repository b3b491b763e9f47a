//! Calls that are dropped midway (I21): their connection goes with them, and no answer is ever
//! matched to another call's request.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::script::Step;
use super::*;

use Step::{ReadRequest, ReadToEnd, Write};

fn answer(text: &str) -> Step {
    Write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()).into_bytes())
}

/// Polls a call at most `polls` times and drops it; returns whether it ended by itself.
async fn drop_after(polls: usize, transport: &mut Transport, body_bytes: usize) -> bool {
    let mut call = pin!(send(transport, vec![b'x'; body_bytes]));
    let mut polled = 0;
    poll_fn(|cx| {
        if polled == polls {
            return Poll::Ready(false);
        }
        polled += 1;
        call.as_mut().poll(cx).map(|result| result.is_ok())
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn dropped_calls_take_their_connection_with_them() {
    // Each connection would answer as its number; the first call's is dropped at poll after poll.
    for body_bytes in [10, 30_000] {
        let mut ended = false;
        let mut polls = 0;
        while !ended {
            let script =
                |text| vec![ReadRequest, answer(text), ReadRequest, answer("again"), ReadToEnd];
            let (connector, log) = memory(vec![script("first"), script("second")], 4_096);
            let endpoint = Endpoint::from_url("http://pipe.test", None).unwrap();
            let mut transport = Transport::builder(endpoint).connector(connector).build().unwrap();
            ended = drop_after(polls, &mut transport, body_bytes).await;
            if !ended && polls > 0 {
                // The first connection is closed, not kept.
                log.ended(1).await;
            }
            let text = send(&mut transport, "mine").await.unwrap().into_body();
            let expected: &[u8] = match (ended, polls) {
                (true, _) => b"again",
                (false, 0) => b"first",
                (false, _) => b"second",
            };
            assert_eq!(text, expected, "{polls} polls");
            assert_eq!(log.seen().pop().unwrap().body, b"mine");
            polls += 1;
        }
        assert!(polls > 3, "{polls} polls are too few to have been dropped anywhere");
    }
}
