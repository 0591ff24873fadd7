//! What a client that was here before says of it: parameters of SELECT and modifiers of FETCH
//! (RFC 7162 §3.1.4, §3.1.8, §3.2.5, §3.2.6; RFC 9394 §3.3).

use super::find::Partial;
use store::mail::uidset::UidSet;

/// SELECT or EXAMINE with parameters (RFC 4466 §2.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Select {
    pub mailbox: String,
    /// EXAMINE.
    pub read_only: bool,
    pub condstore: bool,
    pub resync: Option<Resync>,
}

/// `QRESYNC (…)`: the state of the client's cache.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resync {
    pub uid_validity: u32,
    pub modseq: u64,
    /// `None`: every message up to the present UIDNEXT.
    pub known_uids: Option<UidSet>,
    pub matched: Option<Matched>,
}

/// Sequence numbers and the UIDs they had: the two ascend in step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Matched {
    pub numbers: UidSet,
    pub uids: UidSet,
}

/// What stands in parentheses behind the items of FETCH.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Modifiers {
    pub changed_since: Option<u64>,
    /// Expunges since then are asked for, too (UID FETCH with QRESYNC).
    pub vanished: bool,
    pub partial: Option<Partial>,
}
