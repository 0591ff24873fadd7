//! An IMAP command as a type: everything of RFC 9051 and RFC 3501 that a client may say.
//!
//! Strings are octets as the client sent them, literals included; names of mailboxes are already
//! decoded to UTF-8 (modified UTF-7 or UTF-8, RFC 9051 §5.1). Literals of APPEND are not in here:
//! the parser stops before them and the session streams them.

use super::append::Append;
use super::find::{Find, Partial};
use super::notify::Notify;
use super::portion::Batches;
use super::resync::{Modifiers, Select};
use super::{metadata, quota, rights};
use store::mail::flags::Flags;

/// One tagged command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    pub tag: String,
    pub body: Body,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    // Any state.
    Capability,
    Noop,
    Logout,
    /// RFC 2971: field–value pairs, `None` for `NIL`.
    Id(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    // Not authenticated.
    StartTls,
    /// Mechanism in upper case; the initial response decoded from base64 (`=` is empty, RFC 4959).
    Authenticate {
        mechanism: String,
        initial: Option<Vec<u8>>,
    },
    Login {
        user: Vec<u8>,
        password: Vec<u8>,
    },
    // Authenticated.
    Enable(Vec<String>),
    Select {
        mailbox: String,
    },
    Examine {
        mailbox: String,
    },
    /// SELECT or EXAMINE with parameters.
    Resync(Select),
    /// RFC 6154 §3 USE attributes as sent, with the backslash.
    Create {
        mailbox: String,
        special_use: Vec<String>,
    },
    Delete {
        mailbox: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Subscribe {
        mailbox: String,
    },
    Unsubscribe {
        mailbox: String,
    },
    List(List),
    Lsub {
        reference: String,
        pattern: String,
    },
    Namespace,
    Status {
        mailbox: String,
        items: Vec<StatusItem>,
    },
    /// APPEND and REPLACE up to the first octets of a message; see [`super::receive`] for the rest.
    Append(Append),
    Idle,
    /// RFC 4978: the mechanism in upper case.
    Compress(String),
    /// RFC 8437.
    Unauthenticate,
    /// RFC 4314.
    Rights(rights::Command),
    /// RFC 9208.
    Quota(quota::Command),
    /// RFC 5464.
    Metadata(metadata::Command),
    /// RFC 5465.
    Notify(Notify),
    // Selected.
    Check,
    Close,
    Unselect,
    Expunge,
    UidExpunge(SequenceSet),
    Search {
        uid: bool,
        search: Search,
    },
    /// SORT, THREAD, ESEARCH and CANCELUPDATE.
    Find(Find),
    Fetch {
        uid: bool,
        set: SequenceSet,
        items: Vec<FetchItem>,
        modifiers: Modifiers,
    },
    /// RFC 10022.
    UidBatches(Batches),
    Store {
        uid: bool,
        set: SequenceSet,
        store: Store,
    },
    Copy {
        uid: bool,
        set: SequenceSet,
        mailbox: String,
    },
    Move {
        uid: bool,
        set: SequenceSet,
        mailbox: String,
    },
}

/// LIST with the options of RFC 5258, RFC 5819 and RFC 6154.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct List {
    pub select: ListSelect,
    pub reference: String,
    /// One for a plain LIST, more in parentheses.
    pub patterns: Vec<String>,
    pub returns: ListReturn,
    /// Whether any extended syntax was used: then `LIST "" ""` has no special meaning.
    pub extended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ListSelect {
    pub subscribed: bool,
    pub remote: bool,
    pub recursive_match: bool,
    pub special_use: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ListReturn {
    pub subscribed: bool,
    pub children: bool,
    pub special_use: bool,
    pub status: Option<Vec<StatusItem>>,
    /// RFC 8440.
    pub my_rights: bool,
    /// RFC 9590; empty: not asked for.
    pub metadata: Vec<metadata::Entry>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatusItem {
    Messages,
    UidNext,
    UidValidity,
    Unseen,
    Deleted,
    /// RFC 9208 §4.1.4: octets of messages with `\Deleted`.
    DeletedStorage,
    Size,
    /// RFC 3501 only.
    Recent,
    /// RFC 7889.
    AppendLimit,
    /// RFC 7162.
    HighestModSeq,
    /// RFC 8474.
    MailboxId,
}

/// Flags by name. `\Recent` is dropped; unknown `\…` flags are a parse error.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FlagList {
    pub flags: Flags,
    pub keywords: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Store {
    pub op: StoreOp,
    pub silent: bool,
    pub flags: FlagList,
    /// RFC 7162 §3.1.3.
    pub unchanged_since: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreOp {
    Set,
    Add,
    Remove,
}

/// Sequence numbers or UIDs, or `$` (RFC 5182).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SequenceSet {
    /// Ranges as sent, in any order; `u32::MAX` stands for `*` on its side only when `Star`.
    Ranges(Vec<(SequenceNumber, SequenceNumber)>),
    /// The saved result of the last SEARCH.
    Saved,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SequenceNumber {
    /// 1 and up.
    Number(u32),
    /// `*`: the largest in the mailbox.
    Star,
}

/// SEARCH with RETURN (RFC 4731, RFC 5182).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Search {
    /// `None`: no RETURN was said, and a rev1 session answers `* SEARCH`.
    pub returns: Option<SearchReturn>,
    /// As sent, upper case; `None` where not said.
    pub charset: Option<String>,
    pub key: SearchKey,
}

/// `RETURN ()` is `all` (RFC 9051 §6.4.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SearchReturn {
    pub min: bool,
    pub max: bool,
    pub all: bool,
    pub count: bool,
    pub save: bool,
    /// RFC 9394, RFC 5267 §4.4; never together with `all`.
    pub partial: Option<Partial>,
    /// RFC 6203 §4.
    pub relevancy: bool,
    /// RFC 5267 §4.2: a hint.
    pub context: bool,
    /// RFC 5267 §4.3.
    pub update: bool,
}

/// Texts are octets in the search's charset. Dates are days since 1970-01-01.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SearchKey {
    All,
    /// System flags: `ANSWERED DELETED DRAFT FLAGGED SEEN`, and their `UN…` by `Not`.
    Flag(Flags),
    Keyword(String),
    /// RFC 3501 only: `NEW` is `RECENT` and not `SEEN`, `OLD` is not `RECENT`.
    Recent,
    Bcc(Vec<u8>),
    Body(Vec<u8>),
    Cc(Vec<u8>),
    From(Vec<u8>),
    Subject(Vec<u8>),
    Text(Vec<u8>),
    To(Vec<u8>),
    Header(Vec<u8>, Vec<u8>),
    Before(i64),
    On(i64),
    Since(i64),
    SentBefore(i64),
    SentOn(i64),
    SentSince(i64),
    /// RFC 5032: seconds before now.
    Older(u32),
    Younger(u32),
    Larger(u64),
    Smaller(u64),
    Sequence(SequenceSet),
    Uid(SequenceSet),
    /// RFC 7162 §3.1.5.
    ModSeq(u64),
    /// RFC 6203.
    Fuzzy(Box<SearchKey>),
    /// RFC 8474, RFC 8514.
    Object(ObjectKey),
    Not(Box<SearchKey>),
    Or(Box<SearchKey>, Box<SearchKey>),
    And(Vec<SearchKey>),
}

/// SEARCH keys of SAVEDATE (RFC 8514 §4.3) and OBJECTID (RFC 8474 §6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ObjectKey {
    SavedBefore(i64),
    SavedOn(i64),
    SavedSince(i64),
    SaveDateSupported,
    EmailId(Vec<u8>),
    ThreadId(Vec<u8>),
}

/// FETCH items; the macros ALL, FAST and FULL come expanded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FetchItem {
    Uid,
    Flags,
    InternalDate,
    Rfc822Size,
    Envelope,
    /// `BODY`: the structure without extension data.
    Body,
    BodyStructure,
    /// `BODY[…]<…>` and `BODY.PEEK[…]<…>`.
    Section {
        peek: bool,
        section: Section,
        partial: Option<(u32, u32)>,
    },
    /// RFC 3501: `RFC822`, `RFC822.HEADER` (peeks), `RFC822.TEXT`; answered under their own names.
    Rfc822,
    Rfc822Header,
    Rfc822Text,
    /// `BINARY[…]<…>` and `BINARY.PEEK[…]<…>` (RFC 3516).
    Binary {
        peek: bool,
        part: Vec<u32>,
        partial: Option<(u32, u32)>,
    },
    BinarySize(Vec<u32>),
    ModSeq,
    /// RFC 8514.
    SaveDate,
    /// RFC 8474.
    EmailId,
    ThreadId,
    /// RFC 8970.
    Preview {
        lazy: bool,
    },
}

/// What stands between the brackets (RFC 9051 §6.4.5.1).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Section {
    /// Part numbers from 1; empty for the message itself.
    pub part: Vec<u32>,
    pub text: SectionText,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum SectionText {
    /// The whole part, or the whole message.
    #[default]
    All,
    Header,
    /// Field names as sent.
    HeaderFields(Vec<Vec<u8>>),
    HeaderFieldsNot(Vec<Vec<u8>>),
    Text,
    /// Only with part numbers.
    Mime,
}
