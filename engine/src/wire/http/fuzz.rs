//! Entry point for fuzzers: any octets as a connection keep the bounds and never panic.

use super::body::BodyReceiver;
use super::head::{HEAD_BYTES_MAX, parse};

/// Reads `data` as requests that follow each other.
///
/// # Panics
/// When a bound is broken, or the cuts of the input change what comes out.
pub fn fuzz_connection(data: &[u8]) {
    let mut rest = data;
    for _ in 0..REQUESTS_MAX {
        let Ok(Some((length, head))) = parse(rest) else {
            return;
        };
        assert!(length <= rest.len() && length <= HEAD_BYTES_MAX);
        rest = rest.get(length..).unwrap_or_default();
        let Ok(whole) = BodyReceiver::new(head.framing, BODY_BYTES_MAX) else {
            return;
        };
        let Some((taken, body)) = receive(whole, rest, rest.len().max(1)) else {
            return;
        };
        assert!(body.len() as u64 <= BODY_BYTES_MAX && taken <= rest.len());
        if let Ok(again) = BodyReceiver::new(head.framing, BODY_BYTES_MAX) {
            assert_eq!(
                receive(again, rest, 1),
                Some((taken, body)),
                "cuts change nothing"
            );
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
}

/// `None`: refused.
fn receive(mut receiver: BodyReceiver, octets: &[u8], step: usize) -> Option<(usize, Vec<u8>)> {
    let (mut out, mut taken) = (Vec::new(), 0);
    for piece in octets.chunks(step) {
        taken += receiver.feed(piece, &mut out).ok()?;
        if receiver.is_over() {
            break;
        }
    }
    Some((taken, out))
}

const REQUESTS_MAX: usize = 64;
const BODY_BYTES_MAX: u64 = 1_000;
