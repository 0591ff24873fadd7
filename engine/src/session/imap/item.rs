//! The items of FETCH one by one: what of a message each needs, and what stands behind it.

use super::dialogue::Dialogue;
use super::io::Io;
use super::mailstore::Mailstore;
use super::object;
use super::preview;
use super::section::{Filter, KEPT_BYTES_MAX, Measured, Source};
use super::shown::Shown;
use super::structure::{self, Structures};
use crate::wire::imap::command::{FetchItem, Section, SectionText};
use crate::wire::mime::header::{self, Selection};
use crate::wire::mime::part::{Inner, Part, Structure};
use crate::wire::mime::surrogate::surrogate;
use crate::wire::mime::transfer::Decoder;
use ::store::error::ReadError;
use ::store::mailbox::Row;
use ::store::shard::is_kept;
use std::ops::Range;
use std::rc::Rc;

/// How much of a message has to be looked at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Need {
    /// The row of the index has it all.
    Row,
    /// Its octets, as they are.
    Message,
    /// Where its header ends, and the fields of its ENVELOPE.
    Head,
    /// All of its parts.
    Structure,
}

/// What of a message was opened for the items of one FETCH.
pub(super) struct Opened<S: Mailstore> {
    message: Option<Shown<S>>,
    /// The fields that the store lists it by, where they are enough.
    listed: Option<Vec<u8>>,
    head: Option<Rc<Structure>>,
    structure: Option<Rc<Structure>>,
}

/// What a client reads of headers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Headers {
    AsTheyAre,
    /// RFC 6858.
    InAscii,
}

/// What stands behind an item.
#[derive(Debug)]
pub(super) enum Data {
    /// The item is written from the row or the structure.
    Known,
    /// `NIL`: there is no such part.
    Nil,
    Octets(Measured),
    /// Fields that the store lists the message by.
    Listed(Vec<u8>),
    Size(u64),
    /// THREADID; `None` for a message that names none.
    Thread(Option<String>),
    /// PREVIEW.
    Preview(String),
}

/// Why a message has no response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// Its record is damaged, or the device fails.
    Unreadable(ReadError),
    /// RFC 3516 §4.3.
    UnknownEncoding,
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Fault {
        Fault::Unreadable(error)
    }
}

/// Whether an item sets `\Seen` (RFC 9051 §6.4.5).
pub(super) fn marks_seen(item: &FetchItem) -> bool {
    matches!(
        item,
        FetchItem::Section { peek: false, .. }
            | FetchItem::Binary { peek: false, .. }
            | FetchItem::Rfc822
            | FetchItem::Rfc822Text
    )
}

/// The items to answer: each once, and the UID in any answer to a UID FETCH (RFC 9051 §6.4.9).
pub(super) fn complete(items: &[FetchItem], uid: bool) -> Vec<FetchItem> {
    let mut all = Vec::with_capacity(items.len() + 1);
    if uid {
        all.push(FetchItem::Uid);
    }
    for item in items {
        if !all.contains(item) {
            all.push(item.clone());
        }
    }
    all
}

impl<S: Mailstore> Opened<S> {
    /// Where a header holds more than ASCII, it is another message from here on: `true`.
    async fn show_in_ascii(
        &mut self,
        store: &S,
        structures: &mut Structures,
        row: &Row,
    ) -> Result<bool, ReadError> {
        let Some(shown) = &mut self.message else {
            return Ok(false);
        };
        let message = shown.message();
        let Some(surrogate) = structures.in_ascii(store, row.delivery, message).await? else {
            return Ok(false);
        };
        self.structure = Some(surrogate.structure());
        shown.show_in_ascii(surrogate);
        Ok(true)
    }

    pub(super) fn message(&self) -> Option<&Shown<S>> {
        self.message.as_ref()
    }

    /// The fields that make the ENVELOPE.
    pub(super) fn head(&self) -> &[u8] {
        if let Some(listed) = &self.listed {
            return listed;
        }
        let structure = self.structure.as_ref().or(self.head.as_ref());
        structure.map_or(&[], |structure| structure.head.as_slice())
    }

    pub(super) fn root(&self) -> Option<&Part> {
        self.structure.as_ref().map(|structure| &structure.root)
    }

    fn octets(&self) -> u64 {
        self.message.as_ref().map_or(0, Shown::octets)
    }

    /// The stretch that a section means. Sections of the message itself need no parts.
    fn range(&self, section: &Section) -> Option<Range<u64>> {
        let known = self.structure.as_ref().or(self.head.as_ref());
        let header = known.map_or(0, |structure| structure.root.header.end);
        match &section.text {
            _ if !section.part.is_empty() => self
                .structure
                .as_ref()?
                .section(&section.part, &section.text),
            SectionText::All => Some(0..self.octets()),
            SectionText::Text => Some(header..self.octets()),
            SectionText::Mime => None,
            SectionText::Header
            | SectionText::HeaderFields(_)
            | SectionText::HeaderFieldsNot(_) => Some(0..header),
        }
    }

    /// A section with header fields, of what the store lists.
    fn listed_section(&self, item: &FetchItem) -> Option<Vec<u8>> {
        let (listed, names) = (self.listed.as_ref()?, listed_names(item)?);
        let FetchItem::Section { partial, .. } = item else {
            return None;
        };
        let mut fields = Vec::new();
        header::select(listed, names, false, &mut fields);
        if let Some((first, count)) = partial {
            let first =
                usize::try_from(*first).map_or(fields.len(), |first| first.min(fields.len()));
            fields.drain(..first);
            fields.truncate(usize::try_from(*count).unwrap_or(usize::MAX));
        }
        Some(fields)
    }

    fn section(&self, section: &Section, partial: Option<(u32, u32)>) -> Option<Source> {
        let filter = match &section.text {
            SectionText::HeaderFields(names) => Filter::Select(Selection::new(names, false)),
            SectionText::HeaderFieldsNot(names) => Filter::Select(Selection::new(names, true)),
            _ => Filter::AsTheyAre,
        };
        Some(Source::new(self.range(section)?, filter, partial))
    }

    /// RFC 3516 §4.3: the content of a part, its transfer encoding undone. What holds other parts
    /// has none (RFC 2045 §6.4).
    fn binary(&self, part: &[u32], partial: Option<(u32, u32)>) -> Result<Option<Source>, Fault> {
        if part.is_empty() {
            return Ok(Some(Source::new(
                0..self.octets(),
                Filter::AsTheyAre,
                partial,
            )));
        }
        let Some(part) = self.structure.as_ref().and_then(|s| s.part(part)) else {
            return Ok(None);
        };
        let decoder = match part.inner {
            Inner::Leaf => Decoder::new(&part.content.encoding),
            Inner::Multipart(_) | Inner::Message(_) => Ok(Decoder::identity()),
        };
        let filter = match decoder.map_err(|_| Fault::UnknownEncoding)? {
            decoder if decoder.is_identity() => Filter::AsTheyAre,
            decoder => Filter::Decode(decoder),
        };
        Ok(Some(Source::new(part.body.clone(), filter, partial)))
    }
}

/// What the items need of a message, and what they will send of it.
pub(super) async fn read<S: Mailstore, I: Io>(
    dialogue: &mut Dialogue<I>,
    store: &S,
    structures: &mut Structures,
    (row, headers): (&Row, Headers),
    items: &[FetchItem],
) -> Result<(Opened<S>, Vec<Data>), Fault> {
    let mut opened = open(store, structures, (row, headers), items).await?;
    let mut data = gather(dialogue, store, &opened, items).await?;
    let is_wide = |data: &Data| matches!(data, Data::Octets(measured) if measured.is_wide);
    if headers == Headers::InAscii && opened.structure.is_none() && data.iter().any(is_wide) {
        // Nobody has looked yet at where the octets beyond ASCII stand.
        if opened.show_in_ascii(store, structures, row).await? {
            data = gather(dialogue, store, &opened, items).await?;
        }
    }
    Ok((opened, data))
}

/// Opens as much of a message as the items need.
async fn open<S: Mailstore>(
    store: &S,
    structures: &mut Structures,
    (row, headers): (&Row, Headers),
    items: &[FetchItem],
) -> Result<Opened<S>, Fault> {
    let need = items.iter().map(need).max().unwrap_or(Need::Row);
    let mut opened = Opened {
        message: None,
        listed: None,
        head: None,
        structure: None,
    };
    if need == Need::Row {
        return Ok(opened);
    }
    if items.iter().all(is_listed) {
        opened.listed = store.listing(row.delivery).await;
        if let Some(listed) = &mut opened.listed {
            if headers == Headers::InAscii {
                *listed = surrogate(listed).unwrap_or_else(|| std::mem::take(listed));
            }
            return Ok(opened);
        }
    }
    let message = store.message(row.delivery).await?;
    match need {
        Need::Structure => {
            opened.structure = Some(structures.of(store, row.delivery, &message).await?);
        }
        Need::Head => opened.head = Some(Rc::new(structure::head(store, &message).await?)),
        Need::Row | Need::Message => {}
    }
    opened.message = Some(Shown::as_it_is(message));
    let known = opened.structure.as_ref().or(opened.head.as_ref());
    if headers == Headers::InAscii && known.is_some_and(|known| known.is_wide) {
        opened.show_in_ascii(store, structures, row).await?;
    }
    Ok(opened)
}

/// Reads what the items will send.
async fn gather<S: Mailstore, I: Io>(
    dialogue: &mut Dialogue<I>,
    store: &S,
    opened: &Opened<S>,
    items: &[FetchItem],
) -> Result<Vec<Data>, Fault> {
    let mut all = Vec::with_capacity(items.len());
    let mut room = KEPT_BYTES_MAX;
    for item in items {
        if let Some(fields) = opened.listed_section(item) {
            all.push(Data::Listed(fields));
            continue;
        }
        match item {
            FetchItem::ThreadId => {
                all.push(Data::Thread(thread_of(dialogue, store, opened).await?));
                continue;
            }
            FetchItem::Preview { .. } => {
                let structure = opened.structure.as_deref();
                let structure = structure.ok_or(ReadError::Gone)?;
                let text = preview::of(dialogue, store, opened, structure).await?;
                all.push(Data::Preview(text));
                continue;
            }
            _ => {}
        }
        let source = match item {
            FetchItem::Section {
                section, partial, ..
            } => opened.section(section, *partial),
            FetchItem::Rfc822 => opened.section(&whole(SectionText::All), None),
            FetchItem::Rfc822Header => opened.section(&whole(SectionText::Header), None),
            FetchItem::Rfc822Text => opened.section(&whole(SectionText::Text), None),
            FetchItem::Binary { part, partial, .. } => opened.binary(part, *partial)?,
            FetchItem::BinarySize(part) => opened.binary(part, None)?,
            _ => {
                all.push(Data::Known);
                continue;
            }
        };
        let (Some(source), Some(message)) = (source, opened.message()) else {
            all.push(if matches!(item, FetchItem::BinarySize(_)) {
                Data::Size(0)
            } else {
                Data::Nil
            });
            continue;
        };
        let measured = source.measure(dialogue, store, message, &mut room).await?;
        all.push(match item {
            FetchItem::BinarySize(_) => Data::Size(measured.octets),
            _ => Data::Octets(measured),
        });
    }
    Ok(all)
}

async fn thread_of<S: Mailstore, I: Io>(
    dialogue: &mut Dialogue<I>,
    store: &S,
    opened: &Opened<S>,
) -> Result<Option<String>, Fault> {
    let item = object::thread_fields();
    if let Some(fields) = opened.listed_section(&item) {
        return Ok(object::thread_id(&fields));
    }
    let FetchItem::Section { section, .. } = &item else {
        return Ok(None);
    };
    let (Some(source), Some(message)) = (opened.section(section, None), opened.message()) else {
        return Ok(None);
    };
    let mut room = KEPT_BYTES_MAX;
    let measured = source.measure(dialogue, store, message, &mut room).await?;
    Ok(object::thread_id(measured.kept()))
}

fn need(item: &FetchItem) -> Need {
    match item {
        FetchItem::Uid
        | FetchItem::Flags
        | FetchItem::InternalDate
        | FetchItem::Rfc822Size
        | FetchItem::ModSeq
        | FetchItem::SaveDate
        | FetchItem::EmailId => Need::Row,
        FetchItem::ThreadId => Need::Head,
        FetchItem::Preview { .. } => Need::Structure,
        FetchItem::Envelope | FetchItem::Rfc822Header | FetchItem::Rfc822Text => Need::Head,
        FetchItem::Body | FetchItem::BodyStructure => Need::Structure,
        FetchItem::Rfc822 => Need::Message,
        FetchItem::Section { section, .. } if !section.part.is_empty() => Need::Structure,
        FetchItem::Section { section, .. } => match section.text {
            SectionText::All => Need::Message,
            _ => Need::Head,
        },
        FetchItem::Binary { part, .. } | FetchItem::BinarySize(part) => match part.as_slice() {
            [] => Need::Message,
            _ => Need::Structure,
        },
    }
}

/// Whether the fields that a store lists messages by tell all of an item.
fn is_listed(item: &FetchItem) -> bool {
    match need(item) {
        Need::Row => true,
        Need::Head if matches!(item, FetchItem::Envelope | FetchItem::ThreadId) => true,
        _ => listed_names(item).is_some_and(|names| names.iter().all(|name| is_kept(name))),
    }
}

/// The names in `BODY[HEADER.FIELDS (…)]`.
fn listed_names(item: &FetchItem) -> Option<&[Vec<u8>]> {
    match item {
        FetchItem::Section { section, .. } if section.part.is_empty() => match &section.text {
            SectionText::HeaderFields(names) => Some(names),
            _ => None,
        },
        _ => None,
    }
}

fn whole(text: SectionText) -> Section {
    Section {
        part: Vec::new(),
        text,
    }
}
