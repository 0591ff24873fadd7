//! A made-up message: headers that clients ask for and a few lines of text.

use engine::config::DEMO_DOMAIN;
use fastrand::Rng;
use std::fmt::Write;
use store::mail::date::InternalDate;

pub(super) struct Letter {
    pub(super) octets: Vec<u8>,
    pub(super) date: InternalDate,
}

pub(super) fn letter(chance: &mut Rng) -> Letter {
    let sender = name(chance);
    let subject = words(chance, 3, 8);
    let id = chance.u64(..);
    let mut text = String::with_capacity(LETTER_BYTES);
    let _ = write!(
        text,
        "From: {sender} <{sender}@{DEMO_DOMAIN}>\r\n\
         To: {} <{}@{DEMO_DOMAIN}>\r\n\
         Subject: {subject}\r\n\
         Message-ID: <{id:016x}@{DEMO_DOMAIN}>\r\n\
         Date: Thu, 1 Jan 2015 12:00:00 +0000\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\r\n",
        name(chance),
        name(chance),
    );
    for _ in 0..chance.u32(2..20) {
        text.push_str(&words(chance, 6, 12));
        text.push_str("\r\n");
    }
    Letter {
        octets: text.into_bytes(),
        date: date(chance),
    }
}

fn date(chance: &mut Rng) -> InternalDate {
    InternalDate {
        unix_secs: chance.i64(FIRST_SECS..LAST_SECS),
        zone_minutes: pick(chance, &ZONES),
    }
}

fn name(chance: &mut Rng) -> &'static str {
    pick(chance, &NAMES)
}

fn words(chance: &mut Rng, least: usize, most: usize) -> String {
    let mut words = String::new();
    for at in 0..chance.usize(least..=most) {
        if at > 0 {
            words.push(' ');
        }
        words.push_str(pick(chance, &WORDS));
    }
    words
}

fn pick<T: Copy>(chance: &mut Rng, choice: &[T]) -> T {
    *chance.choice(choice).expect("our lists are not empty")
}

/// 2015-01-01 to 2025-01-01.
const FIRST_SECS: i64 = 1_420_070_400;
const LAST_SECS: i64 = 1_735_689_600;

const ZONES: [i16; 6] = [0, 60, 120, -300, -480, 330];

const LETTER_BYTES: usize = 2048;

const NAMES: [&str; 16] = [
    "ada",
    "barbara",
    "claude",
    "dennis",
    "edsger",
    "frances",
    "grace",
    "hedy",
    "ivan",
    "john",
    "katherine",
    "leslie",
    "margaret",
    "niklaus",
    "radia",
    "tony",
];

const WORDS: [&str; 48] = [
    "agenda", "answer", "april", "archive", "budget", "call", "change", "contract", "copy", "date",
    "delivery", "draft", "error", "estimate", "figures", "garden", "harbour", "invoice", "journey",
    "key", "lecture", "letter", "lunch", "machine", "meeting", "minutes", "monday", "note",
    "notice", "number", "offer", "office", "order", "paper", "parcel", "plan", "price", "question",
    "quote", "receipt", "report", "schedule", "station", "summer", "ticket", "train", "update",
    "visit",
];
