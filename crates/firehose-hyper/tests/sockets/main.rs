//! The transport against servers that do what a script says, over real sockets, plain and with TLS.
//!
//! The faults are data: each row says what the server does on its first connection, how the attempt
//! must end, whether the service may have the request, and on which connection the next request must
//! go. The numbers are those of the fault matrix. Under virtual time and over pipes the transport is
//! tested beside its code.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod certificates;
mod check;
mod elsewhere;
mod handshakes;
mod outcomes;
mod proxies;
mod requests;
mod server;

use std::collections::BTreeSet;

/// The faults of the matrix that only a socket shows.
const MATRIX: [u8; 29] = [
    1, 11, 14, 15, 19, 24, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45,
    46, 47, 48, 49, 50,
];

#[test]
fn each_fault_of_the_matrix_has_a_row_and_each_row_a_name() {
    let rows = [requests::rows(), answers::rows(), handshakes::rows()].concat();
    let mut names = BTreeSet::new();
    for row in &rows {
        assert!(names.insert((row.matrix, row.name)), "two rows are {} {}", row.matrix, row.name);
    }
    let mut covered: BTreeSet<_> = rows.iter().map(|row| row.matrix).collect();
    covered.extend(outcomes::rows().iter().map(|row| row.matrix));
    covered.extend(elsewhere::MATRIX);
    covered.extend(proxies::MATRIX);
    assert_eq!(covered, BTreeSet::from(MATRIX));
}
