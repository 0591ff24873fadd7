//! DNS messages by hand, as few as the stub needs (RFC 1035 §4): no compression, one question.

/// Types of records.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    A,
    Ns,
    Cname,
    Mx,
    Txt,
    Aaaa,
    Tlsa,
    /// Any other, by its number.
    Other(u16),
}

/// A question, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Query {
    id: u16,
    wants_ad: bool,
    /// The DO bit: signatures belong into the answer.
    pub(super) wants_dnssec: bool,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) udp_bytes_max: usize,
}

/// One record, its data in the form of the wire.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) ttl: u32,
    pub(super) data: Vec<u8>,
}

/// What goes into a response.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) code: u8,
    pub(super) is_secure: bool,
    pub(super) answers: Vec<Record>,
    pub(super) authorities: Vec<Record>,
}

impl Kind {
    pub(super) fn number(self) -> u16 {
        match self {
            Kind::A => 1,
            Kind::Ns => 2,
            Kind::Cname => 5,
            Kind::Mx => 15,
            Kind::Txt => 16,
            Kind::Aaaa => 28,
            Kind::Tlsa => 52,
            Kind::Other(number) => number,
        }
    }

    pub fn of(number: u16) -> Kind {
        let known = [
            Kind::A,
            Kind::Ns,
            Kind::Cname,
            Kind::Mx,
            Kind::Txt,
            Kind::Aaaa,
            Kind::Tlsa,
        ];
        let found = known.into_iter().find(|kind| kind.number() == number);
        found.unwrap_or(Kind::Other(number))
    }
}

impl Query {
    /// `None` for what is no query with one question.
    pub(super) fn parse(octets: &[u8]) -> Option<Query> {
        let word = |at: usize| Some(u16::from_be_bytes(octets.get(at..at + 2)?.try_into().ok()?));
        let flags = word(2)?;
        if flags & 0x8000 != 0 || word(4)? != 1 {
            return None;
        }
        let (mut at, mut labels) = (12, Vec::new());
        while let Some(length) = octets.get(at).map(|length| usize::from(*length)) {
            at += 1;
            if length == 0 {
                break;
            }
            let label = octets.get(at..at + length)?;
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
            at += length;
        }
        let kind = Kind::of(word(at)?);
        // The OPT record, if any, follows the question: root, type 41, size, flags with DO.
        let opt = (word(at + 5) == Some(41)).then_some(at + 7);
        let wants_dnssec = opt
            .and_then(|at| word(at + 4))
            .is_some_and(|z| z & 0x8000 != 0);
        Some(Query {
            id: word(0)?,
            wants_ad: flags & 0x0020 != 0 || wants_dnssec,
            wants_dnssec,
            name: labels.join("."),
            kind,
            udp_bytes_max: opt.and_then(word).map_or(512, usize::from),
        })
    }

    /// The same question for another name.
    pub(super) fn for_name(&self, name: &str) -> Query {
        Query {
            name: name.to_owned(),
            ..self.clone()
        }
    }
}

impl Answer {
    /// The response; with TC and without records where it is longer than `bytes_max`.
    pub(super) fn encode(&self, query: &Query, bytes_max: usize) -> Vec<u8> {
        let mut flags = RESPONSE | u16::from(self.code);
        if self.is_secure && query.wants_ad {
            flags |= 0x0020;
        }
        let mut octets = head(query, flags, self.answers.len(), self.authorities.len());
        for record in self.answers.iter().chain(&self.authorities) {
            octets.extend(name(&record.name));
            octets.extend(record.kind.number().to_be_bytes());
            octets.extend(CLASS_IN.to_be_bytes());
            octets.extend(record.ttl.to_be_bytes());
            let length = u16::try_from(record.data.len()).expect("data fits its length");
            octets.extend(length.to_be_bytes());
            octets.extend(&record.data);
        }
        match octets.len() > bytes_max {
            true => truncated(query),
            false => octets,
        }
    }
}

pub(super) fn truncated(query: &Query) -> Vec<u8> {
    head(query, RESPONSE | 0x0200, 0, 0)
}

pub(super) fn refused(query: &Query, code: u8) -> Vec<u8> {
    head(query, RESPONSE | u16::from(code), 0, 0)
}

pub(super) fn with_other_id(mut octets: Vec<u8>) -> Vec<u8> {
    octets[0] ^= 0x55;
    octets
}

pub(super) fn referral(query: &Query) -> Vec<u8> {
    let server = Record {
        name: "test".to_owned(),
        kind: Kind::Ns,
        ttl: 60,
        data: name("ns.elsewhere.test"),
    };
    let answer = Answer {
        authorities: vec![server],
        ..Answer::default()
    };
    answer.encode(query, usize::MAX)
}

/// A name in the form of the wire.
pub(super) fn name(text: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len() + 2);
    for label in text.split('.').filter(|label| !label.is_empty()) {
        octets.push(u8::try_from(label.len()).expect("labels are short"));
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets
}

fn head(query: &Query, flags: u16, answers: usize, authorities: usize) -> Vec<u8> {
    let count = |list: usize| u16::try_from(list).expect("scripts stay below 64 KiB");
    let mut octets = Vec::new();
    for word in [query.id, flags, 1, count(answers), count(authorities), 0] {
        octets.extend(word.to_be_bytes());
    }
    octets.extend(name(&query.name));
    octets.extend(query.kind.number().to_be_bytes());
    octets.extend(CLASS_IN.to_be_bytes());
    octets
}

/// A response of a server that recurses: QR, RD, RA.
const RESPONSE: u16 = 0x8180;

const CLASS_IN: u16 = 1;
