//! What is known of one message so far, from its row to its last octet.

use super::texts::{Place, Texts};
use crate::wire::mime::fold::fold;
use crate::wire::mime::fuzzy::{HEADER_WEIGHT, SUBJECT_WEIGHT};
use crate::wire::mime::header;
use crate::wire::mime::word;
use ::store::mail::uidset::UidSet;
use ::store::mailbox::Row;
use ::store::shard::is_kept;
use std::cell::OnceCell;

#[derive(Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) row: &'a Row,
    pub(super) recent: &'a UidSet,
    pub(super) texts: &'a Texts,
    /// What signatures say.
    pub(super) narrowed: Option<&'a Narrowed>,
    /// The whole header.
    pub(super) header: Option<&'a Header<'a>>,
    /// Of the header the fields that the store lists the message by.
    pub(super) listed: Option<&'a Header<'a>>,
    /// By number, which texts are in the body.
    pub(super) found: Option<&'a [bool]>,
    /// By number, how well fuzzy texts match the body.
    pub(super) scores: Option<&'a [Option<u8>]>,
}

/// By number of a text, the messages that may hold it; `None` where that is not known.
#[derive(Default)]
pub(super) struct Narrowed {
    pub(super) exact: Vec<Option<UidSet>>,
    pub(super) fuzzy: Vec<Option<UidSet>>,
}

impl<'a> Facts<'a> {
    pub(super) fn of_row(row: &'a Row, recent: &'a UidSet, texts: &'a Texts) -> Facts<'a> {
        Facts {
            row,
            recent,
            texts,
            narrowed: None,
            header: None,
            listed: None,
            found: None,
            scores: None,
        }
    }

    /// A header that has all fields of this name, in their order.
    pub(super) fn fields_of(&self, name: &[u8]) -> Option<&'a Header<'a>> {
        self.header.or(self.listed.filter(|_| is_kept(name)))
    }

    /// Whether the text with this number is where it is looked for.
    pub(super) fn text(&self, at: usize) -> Option<bool> {
        if self.is_narrowed_out(|narrowed| narrowed.exact.get(at)) {
            return Some(false);
        }
        match self.texts.place(at)? {
            Place::In(_) => Some(self.found?.get(at).copied().unwrap_or(false)),
            Place::Header(name) => {
                let needle = self.texts.needle(at)?;
                let fields = self.fields_of(name)?;
                Some(fields.folded(name).any(|value| needle.is_in_folded(value)))
            }
        }
    }

    /// Whether the fuzzy text with this number matches.
    pub(super) fn fuzzy(&self, at: usize) -> Option<bool> {
        if self.is_narrowed_out(|narrowed| narrowed.fuzzy.get(at)) {
            return Some(false);
        }
        Some(self.score(at)?.is_some())
    }

    /// How well it matches, from 1 to 100.
    pub(super) fn score(&self, at: usize) -> Option<Option<u8>> {
        let (place, text) = self.texts.fuzzies().get(at)?;
        let Place::Header(name) = place else {
            return Some(self.scores?.get(at).copied().flatten());
        };
        let weight = match name.as_slice() {
            b"subject" => SUBJECT_WEIGHT,
            _ => HEADER_WEIGHT,
        };
        let mut scores = text.start();
        let fields = self.fields_of(name)?;
        for value in fields.values(name) {
            text.look(&word::decode(value), weight, &mut scores);
        }
        Some(scores.score())
    }

    fn is_narrowed_out(&self, of: impl FnOnce(&'a Narrowed) -> Option<&'a Option<UidSet>>) -> bool {
        let may = self.narrowed.and_then(of).and_then(Option::as_ref);
        may.is_some_and(|may| !may.contains(self.row.uid))
    }
}

/// Fields of a header; each is decoded once, whatever looks into it.
pub(super) struct Header<'a> {
    fields: Vec<Kept<'a>>,
}

struct Kept<'a> {
    name: &'a [u8],
    value: &'a [u8],
    folded: OnceCell<Vec<u8>>,
}

impl<'a> Header<'a> {
    pub(super) fn new(header: &'a [u8]) -> Header<'a> {
        let kept = header::fields(header).map(|field| Kept {
            name: field.name,
            value: field.value,
            folded: OnceCell::new(),
        });
        Header {
            // A broken line has an empty name, which nobody can ask for.
            fields: kept.filter(|kept| !kept.name.is_empty()).collect(),
        }
    }

    /// The value of the last field with this name.
    pub(super) fn last(&self, name: &str) -> Option<&'a [u8]> {
        let last = self.named(name.as_bytes()).last();
        last.map(|kept| kept.value)
    }

    fn values<'b>(&'b self, name: &'b [u8]) -> impl Iterator<Item = &'a [u8]> + 'b {
        self.named(name).map(|kept| kept.value)
    }

    /// The values of the fields with this name, decoded and folded.
    fn folded<'b>(&'b self, name: &'b [u8]) -> impl Iterator<Item = &'b [u8]> + 'b {
        self.named(name).map(|kept| {
            let folded = kept.folded.get_or_init(|| {
                let mut folded = Vec::with_capacity(kept.value.len());
                fold(&word::decode(kept.value), &mut folded);
                folded
            });
            folded.as_slice()
        })
    }

    fn named<'b>(&'b self, name: &'b [u8]) -> impl Iterator<Item = &'b Kept<'a>> + 'b {
        let is = move |kept: &&Kept<'_>| kept.name.eq_ignore_ascii_case(name);
        self.fields.iter().filter(is)
    }
}
