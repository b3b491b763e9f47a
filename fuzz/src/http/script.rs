//! What servers do with their connections, read from bytes.
//!
//! A byte is said as it is, but 0xff begins a step:
//!
//! | after 0xff | step |
//! |---|---|
//! | `c` | the connection is closed; what follows is for the next one |
//! | `e` | nothing more is said |
//! | `p` and a byte | so many bytes are read |
//! | `r` | a whole request is read |
//! | `s` and a byte | a span passes |
//! | 0xff | the byte itself is said |
//! | another | the client has its turn |
//!
//! Where the bytes end, the server stays as it is and says nothing; further connections are
//! refused.

use core::time::Duration;

use crate::input::Input;

const ESCAPE: u8 = 0xff;

const SPANS_MILLIS: [u64; 8] = [1, 1_000, 4_999, 5_000, 14_000, 16_000, 31_000, 61_000];

/// More connections than these are not made.
const CONNECTIONS_MAX: usize = 8;

/// What a server does with a connection.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    /// It closes the connection in the end.
    pub(super) closes: bool,
}

#[derive(Debug)]
pub(super) enum Step {
    EndSaying,
    Pass(Duration),
    Read(usize),
    ReadRequest,
    Say(Vec<u8>),
    Yield,
}

/// Reads the scripts of all connections.
pub(super) fn read(bytes: &[u8]) -> Vec<Script> {
    let mut input = Input::new(bytes);
    let mut scripts = vec![Script::default()];
    while !input.is_empty() {
        let byte = input.byte();
        let connections = scripts.len();
        let script = &mut scripts[connections - 1];
        if byte != ESCAPE {
            script.say(byte);
            continue;
        }
        match input.byte() {
            b'c' => {
                script.closes = true;
                if connections == CONNECTIONS_MAX {
                    break;
                }
                scripts.push(Script::default());
            }
            b'e' => script.steps.push(Step::EndSaying),
            b'p' => script.steps.push(Step::Read(usize::from(input.byte()))),
            b'r' => script.steps.push(Step::ReadRequest),
            b's' => script.steps.push(Step::Pass(Duration::from_millis(input.pick(&SPANS_MILLIS)))),
            ESCAPE => script.say(ESCAPE),
            _ => script.steps.push(Step::Yield),
        }
    }
    scripts
}

impl Script {
    fn say(&mut self, byte: u8) {
        if let Some(Step::Say(bytes)) = self.steps.last_mut() {
            bytes.push(byte);
        } else {
            self.steps.push(Step::Say(vec![byte]));
        }
    }
}
