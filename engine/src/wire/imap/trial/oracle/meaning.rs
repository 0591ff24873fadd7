//! What the other codec read, in our types. Sequence sets are compared as the numbers that they
//! name, because it sorts and joins them; keywords as it keeps them, duplicates included.

use imap_codec::imap_types as theirs;
use theirs::command::CommandBody;
use theirs::core::AString;
use theirs::extensions::binary::LiteralOrLiteral8;
use theirs::fetch::{Macro, MacroOrMessageDataItemNames, MessageDataItemName, Part};
use theirs::flag::{Flag, StoreResponse, StoreType};
use theirs::mailbox::{ListMailbox, Mailbox};
use theirs::search::SearchKey as TheirKey;
use theirs::sequence::{SeqOrUid, Sequence};
use theirs::status::StatusDataItemName;

use super::super::super::append::{Append, Literal, Step};
use super::super::super::command::*;
use super::super::super::name;
use super::super::super::resync::Modifiers;
use super::super::super::set::resolve;
use store::mail::date::InternalDate;
use store::mail::flags::Flags;

/// Our command with its sets in the form of [`set`].
pub(super) fn comparable(mut command: Command) -> Command {
    match &mut command.body {
        Body::UidExpunge(set)
        | Body::Fetch { set, .. }
        | Body::Store { set, .. }
        | Body::Copy { set, .. }
        | Body::Move { set, .. } => normalise(set),
        Body::Search { search, .. } => normalise_key(&mut search.key),
        // It reads a reference as a mailbox; to us it is the beginning of a pattern.
        Body::List(List { reference, .. }) | Body::Lsub { reference, .. } => {
            *reference = name::canonical(reference);
        }
        // It does not tell the two ways to announce a message apart in the same place.
        Body::Append(append) => {
            for step in &mut append.steps {
                if let Step::Octets(literal) = step {
                    literal.non_synchronizing = false;
                }
            }
        }
        _ => {}
    }
    command
}

fn normalise_key(key: &mut SearchKey) {
    match key {
        SearchKey::Sequence(set) | SearchKey::Uid(set) => normalise(set),
        SearchKey::Not(key) => normalise_key(key),
        SearchKey::Or(a, b) => [a, b].into_iter().for_each(|key| normalise_key(key)),
        SearchKey::And(keys) => keys.iter_mut().for_each(normalise_key),
        _ => {}
    }
}

fn normalise(set: &mut SequenceSet) {
    if let SequenceSet::Ranges(ranges) = set {
        let resolved = resolve(ranges, u32::MAX);
        let number = SequenceNumber::Number;
        *ranges = resolved
            .ranges()
            .iter()
            .map(|(a, b)| (number(*a), number(*b)))
            .collect();
    }
}

/// Their command in our types; `None` where we have no such command.
pub(super) fn of(command: theirs::command::Command<'_>) -> Option<Command> {
    let tag = command.tag.inner().to_owned();
    let body = session(&command.body)
        .or_else(|| mailboxes(&command.body))
        .or_else(|| selected(command.body))?;
    Some(Command { tag, body })
}

fn session(body: &CommandBody<'_>) -> Option<Body> {
    Some(match body {
        CommandBody::Capability => Body::Capability,
        CommandBody::Noop => Body::Noop,
        CommandBody::Logout => Body::Logout,
        CommandBody::Check => Body::Check,
        CommandBody::Close => Body::Close,
        CommandBody::Expunge => Body::Expunge,
        CommandBody::Unselect => Body::Unselect,
        CommandBody::Idle => Body::Idle,
        CommandBody::Login { username, password } => Body::Login {
            user: octets(username),
            password: octets(password.declassify()),
        },
        CommandBody::Authenticate {
            mechanism,
            initial_response,
        } => Body::Authenticate {
            mechanism: mechanism.to_string().to_ascii_uppercase(),
            initial: initial_response
                .as_ref()
                .map(|text| text.declassify().to_vec()),
        },
        CommandBody::Enable { capabilities } => Body::Enable(
            capabilities
                .as_ref()
                .iter()
                .map(|c| c.to_string().to_ascii_uppercase())
                .collect(),
        ),
        _ => return None,
    })
}

fn mailboxes(body: &CommandBody<'_>) -> Option<Body> {
    Some(match body {
        CommandBody::Select { mailbox, .. } => Body::Select {
            mailbox: named(mailbox)?,
        },
        CommandBody::Examine { mailbox, .. } => Body::Examine {
            mailbox: named(mailbox)?,
        },
        CommandBody::Create { mailbox } => Body::Create {
            mailbox: without_separator(named(mailbox)?),
            special_use: Vec::new(),
        },
        CommandBody::Delete { mailbox } => Body::Delete {
            mailbox: named(mailbox)?,
        },
        CommandBody::Rename { from, to } => Body::Rename {
            from: named(from)?,
            to: named(to)?,
        },
        CommandBody::Subscribe { mailbox } => Body::Subscribe {
            mailbox: named(mailbox)?,
        },
        CommandBody::Unsubscribe { mailbox } => Body::Unsubscribe {
            mailbox: named(mailbox)?,
        },
        CommandBody::List {
            reference,
            mailbox_wildcard,
        } => Body::List(List {
            reference: named(reference)?,
            patterns: vec![pattern(mailbox_wildcard)?],
            ..List::default()
        }),
        CommandBody::Lsub {
            reference,
            mailbox_wildcard,
        } => Body::Lsub {
            reference: named(reference)?,
            pattern: pattern(mailbox_wildcard)?,
        },
        CommandBody::Status {
            mailbox,
            item_names,
        } => Body::Status {
            mailbox: named(mailbox)?,
            items: item_names.iter().map(status_item).collect::<Option<_>>()?,
        },
        CommandBody::Append {
            mailbox,
            flags,
            date,
            message,
        } => {
            let octets = literal(message);
            let date = date.as_ref().map(|date| InternalDate {
                unix_secs: date.as_ref().timestamp(),
                zone_minutes: (date.as_ref().offset().local_minus_utc() / 60) as i16,
            });
            let flags = flag_list(flags)?;
            Body::Append(Append {
                mailbox: named(mailbox)?,
                replaces: None,
                steps: vec![Step::Begin { flags, date }, Step::Octets(octets)],
            })
        }
        _ => return None,
    })
}

fn literal(message: &LiteralOrLiteral8<'_>) -> Literal {
    Literal {
        octets: match message {
            LiteralOrLiteral8::Literal(literal) => literal.as_ref().len() as u64,
            LiteralOrLiteral8::Literal8(literal) => literal.data.len() as u64,
        },
        non_synchronizing: false,
        binary: matches!(message, LiteralOrLiteral8::Literal8(_)),
        utf8: false,
        is_part: false,
    }
}

fn selected(body: CommandBody<'_>) -> Option<Body> {
    Some(match body {
        CommandBody::ExpungeUid { sequence_set } => Body::UidExpunge(set(&sequence_set)),
        CommandBody::Copy {
            sequence_set,
            mailbox,
            uid,
        } => Body::Copy {
            uid,
            set: set(&sequence_set),
            mailbox: named(&mailbox)?,
        },
        CommandBody::Move {
            sequence_set,
            mailbox,
            uid,
        } => Body::Move {
            uid,
            set: set(&sequence_set),
            mailbox: named(&mailbox)?,
        },
        CommandBody::Store {
            sequence_set,
            kind,
            response,
            flags,
            uid,
            ..
        } => Body::Store {
            uid,
            set: set(&sequence_set),
            store: Store {
                op: match kind {
                    StoreType::Replace => StoreOp::Set,
                    StoreType::Add => StoreOp::Add,
                    StoreType::Remove => StoreOp::Remove,
                },
                silent: response == StoreResponse::Silent,
                flags: flag_list(&flags)?,
                unchanged_since: None,
            },
        },
        CommandBody::Fetch {
            sequence_set,
            macro_or_item_names,
            uid,
            ..
        } => Body::Fetch {
            uid,
            set: set(&sequence_set),
            items: fetch_items(&macro_or_item_names)?,
            modifiers: Modifiers::default(),
        },
        CommandBody::Search {
            charset,
            criteria,
            uid,
        } => Body::Search {
            uid,
            search: Search {
                returns: None,
                charset: charset.map(|c| c.as_ref().to_ascii_uppercase()),
                key: conjunction(criteria.as_ref())?,
            },
        },
        _ => return None,
    })
}

fn octets(text: &AString<'_>) -> Vec<u8> {
    text.as_ref().to_vec()
}

/// It keeps names as they are on the wire; modified UTF-7 is for its caller to read and refuse.
fn named(mailbox: &Mailbox<'_>) -> Option<String> {
    match mailbox {
        Mailbox::Inbox => Some("INBOX".to_owned()),
        Mailbox::Other(other) => {
            name::decode_utf7(other.inner().as_ref()).map(|name| name::canonical(&name))
        }
    }
}

/// RFC 9051 §6.3.4: a separator at the end is a remark to the server and not part of the name.
fn without_separator(mut name: String) -> String {
    if name.ends_with('/') {
        name.pop();
    }
    name
}

fn pattern(pattern: &ListMailbox<'_>) -> Option<String> {
    let wire: &[u8] = match pattern {
        ListMailbox::Token(token) => token.as_ref(),
        ListMailbox::String(string) => string.as_ref(),
    };
    name::decode_utf7(wire)
}

fn status_item(item: &StatusDataItemName) -> Option<StatusItem> {
    Some(match item {
        StatusDataItemName::Messages => StatusItem::Messages,
        StatusDataItemName::Recent => StatusItem::Recent,
        StatusDataItemName::UidNext => StatusItem::UidNext,
        StatusDataItemName::UidValidity => StatusItem::UidValidity,
        StatusDataItemName::Unseen => StatusItem::Unseen,
        StatusDataItemName::Deleted => StatusItem::Deleted,
        _ => return None,
    })
}

fn flag_list(flags: &[Flag<'_>]) -> Option<FlagList> {
    let mut list = FlagList::default();
    for flag in flags {
        let system = match flag {
            Flag::Answered => Flags::ANSWERED,
            Flag::Deleted => Flags::DELETED,
            Flag::Draft => Flags::DRAFT,
            Flag::Flagged => Flags::FLAGGED,
            Flag::Seen => Flags::SEEN,
            Flag::Extension(_) => return None,
            Flag::Keyword(keyword) => {
                let keyword = keyword.inner().to_owned();
                if !list
                    .keywords
                    .iter()
                    .any(|k| k.eq_ignore_ascii_case(&keyword))
                {
                    list.keywords.push(keyword);
                }
                Flags::NONE
            }
        };
        list.flags = list.flags | system;
    }
    Some(list)
}

fn set(set: &theirs::sequence::SequenceSet) -> SequenceSet {
    let number = |n: &SeqOrUid| match n {
        SeqOrUid::Value(n) => SequenceNumber::Number(n.get()),
        SeqOrUid::Asterisk => SequenceNumber::Star,
    };
    let ranges = set.0.as_ref().iter().map(|sequence| match sequence {
        Sequence::Single(n) => (number(n), number(n)),
        Sequence::Range(a, b) => (number(a), number(b)),
    });
    let mut set = SequenceSet::Ranges(ranges.collect());
    normalise(&mut set);
    set
}

fn fetch_items(items: &MacroOrMessageDataItemNames<'_>) -> Option<Vec<FetchItem>> {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Rfc822Size};
    Some(match items {
        MacroOrMessageDataItemNames::Macro(Macro::Fast) => vec![Flags, InternalDate, Rfc822Size],
        MacroOrMessageDataItemNames::Macro(Macro::All) => {
            vec![Flags, InternalDate, Rfc822Size, Envelope]
        }
        MacroOrMessageDataItemNames::Macro(_) => {
            vec![Flags, InternalDate, Rfc822Size, Envelope, Body]
        }
        MacroOrMessageDataItemNames::MessageDataItemNames(items) => {
            items.iter().map(fetch_item).collect::<Option<_>>()?
        }
    })
}

fn fetch_item(item: &MessageDataItemName<'_>) -> Option<FetchItem> {
    let numbers = |part: &[std::num::NonZeroU32]| part.iter().map(|n| n.get()).collect::<Vec<_>>();
    Some(match item {
        MessageDataItemName::Body => FetchItem::Body,
        MessageDataItemName::BodyStructure => FetchItem::BodyStructure,
        MessageDataItemName::Envelope => FetchItem::Envelope,
        MessageDataItemName::Flags => FetchItem::Flags,
        MessageDataItemName::InternalDate => FetchItem::InternalDate,
        MessageDataItemName::Rfc822 => FetchItem::Rfc822,
        MessageDataItemName::Rfc822Header => FetchItem::Rfc822Header,
        MessageDataItemName::Rfc822Size => FetchItem::Rfc822Size,
        MessageDataItemName::Rfc822Text => FetchItem::Rfc822Text,
        MessageDataItemName::Uid => FetchItem::Uid,
        MessageDataItemName::BodyExt {
            section,
            partial,
            peek,
        } => FetchItem::Section {
            peek: *peek,
            section: section.as_ref().map(self::section).unwrap_or_default(),
            partial: partial.map(|(origin, count)| (origin, count.get())),
        },
        MessageDataItemName::Binary {
            section,
            partial,
            peek,
        } => FetchItem::Binary {
            peek: *peek,
            part: numbers(section),
            partial: partial.map(|(origin, count)| (origin, count.get())),
        },
        MessageDataItemName::BinarySize { section } => FetchItem::BinarySize(numbers(section)),
    })
}

fn section(section: &theirs::fetch::Section<'_>) -> Section {
    use theirs::fetch::Section as Their;
    let numbers = |part: &Part| part.0.as_ref().iter().map(|n| n.get()).collect::<Vec<_>>();
    let optional = |part: &Option<Part>| part.as_ref().map(numbers).unwrap_or_default();
    let names = |names: &[AString<'_>]| names.iter().map(octets).collect();
    let (part, text) = match section {
        Their::Part(part) => (numbers(part), SectionText::All),
        Their::Header(part) => (optional(part), SectionText::Header),
        Their::HeaderFields(part, fields) => (
            optional(part),
            SectionText::HeaderFields(names(fields.as_ref())),
        ),
        Their::HeaderFieldsNot(part, fields) => (
            optional(part),
            SectionText::HeaderFieldsNot(names(fields.as_ref())),
        ),
        Their::Text(part) => (optional(part), SectionText::Text),
        Their::Mime(part) => (numbers(part), SectionText::Mime),
    };
    Section { part, text }
}

fn conjunction(keys: &[TheirKey<'_>]) -> Option<SearchKey> {
    match keys {
        [key] => self::key(key),
        keys => Some(SearchKey::And(keys.iter().map(key).collect::<Option<_>>()?)),
    }
}

fn key(key: &TheirKey<'_>) -> Option<SearchKey> {
    let flag = SearchKey::Flag;
    let not = |key| SearchKey::Not(Box::new(key));
    let days = |date: &theirs::datetime::NaiveDate| i64::from(date.as_ref().to_epoch_days());
    Some(match key {
        TheirKey::And(keys) => conjunction(keys.as_ref())?,
        TheirKey::SequenceSet(numbers) => SearchKey::Sequence(set(numbers)),
        TheirKey::Uid(numbers) => SearchKey::Uid(set(numbers)),
        TheirKey::Not(key) => not(self::key(key)?),
        TheirKey::Or(a, b) => SearchKey::Or(Box::new(self::key(a)?), Box::new(self::key(b)?)),
        TheirKey::All => SearchKey::All,
        TheirKey::Answered => flag(Flags::ANSWERED),
        TheirKey::Deleted => flag(Flags::DELETED),
        TheirKey::Draft => flag(Flags::DRAFT),
        TheirKey::Flagged => flag(Flags::FLAGGED),
        TheirKey::Seen => flag(Flags::SEEN),
        TheirKey::Unanswered => not(flag(Flags::ANSWERED)),
        TheirKey::Undeleted => not(flag(Flags::DELETED)),
        TheirKey::Undraft => not(flag(Flags::DRAFT)),
        TheirKey::Unflagged => not(flag(Flags::FLAGGED)),
        TheirKey::Unseen => not(flag(Flags::SEEN)),
        TheirKey::Recent => SearchKey::Recent,
        TheirKey::Old => not(SearchKey::Recent),
        TheirKey::New => SearchKey::And(vec![SearchKey::Recent, not(flag(Flags::SEEN))]),
        TheirKey::Keyword(keyword) => SearchKey::Keyword(keyword.inner().to_owned()),
        TheirKey::Unkeyword(keyword) => not(SearchKey::Keyword(keyword.inner().to_owned())),
        TheirKey::Bcc(text) => SearchKey::Bcc(octets(text)),
        TheirKey::Body(text) => SearchKey::Body(octets(text)),
        TheirKey::Cc(text) => SearchKey::Cc(octets(text)),
        TheirKey::From(text) => SearchKey::From(octets(text)),
        TheirKey::Subject(text) => SearchKey::Subject(octets(text)),
        TheirKey::Text(text) => SearchKey::Text(octets(text)),
        TheirKey::To(text) => SearchKey::To(octets(text)),
        TheirKey::Header(field, text) => SearchKey::Header(octets(field), octets(text)),
        TheirKey::Before(date) => SearchKey::Before(days(date)),
        TheirKey::On(date) => SearchKey::On(days(date)),
        TheirKey::Since(date) => SearchKey::Since(days(date)),
        TheirKey::SentBefore(date) => SearchKey::SentBefore(days(date)),
        TheirKey::SentOn(date) => SearchKey::SentOn(days(date)),
        TheirKey::SentSince(date) => SearchKey::SentSince(days(date)),
        TheirKey::Larger(octets) => SearchKey::Larger((*octets).into()),
        TheirKey::Smaller(octets) => SearchKey::Smaller((*octets).into()),
    })
}
