//! What a mailbox is called and what it is for: the nouns that the parsers share with the tree.

/// The hierarchy separator (RFC 9051 §5.1.1).
pub const SEPARATOR: char = '/';

/// RFC 6154 attributes as a set of bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpecialUse(pub u16);

impl SpecialUse {
    pub const NONE: SpecialUse = SpecialUse(0);
    pub const ALL: SpecialUse = SpecialUse(1);
    pub const ARCHIVE: SpecialUse = SpecialUse(1 << 1);
    pub const DRAFTS: SpecialUse = SpecialUse(1 << 2);
    pub const FLAGGED: SpecialUse = SpecialUse(1 << 3);
    pub const JUNK: SpecialUse = SpecialUse(1 << 4);
    pub const SENT: SpecialUse = SpecialUse(1 << 5);
    pub const TRASH: SpecialUse = SpecialUse(1 << 6);
}
