//! The texts that one search looks for: each once, whatever the tree of keys says.
//!
//! So the work on a message is its octets times these, and they are bounded.

use crate::wire::mime::charset;
use crate::wire::mime::fuzzy::FuzzyText;
use crate::wire::mime::limit::{NEEDLE_BYTES_MAX, NEEDLES_MAX};
use crate::wire::mime::search::Scope;
use crate::wire::mime::text::Needle;
use crate::wire::mime::texts::{Field, folded};
use encoding_rs::{Encoding, UTF_8};

/// Where a text is looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// In the values of the fields with this name, which is in lower case.
    Header(Vec<u8>),
    In(Scope),
}

/// Texts looked for in headers: what a user typed, in every field a program knows.
const HEADER_TEXTS_MAX: usize = 256;

/// Characters of a text that signatures can be asked about.
const SIGN_CHARS_MIN: usize = 3;

pub(super) enum Fault {
    /// `NO [BADCHARSET]`
    Charset,
    TooManyTexts,
}

pub(super) struct Texts {
    encoding: &'static Encoding,
    exact: Vec<Exact>,
    fuzzy: Vec<(Place, FuzzyText)>,
}

struct Exact {
    place: Place,
    folded: String,
    needle: Needle,
}

impl Texts {
    /// Of a search in this charset, UTF-8 where it names none. One that is not used by any text is
    /// refused all the same.
    pub(super) fn new(charset: Option<&str>) -> Result<Texts, Fault> {
        let encoding = match charset {
            Some(name) => charset::named(name.as_bytes()).ok_or(Fault::Charset)?,
            None => UTF_8,
        };
        Ok(Texts {
            encoding,
            exact: Vec::new(),
            fuzzy: Vec::new(),
        })
    }

    /// The number of a text.
    pub(super) fn want(&mut self, place: Place, octets: &[u8]) -> Result<usize, Fault> {
        let folded = folded(&self.decoded(octets));
        let known = |exact: &Exact| exact.place == place && exact.folded == folded;
        if let Some(at) = self.exact.iter().position(known) {
            return Ok(at);
        }
        let of_kind = |other: &&Exact| kind(&other.place) == kind(&place);
        if self.exact.iter().filter(of_kind).count() >= most(&place) {
            return Err(Fault::TooManyTexts);
        }
        self.exact.push(Exact {
            place,
            needle: Needle::of_folded(&folded),
            folded,
        });
        Ok(self.exact.len() - 1)
    }

    /// The number of a fuzzy text.
    pub(super) fn want_fuzzy(&mut self, place: Place, octets: &[u8]) -> Result<usize, Fault> {
        let wanted = (place, FuzzyText::new(&self.decoded(octets)));
        if let Some(at) = self.fuzzy.iter().position(|known| *known == wanted) {
            return Ok(at);
        }
        if self.fuzzy.len() >= NEEDLES_MAX {
            return Err(Fault::TooManyTexts);
        }
        self.fuzzy.push(wanted);
        Ok(self.fuzzy.len() - 1)
    }

    fn decoded(&self, octets: &[u8]) -> String {
        let octets = octets.get(..NEEDLE_BYTES_MAX).unwrap_or(octets);
        charset::decode(self.encoding, octets)
    }

    pub(super) fn place(&self, at: usize) -> Option<&Place> {
        self.exact.get(at).map(|exact| &exact.place)
    }

    pub(super) fn needle(&self, at: usize) -> Option<&Needle> {
        self.exact.get(at).map(|exact| &exact.needle)
    }

    pub(super) fn fuzzy_place(&self, at: usize) -> Option<&Place> {
        self.fuzzy.get(at).map(|(place, _)| place)
    }

    pub(super) fn fuzzies(&self) -> &[(Place, FuzzyText)] {
        &self.fuzzy
    }

    pub(super) fn has_fuzzy(&self) -> bool {
        !self.fuzzy.is_empty()
    }

    /// The texts looked for in bodies with their numbers.
    pub(super) fn in_bodies(&self) -> impl Iterator<Item = (usize, Scope, &Needle)> {
        let all = self.exact.iter().enumerate();
        all.filter_map(|(at, exact)| match exact.place {
            Place::In(scope) => Some((at, scope, &exact.needle)),
            Place::Header(_) => None,
        })
    }

    /// The same of fuzzy ones.
    pub(super) fn fuzzy_in_bodies(&self) -> impl Iterator<Item = (usize, Scope, &FuzzyText)> {
        let all = self.fuzzy.iter().enumerate();
        all.filter_map(|(at, (place, text))| match place {
            Place::In(scope) => Some((at, *scope, text)),
            Place::Header(_) => None,
        })
    }

    /// What signatures can be asked of the texts, by their numbers: one of the fields holds one of
    /// the signs.
    pub(super) fn questions(&self) -> Vec<Option<Question>> {
        let asked = self.exact.iter().map(|exact| Question {
            fields: fields(&exact.place),
            signs: vec![vec![exact.folded.clone()]],
        });
        asked.map(Question::if_asks).collect()
    }

    /// The same of fuzzy ones.
    pub(super) fn fuzzy_questions(&self) -> Vec<Option<Question>> {
        let asked = self.fuzzy.iter().map(|(place, text)| Question {
            fields: fields(place),
            signs: text.signs(),
        });
        asked.map(Question::if_asks).collect()
    }
}

/// Of each list of signs one is in one of the fields of a message that holds the text.
pub(super) struct Question {
    pub(super) fields: &'static [Field],
    pub(super) signs: Vec<Vec<String>>,
}

impl Question {
    fn if_asks(mut self) -> Option<Question> {
        let long = |sign: &String| sign.chars().nth(SIGN_CHARS_MIN - 1).is_some();
        self.signs.retain(|signs| signs.iter().all(long));
        (!self.signs.is_empty()).then_some(self)
    }
}

fn fields(place: &Place) -> &'static [Field] {
    match place {
        Place::In(Scope::Body) => &[Field::Body],
        Place::In(Scope::Text) => &[Field::Header, Field::Body],
        Place::Header(name) => match Field::of_name(name) {
            Some(Field::Subject) => &[Field::Subject],
            Some(Field::From) => &[Field::From],
            Some(Field::To) => &[Field::To],
            Some(Field::Cc) => &[Field::Cc],
            Some(Field::Bcc) => &[Field::Bcc],
            _ => &[Field::Header],
        },
    }
}

fn kind(place: &Place) -> bool {
    matches!(place, Place::Header(_))
}

fn most(place: &Place) -> usize {
    match place {
        Place::Header(_) => HEADER_TEXTS_MAX,
        Place::In(_) => NEEDLES_MAX,
    }
}
