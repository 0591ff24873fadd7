//! Entry point for fuzzers: any octets as the body of a request.

use super::{Bounds, Effort, Injection, May, Plan, Principal, Request, check};
use crate::config::inject::SenderPattern;
use crate::route::Plan as Accounts;
use store::mail::date::InternalDate;

/// Reads, checks and writes whatever `body` asks for.
///
/// # Panics
/// When a message that is made breaks what SMTP needs of it.
pub fn fuzz_request(body: &[u8]) {
    let Ok(request) = Request::read(body) else {
        return;
    };
    let principal = Principal {
        name: "fuzz".to_owned(),
        may: May::Senders(vec![SenderPattern::Domain("a.example".to_owned())]),
        tenants: vec!["fuzz".to_owned()],
        per_minute_max: None,
    };
    let bounds = Bounds {
        recipients_max: 50,
        attachments_max: 5,
        message_octets_max: OCTETS_MAX,
        now_secs: 1_795_320_000,
    };
    let nobody = Accounts {
        hostname: "mx.example".to_owned(),
        shards: 1,
        postmaster: None,
        domains: Vec::new(),
        accounts: Vec::new(),
        aliases: Vec::new(),
    };
    let (directory, _) = nobody.build(None);
    if let Ok(injection) = check(request, &principal, &directory, &bounds) {
        write(&injection);
    }
}

fn write(injection: &Injection<'_>) {
    let plan = Plan::of(injection);
    for message in 0..plan.messages() {
        let first = plan.recipients_of(message).start;
        let date = InternalDate::utc(1_795_320_000);
        let effort = Effort::full(OCTETS_MAX);
        let Ok(letter) = injection.letter(first, "1@mx.example", date, effort) else {
            continue;
        };
        assert!(letter.octets.len() as u64 <= OCTETS_MAX);
        let mut before = 0;
        for octet in &letter.octets {
            assert!(
                (*octet == b'\n') == (before == b'\r'),
                "a line ends with CR LF"
            );
            before = *octet;
        }
    }
}

const OCTETS_MAX: u64 = 1 << 20;
