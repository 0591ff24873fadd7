//! The records of the stub, as the test writes them, and what a recursive server makes of them.

use super::wire::{Answer, Kind, Query, Record, name};
use std::net::{Ipv4Addr, Ipv6Addr};

#[derive(Default)]
pub(super) struct Zone {
    records: Vec<Record>,
    secure: Vec<String>,
}

impl Zone {
    /// `name ttl type data`, one a line; empty lines are skipped.
    pub(super) fn read(&mut self, text: &str) {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        self.records.extend(lines.map(record));
    }

    pub(super) fn add(&mut self, record: Record) {
        self.records.push(record);
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.records.retain(|record| record.name != name);
    }

    pub(super) fn secure(&mut self, name: &str) {
        self.secure.push(name.to_owned());
    }

    /// Records of the type, at the end of the chain of aliases; or why there are none.
    pub(super) fn answer(&self, query: &Query) -> Answer {
        let mut answer = Answer {
            is_secure: self.is_secure(&query.name),
            ..Answer::default()
        };
        let mut owner = query.name.clone();
        for _ in 0..ALIASES_MAX {
            let here = || self.records.iter().filter(|record| record.name == owner);
            let of_kind: Vec<Record> = here().filter(|r| r.kind == query.kind).cloned().collect();
            if !of_kind.is_empty() {
                answer.answers.extend(of_kind);
                if query.wants_dnssec {
                    answer
                        .answers
                        .extend(here().filter(|r| signs(r, query.kind)).cloned());
                }
                return answer;
            }
            let Some(alias) = here().find(|record| record.kind == Kind::Cname) else {
                let below = format!(".{owner}");
                let is_there = self
                    .records
                    .iter()
                    .any(|record| record.name.ends_with(&below));
                answer.code = if here().next().is_some() || is_there {
                    0
                } else {
                    3
                };
                answer.authorities.push(start_of_authority());
                return answer;
            };
            owner = text(&alias.data);
            answer.is_secure &= self.is_secure(&owner);
            answer.answers.push(alias.clone());
        }
        // A recursive server that runs in circles gives up.
        answer.code = 2;
        answer
    }

    fn is_secure(&self, name: &str) -> bool {
        self.secure.iter().any(|zone| {
            let above = name.strip_suffix(zone.as_str());
            above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        })
    }
}

/// Whether this is the signature of the records of that type (RFC 4034 §3.1.1).
fn signs(record: &Record, kind: Kind) -> bool {
    record.kind == SIGNATURE && record.data.starts_with(&kind.number().to_be_bytes())
}

fn record(line: &str) -> Record {
    let mut words = line.splitn(4, ' ').map(str::trim);
    let mut word = || words.next().unwrap_or_else(|| panic!("too short: {line}"));
    let (owner, ttl, kind, rest) = (word(), word(), word(), word());
    let (kind, data) = data(kind, rest);
    Record {
        name: owner.to_owned(),
        kind,
        ttl: ttl.parse().unwrap_or_else(|_| panic!("no ttl: {line}")),
        data,
    }
}

fn data(kind: &str, text: &str) -> (Kind, Vec<u8>) {
    let words: Vec<&str> = text.split(' ').collect();
    match (kind, &words[..]) {
        ("A", [four]) => (Kind::A, four.parse::<Ipv4Addr>().unwrap().octets().into()),
        ("AAAA", [six]) => (Kind::Aaaa, six.parse::<Ipv6Addr>().unwrap().octets().into()),
        ("CNAME", [target]) => (Kind::Cname, name(target)),
        ("MX", [preference, host]) => {
            let preference: u16 = preference.parse().unwrap();
            let octets = [&preference.to_be_bytes()[..], &name(host)].concat();
            (Kind::Mx, octets)
        }
        ("TLSA", [usage, selector, matching, hex]) => {
            let numbers = [usage, selector, matching].map(|number| number.parse::<u8>().unwrap());
            (Kind::Tlsa, [&numbers[..], &octets(hex)].concat())
        }
        ("TXT", _) => (Kind::Txt, strings(text)),
        _ => panic!("unknown record: {kind} {text}"),
    }
}

/// Character strings of at most 255 octets (RFC 1035 §3.3.14).
fn strings(text: &str) -> Vec<u8> {
    let parts = text.as_bytes().chunks(255);
    let with_length = parts.map(|part| [&[part.len() as u8][..], part].concat());
    with_length.collect::<Vec<_>>().concat()
}

fn octets(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    let digits = pairs.map(|pair| std::str::from_utf8(pair).unwrap());
    digits
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

/// A name of the wire as text.
fn text(octets: &[u8]) -> String {
    let (mut at, mut labels) = (0, Vec::new());
    while octets[at] != 0 {
        let end = at + 1 + usize::from(octets[at]);
        labels.push(String::from_utf8_lossy(&octets[at + 1..end]).into_owned());
        at = end;
    }
    labels.join(".")
}

/// RFC 2308 §3: negative answers carry it; its last number is how long they hold.
fn start_of_authority() -> Record {
    let mut data = [name("ns.test"), name("hostmaster.test")].concat();
    for number in [1u32, 3_600, 600, 86_400, NEGATIVE_TTL] {
        data.extend(number.to_be_bytes());
    }
    Record {
        name: "test".to_owned(),
        kind: Kind::Other(6),
        ttl: NEGATIVE_TTL,
        data,
    }
}

const SIGNATURE: Kind = Kind::Other(46);

const ALIASES_MAX: usize = 16;

/// Seconds; so that a test can mend what was missing.
const NEGATIVE_TTL: u32 = 0;
