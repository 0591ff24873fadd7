//! SEARCH (RFC 9051 §6.4.4, RFC 3501 §6.4.4, RFC 4731, RFC 5032, RFC 5182, RFC 5267, RFC 6203,
//! RFC 7162 §3.1.5, RFC 9394).
//!
//! The keys are a tree; its depth and the number of its keys are bounded while it is read.

use store::mail::flags::Flags;

use super::super::command::{Body, Search, SearchKey, SearchReturn, SequenceNumber, SequenceSet};
use super::super::date::date;
use super::super::fault::{Fault, Parse};
use super::super::limit::{OPTIONS_MAX, SEARCH_DEPTH_MAX, SEARCH_KEYS_MAX};
use super::super::set::sequence_set;
use super::super::token::Cursor;
use super::find;
use super::object;

/// `SEARCH [RETURN (…)] [CHARSET charset] key *(SP key)`.
pub(super) fn search(cursor: &mut Cursor<'_>, uid: bool) -> Parse<Body> {
    let returns = return_options(cursor)?;
    let search = with_charset(cursor, returns)?;
    Ok(Body::Search { uid, search })
}

/// search-program: what stands behind the options.
pub(super) fn with_charset(
    cursor: &mut Cursor<'_>,
    returns: Option<SearchReturn>,
) -> Parse<Search> {
    let charset = match keyword_ahead(cursor, "CHARSET") {
        true => Some(charset(cursor)?),
        false => None,
    };
    find::checked(Search {
        returns,
        charset,
        key: keys(cursor)?,
    })
}

/// `key *(SP key)` to the end of the command. UTF-8 may stand in quotes, as Python's imaplib puts
/// it there, RFC 9051 §4.3 has it and Dovecot takes it; RFC 3501 §4.3 would have literals.
pub(super) fn keys(cursor: &mut Cursor<'_>) -> Parse<SearchKey> {
    cursor.utf8 = true;
    Keys {
        left: SEARCH_KEYS_MAX,
    }
    .all(cursor)
}

/// Steps over `keyword` and its space if they come next.
pub(super) fn keyword_ahead(cursor: &mut Cursor<'_>, keyword: &str) -> bool {
    let mut ahead = cursor.clone();
    if ahead.word().is(keyword) && ahead.eat(b' ') {
        *cursor = ahead;
        return true;
    }
    false
}

/// `RETURN (…)` and its space, if it comes next.
pub(super) fn return_options(cursor: &mut Cursor<'_>) -> Parse<Option<SearchReturn>> {
    if !keyword_ahead(cursor, "RETURN") {
        return Ok(None);
    }
    let mut returns = SearchReturn::default();
    let mut whole_results = 0;
    cursor.list(OPTIONS_MAX, "Too many options", |cursor| {
        match cursor.word().as_str() {
            "MIN" => returns.min = true,
            "MAX" => returns.max = true,
            "ALL" => {
                returns.all = true;
                whole_results += 1;
            }
            "COUNT" => returns.count = true,
            "SAVE" => returns.save = true,
            "RELEVANCY" => returns.relevancy = true,
            "CONTEXT" => returns.context = true,
            "UPDATE" => returns.update = true,
            "PARTIAL" => {
                cursor.space()?;
                returns.partial = Some(find::partial(cursor)?);
                whole_results += 1;
            }
            _ => return Err(Fault::Syntax("Unknown SEARCH return option")),
        }
        Ok(())
    })?;
    if whole_results > 1 {
        // RFC 9394 §3.1.
        return Err(Fault::Syntax("Only one of ALL and PARTIAL, once"));
    }
    let nothing = SearchReturn {
        context: returns.context,
        ..SearchReturn::default()
    };
    if returns == nothing {
        returns.all = true;
    }
    cursor.space()?;
    Ok(Some(returns))
}

/// What is told where nothing else was asked for.
pub(super) fn only_all() -> SearchReturn {
    SearchReturn {
        all: true,
        ..SearchReturn::default()
    }
}

/// charset = atom / quoted.
pub(super) fn charset(cursor: &mut Cursor<'_>) -> Parse<String> {
    const NOT_A_CHARSET: Fault = Fault::Syntax("Expected a charset");
    let name = match cursor.peek() {
        Some(b'"') => cursor.string()?,
        _ => cursor.atom()?.as_bytes().into(),
    };
    let name = std::str::from_utf8(&name).map_err(|_| NOT_A_CHARSET)?;
    cursor.space()?;
    Ok(name.to_ascii_uppercase())
}

/// How many keys a search may still have.
struct Keys {
    left: usize,
}

impl Keys {
    fn all(&mut self, cursor: &mut Cursor<'_>) -> Parse<SearchKey> {
        let mut keys = vec![self.key(cursor, 0)?];
        while cursor.eat(b' ') {
            keys.push(self.key(cursor, 0)?);
        }
        Ok(conjunction(keys))
    }

    fn key(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Parse<SearchKey> {
        if depth > SEARCH_DEPTH_MAX {
            return Err(Fault::TooDeep);
        }
        self.left = self
            .left
            .checked_sub(1)
            .ok_or(Fault::TooMany("Too many search keys"))?;
        match cursor.peek() {
            Some(b'(') => self.parenthesised(cursor, depth),
            Some(b'0'..=b'9' | b'*' | b'$') => sequence_set(cursor).map(SearchKey::Sequence),
            _ => self.named(cursor, depth),
        }
    }

    fn parenthesised(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Parse<SearchKey> {
        let keys = cursor.list(SEARCH_KEYS_MAX, "Too many search keys", |cursor| {
            self.key(cursor, depth + 1)
        })?;
        if keys.is_empty() {
            return Err(Fault::Syntax("Expected a search key"));
        }
        Ok(conjunction(keys))
    }

    fn named(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Parse<SearchKey> {
        let word = cursor.word();
        let word = word.as_str();
        if let Some(key) = without_argument(word) {
            return Ok(key);
        }
        match word {
            "NOT" => {
                let key = self.operand(cursor, depth)?;
                Ok(SearchKey::Not(Box::new(key)))
            }
            "OR" => {
                let first = self.operand(cursor, depth)?;
                let second = self.operand(cursor, depth)?;
                Ok(SearchKey::Or(Box::new(first), Box::new(second)))
            }
            "FUZZY" => {
                let key = self.operand(cursor, depth)?;
                Ok(SearchKey::Fuzzy(Box::new(key)))
            }
            _ => match object::key(word, cursor)? {
                Some(key) => Ok(SearchKey::Object(key)),
                None => with_argument(cursor, word),
            },
        }
    }

    fn operand(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Parse<SearchKey> {
        cursor.space()?;
        self.key(cursor, depth + 1)
    }
}

/// Keys side by side are joined by "and".
fn conjunction(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.pop() {
        Some(key) if keys.is_empty() => key,
        Some(key) => {
            keys.push(key);
            SearchKey::And(keys)
        }
        None => SearchKey::All,
    }
}

fn without_argument(word: &str) -> Option<SearchKey> {
    let not = |key| SearchKey::Not(Box::new(key));
    Some(match word {
        "ALL" => SearchKey::All,
        "RECENT" => SearchKey::Recent,
        "OLD" => not(SearchKey::Recent),
        "NEW" => SearchKey::And(vec![SearchKey::Recent, not(SearchKey::Flag(Flags::SEEN))]),
        _ => match word.strip_prefix("UN").and_then(flag) {
            Some(flag) => not(SearchKey::Flag(flag)),
            None => SearchKey::Flag(flag(word)?),
        },
    })
}

fn flag(word: &str) -> Option<Flags> {
    Some(match word {
        "ANSWERED" => Flags::ANSWERED,
        "DELETED" => Flags::DELETED,
        "DRAFT" => Flags::DRAFT,
        "FLAGGED" => Flags::FLAGGED,
        "SEEN" => Flags::SEEN,
        _ => return None,
    })
}

fn with_argument(cursor: &mut Cursor<'_>, word: &str) -> Parse<SearchKey> {
    let rule: fn(&mut Cursor<'_>) -> Parse<SearchKey> = match word {
        "BCC" => |c| text(c).map(SearchKey::Bcc),
        "BODY" => |c| text(c).map(SearchKey::Body),
        "CC" => |c| text(c).map(SearchKey::Cc),
        "FROM" => |c| text(c).map(SearchKey::From),
        "SUBJECT" => |c| text(c).map(SearchKey::Subject),
        "TEXT" => |c| text(c).map(SearchKey::Text),
        "TO" => |c| text(c).map(SearchKey::To),
        "HEADER" => header,
        "KEYWORD" => |c| keyword(c).map(SearchKey::Keyword),
        "UNKEYWORD" => |c| Ok(SearchKey::Not(Box::new(SearchKey::Keyword(keyword(c)?)))),
        "BEFORE" => |c| date(c).map(SearchKey::Before),
        "ON" => |c| date(c).map(SearchKey::On),
        "SINCE" => |c| date(c).map(SearchKey::Since),
        "SENTBEFORE" => |c| date(c).map(SearchKey::SentBefore),
        "SENTON" => |c| date(c).map(SearchKey::SentOn),
        "SENTSINCE" => |c| date(c).map(SearchKey::SentSince),
        "OLDER" => |c| c.nz_number().map(SearchKey::Older),
        "YOUNGER" => |c| c.nz_number().map(SearchKey::Younger),
        "LARGER" => |c| c.number64().map(SearchKey::Larger),
        "SMALLER" => |c| c.number64().map(SearchKey::Smaller),
        "UID" => |c| sequence_set(c).map(SearchKey::Uid),
        "UIDAFTER" => |c| Ok(uids_between(c.nz_number()?.checked_add(1), Some(u32::MAX))),
        "UIDBEFORE" => |c| Ok(uids_between(Some(1), c.nz_number()?.checked_sub(1))),
        "MODSEQ" => modseq,
        _ => return Err(Fault::Syntax("Unknown search key")),
    };
    cursor.space()?;
    rule(cursor)
}

/// UIDAFTER and UIDBEFORE (RFC 9738 §3.2).
fn uids_between(first: Option<u32>, last: Option<u32>) -> SearchKey {
    let (first, last) = (first.unwrap_or(0), last.unwrap_or(0));
    if first == 0 || last == 0 {
        return SearchKey::Not(Box::new(SearchKey::All));
    }
    let number = SequenceNumber::Number;
    SearchKey::Uid(SequenceSet::Ranges(vec![(number(first), number(last))]))
}

fn text(cursor: &mut Cursor<'_>) -> Parse<Vec<u8>> {
    cursor.astring().map(|text| text.into_owned())
}

fn keyword(cursor: &mut Cursor<'_>) -> Parse<String> {
    cursor.atom().map(str::to_owned)
}

fn header(cursor: &mut Cursor<'_>) -> Parse<SearchKey> {
    let field = text(cursor)?;
    cursor.space()?;
    Ok(SearchKey::Header(field, text(cursor)?))
}

/// `[entry-name SP entry-type SP] modseq`: one counter serves all entries, so that they are read
/// and forgotten (RFC 7162 §3.1.5).
fn modseq(cursor: &mut Cursor<'_>) -> Parse<SearchKey> {
    if cursor.peek() == Some(b'"') {
        cursor.string()?;
        cursor.space()?;
        if !matches!(cursor.word().as_str(), "ALL" | "PRIV" | "SHARED") {
            return Err(Fault::Syntax("Expected all, priv or shared"));
        }
        cursor.space()?;
    }
    cursor.number64().map(SearchKey::ModSeq)
}
