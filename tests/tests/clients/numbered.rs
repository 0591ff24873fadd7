//! Mail that a client can tell apart: `number 3` in the subject, `needle3.` in the body.

use super::ALICE;
use std::ops::Range;
use tests::corpus::plain;
use tests::seed::Seed;
use tests::server::Server;

/// One message for each number, in this order, in INBOX.
pub(super) fn deliver(server: &Server, numbers: Range<u64>) {
    for number in numbers {
        let head = format!("number {number}\r\nMessage-ID: <{number}@remote.test>");
        let mut message = plain(&head, 900, &mut Seed::new(number));
        message.extend(format!("needle{number}.\r\n").into_bytes());
        server.deliver(&[ALICE], &message);
    }
}
