//! Every upper bound of the IMAP wire, related to each other by assertions at compile time.
//!
//! Each is checked before anything is allocated for what it bounds.

use store::limit::MAILBOX_NAME_BYTES_MAX;

/// Octets of a command outside its literals before login. RFC 7162 §4 asks for 8,192.
pub const LINE_BYTES_MAX_BEFORE_LOGIN: usize = 8 << 10;

/// The same after login: room for a UID set of ten thousand holes.
pub const LINE_BYTES_MAX: usize = 64 << 10;

/// Octets of all literals of one command before login: LOGIN and ID need no more.
pub const LITERAL_BYTES_MAX_BEFORE_LOGIN: u64 = 4 << 10;

/// The same after login, the message of APPEND not counted.
pub const LITERAL_BYTES_MAX: u64 = 256 << 10;

/// Literals of one command before login.
pub const LITERALS_MAX_BEFORE_LOGIN: usize = 16;

/// Literals of one command after login.
pub const LITERALS_MAX: usize = 256;

/// Octets that are read and thrown away behind a refused command before the connection ends.
pub const SKIP_BYTES_MAX_BEFORE_LOGIN: u64 = 16 << 10;

/// The same after login.
pub const SKIP_BYTES_MAX: u64 = 1 << 20;

/// Messages and parts that an APPEND names in one stretch of text.
pub const APPEND_STEPS_MAX: usize = 4096;

/// Octets of messages that are read and thrown away when APPEND was refused and the client did
/// not wait for the go-ahead (RFC 7888 §4).
pub const SKIP_MESSAGE_BYTES_MAX: u64 = 64 << 20;

/// Octets of a tag.
pub const TAG_BYTES_MAX: usize = 128;

/// Parentheses, NOT and OR inside each other in a SEARCH: clients chain OR for every word and
/// header that the user searches.
pub const SEARCH_DEPTH_MAX: usize = 100;

/// Keys of one SEARCH, those inside others counted.
pub const SEARCH_KEYS_MAX: usize = 1024;

/// Criteria of one SORT.
pub const SORT_CRITERIA_MAX: usize = 16;

/// Ranges of one sequence set.
pub const SET_RANGES_MAX: usize = 16_384;

/// Items of one FETCH.
pub const FETCH_ITEMS_MAX: usize = 256;

/// Field names of one `HEADER.FIELDS`.
pub const HEADER_FIELDS_MAX: usize = 256;

/// Numbers of one part specifier (`1.2.3`).
pub const PART_DEPTH_MAX: usize = 128;

/// Event groups of one NOTIFY.
pub const EVENT_GROUPS_MAX: usize = 64;

/// Mailboxes that one event group names.
pub const WATCHED_NAMES_MAX: usize = 1024;

/// Patterns of one LIST.
pub const LIST_PATTERNS_MAX: usize = 64;

/// Words of one parenthesised option list, and capabilities of one ENABLE.
pub const OPTIONS_MAX: usize = 32;

/// Entries of one GETMETADATA or SETMETADATA (RFC 5464).
pub const ANNOTATIONS_MAX: usize = 256;

/// Field–value pairs of ID (RFC 2971 §3.3).
pub const ID_PAIRS_MAX: usize = 30;

/// Octets of an ID field name (RFC 2971 §3.3).
pub const ID_FIELD_BYTES_MAX: usize = 30;

/// Octets of an ID value (RFC 2971 §3.3).
pub const ID_VALUE_BYTES_MAX: usize = 1024;

/// Octets of a mailbox name or LIST pattern on the wire. The worst case of modified UTF-7 is five
/// octets (`&AOk-`) for two of UTF-8.
pub const NAME_WIRE_BYTES_MAX: usize = MAILBOX_NAME_BYTES_MAX * 3;

/// What one command may cost, by state of the session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    pub line_bytes_max: usize,
    pub literal_bytes_max: u64,
    pub literals_max: usize,
    pub skip_bytes_max: u64,
}

impl Limits {
    pub const BEFORE_LOGIN: Limits = Limits {
        line_bytes_max: LINE_BYTES_MAX_BEFORE_LOGIN,
        literal_bytes_max: LITERAL_BYTES_MAX_BEFORE_LOGIN,
        literals_max: LITERALS_MAX_BEFORE_LOGIN,
        skip_bytes_max: SKIP_BYTES_MAX_BEFORE_LOGIN,
    };

    pub const AFTER_LOGIN: Limits = Limits {
        line_bytes_max: LINE_BYTES_MAX,
        literal_bytes_max: LITERAL_BYTES_MAX,
        literals_max: LITERALS_MAX,
        skip_bytes_max: SKIP_BYTES_MAX,
    };

    /// A whole command: lines, literals, and the CRLF behind the last announcement.
    #[must_use]
    pub const fn held_bytes_max(&self) -> usize {
        self.line_bytes_max + self.literal_bytes_max as usize + 2
    }
}

const _: () = assert!(LINE_BYTES_MAX_BEFORE_LOGIN >= 8192);
const _: () = assert!(LINE_BYTES_MAX_BEFORE_LOGIN < LINE_BYTES_MAX);
const _: () = assert!(LITERAL_BYTES_MAX_BEFORE_LOGIN < LITERAL_BYTES_MAX);
const _: () = assert!(SKIP_BYTES_MAX_BEFORE_LOGIN >= LITERAL_BYTES_MAX_BEFORE_LOGIN);
const _: () = assert!(SKIP_BYTES_MAX >= LITERAL_BYTES_MAX);
const _: () = assert!(LINE_BYTES_MAX > NAME_WIRE_BYTES_MAX * 2);
