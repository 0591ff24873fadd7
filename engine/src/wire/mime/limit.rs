//! Every upper bound of the MIME room; what lies beyond one is cut, never refused.

/// Multiparts and messages inside each other; a deeper one is an `application/octet-stream` leaf.
pub const DEPTH_MAX: usize = 100;

/// Parts in one message, multiparts counted; the last one holds the rest of its parent.
pub const PARTS_MAX: usize = 10_000;

/// Length of a boundary, in octets; RFC 2046 §5.1.1 allows 70.
pub const BOUNDARY_BYTES_MAX: usize = 256;

/// Start of a line that decides what the line is, in octets.
pub const LINE_START_BYTES: usize = 512;

/// The largest header that a session needs to hold, in octets: what lies beyond it, who reads a
/// header from memory need not see. Scanner, selection and search need none in memory at all.
pub const HEADER_BYTES_MAX: usize = 1 << 20;

/// Octets kept of one header field.
pub const FIELD_BYTES_MAX: usize = 192 << 10;

/// Octets kept of the `Content-…` fields of one header, and as many of its envelope.
pub const HEAD_BYTES_MAX: usize = 256 << 10;

/// Memory that a structure may take, about: a part that would exceed it is not opened, its octets
/// stay with the part before it.
pub const HELD_BYTES_MAX: usize = 4 << 20;

/// Parameters of one field, sections of RFC 2231 counted.
pub const PARAMS_MAX: usize = 1_000;

/// Addresses that one ENVELOPE shows, and all nested ones of one BODYSTRUCTURE together.
pub const ADDRESSES_MAX: usize = 10_000;

/// Languages shown of one Content-Language field.
pub const LANGUAGES_MAX: usize = 100;

/// Octets of one header field that a search takes as one value; a longer field is searched in
/// pieces of this size.
pub const VALUE_BYTES_MAX: usize = 64 << 10;

/// Folded text that a search gathers before it looks, in octets.
pub const WINDOW_BYTES: usize = 16 << 10;

/// Length of an attachment that something outside makes text of, decoded, in octets; a longer one
/// has none.
pub const ATTACHMENT_BYTES_MAX: usize = 16 << 20;

/// Octets of such attachments that one search holds of one message; those behind are not read.
pub const ATTACHMENTS_BYTES_MAX: usize = 32 << 20;

/// Texts that one search of a body looks for: its work is the text as often as this.
pub const NEEDLES_MAX: usize = 64;

/// Words of a fuzzy text: more are not looked for.
pub const FUZZY_WORDS_MAX: usize = 16;

/// Characters of a word that fuzzy matching looks at.
pub const WORD_CHARS_MAX: usize = 64;

/// Length of a text to search for, folded, in octets.
pub const NEEDLE_BYTES_MAX: usize = 64 << 10;

const _: () = assert!(BOUNDARY_BYTES_MAX + 4 <= LINE_START_BYTES);
const _: () = assert!(FIELD_BYTES_MAX < HEAD_BYTES_MAX);
const _: () = assert!(HEAD_BYTES_MAX < HEADER_BYTES_MAX);
const _: () = assert!(HEAD_BYTES_MAX * 2 < HELD_BYTES_MAX);
