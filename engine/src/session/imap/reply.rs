//! What a command comes to: OK, NO or BAD, with the code that says who must act
//! (RFC 9051 §7.1, RFC 5530).

use crate::wire::imap::fault::Fault;
use crate::wire::imap::name::NameFault;
use crate::wire::imap::response::code::{self, Code};
use crate::wire::imap::response::{Condition, text};
use crate::wire::mime::charset;
use store::error::{ChangeError, LogError};
use store::mail::id::UidValidity;
use store::mail::uidset::UidSet;

/// The status response that ends a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Reply {
    condition: Condition,
    code: Held,
    text: &'static str,
}

/// A code that owns what it names.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Held {
    None,
    Code(Code<'static>),
    CopyUid {
        uid_validity: UidValidity,
        from: UidSet,
        to: UidSet,
    },
    Modified(UidSet),
    AppendUid(UidValidity, UidSet),
    BadUrl(Vec<u8>),
}

/// Texts that only this room says; the others are in `wire::imap::response::text`.
pub(super) mod say {
    pub(in crate::session::imap) const EXPECTED_DONE: &str = "Expected DONE";
    pub(in crate::session::imap) const RECURSIVE_MATCH: &str =
        "RECURSIVEMATCH needs another selection option";
    pub(in crate::session::imap) const BAD_URL: &str = "Nothing was appended: no such part";
    pub(in crate::session::imap) const ENABLE_UTF8_FIRST: &str = "ENABLE UTF8=ACCEPT first";
    pub(in crate::session::imap) const CHARSET_IS_UTF8: &str = "Texts are UTF-8: name no charset";
    pub(in crate::session::imap) const REPLACE_DONE: &str = "Replace completed";
    pub(in crate::session::imap) const TOO_MANY_MESSAGES: &str = "Too many messages at once";
    pub(in crate::session::imap) const EMPTY_MESSAGE: &str = "A message cannot be empty";
    pub(in crate::session::imap) const NOTHING_THERE: &str = "None of these messages exists";
    pub(in crate::session::imap) const FIRST_UNSEEN: &str = "The first unseen message";
    pub(in crate::session::imap) const UIDS_VALID: &str = "UIDs are valid";
    pub(in crate::session::imap) const NEXT_UID: &str = "The next UID";
    pub(in crate::session::imap) const FLAGS_LAST: &str = "Flags that last";
    pub(in crate::session::imap) const ONE_NAME: &str = "Whatever it is called";
    pub(in crate::session::imap) const UNKNOWN_COMPRESSION: &str = "Only DEFLATE is known";
    pub(in crate::session::imap) const COMPRESSED: &str = "Compressed already";
    pub(in crate::session::imap) const COMPRESS_GO: &str = "Compressed from here on";
    pub(in crate::session::imap) const STILL_HERE: &str = "Still here";
    pub(in crate::session::imap) const HIGHEST_MODSEQ: &str = "The highest MODSEQ";
    pub(in crate::session::imap) const VANISHED_ALONE: &str =
        "VANISHED is for UID FETCH with CHANGEDSINCE after ENABLE QRESYNC";
    pub(in crate::session::imap) const ENABLE_QRESYNC: &str = "ENABLE QRESYNC first";
    pub(in crate::session::imap) const NUMBERS: &str = "Message numbers are off; use UIDs";
    pub(in crate::session::imap) const MESSAGE_LIMIT: &str = "Too many messages for one command";
    pub(in crate::session::imap) const SMALL_BATCHES: &str = "A batch has at least 500 messages";
    pub(in crate::session::imap) const MANY_BATCHES: &str = "Batches of 100000 messages at most";
    pub(in crate::session::imap) const BATCHES_UPWARDS: &str = "Batches are counted upwards";
    pub(in crate::session::imap) const UNKNOWN_EVENT: &str = "No such event is told here";
    pub(in crate::session::imap) const TOO_MANY_WATCHED: &str = "Too many mailboxes to watch";
    pub(in crate::session::imap) const OTHERS_UNWATCHED: &str =
        "Mailboxes of others cannot be watched";
    pub(in crate::session::imap) const EXPUNGE_FAILED: &str =
        "Closed; the deleted messages could not be expunged";
}

impl Reply {
    pub(super) const fn ok(text: &'static str) -> Reply {
        Reply {
            condition: Condition::Ok,
            code: Held::None,
            text,
        }
    }

    pub(super) const fn no(text: &'static str) -> Reply {
        Reply {
            condition: Condition::No,
            code: Held::None,
            text,
        }
    }

    pub(super) const fn bad(text: &'static str) -> Reply {
        Reply {
            condition: Condition::Bad,
            code: Held::None,
            text,
        }
    }

    /// Everything is said already.
    pub(super) const fn silent() -> Reply {
        Reply::ok("")
    }

    pub(super) const fn done() -> Reply {
        Reply::ok(text::DONE)
    }

    #[must_use]
    pub(super) fn with(self, code: Code<'static>) -> Reply {
        Reply {
            code: Held::Code(code),
            ..self
        }
    }

    /// COPYUID (RFC 4315 §3): the two sets are read in step, so both ascend.
    #[must_use]
    pub(super) fn with_copy_uid(
        self,
        uid_validity: UidValidity,
        from: UidSet,
        to: UidSet,
    ) -> Reply {
        Reply {
            code: Held::CopyUid {
                uid_validity,
                from,
                to,
            },
            ..self
        }
    }

    /// MODIFIED (RFC 7162 §3.1.3).
    #[must_use]
    pub(super) fn with_modified(self, set: UidSet) -> Reply {
        Reply {
            code: Held::Modified(set),
            ..self
        }
    }

    /// APPENDUID (RFC 4315 §3, RFC 3502).
    #[must_use]
    pub(super) fn with_append_uid(self, uid_validity: UidValidity, uids: UidSet) -> Reply {
        Reply {
            code: Held::AppendUid(uid_validity, uids),
            ..self
        }
    }

    /// BADURL (RFC 4469 §4.1).
    #[must_use]
    pub(super) fn with_bad_url(self, url: &[u8]) -> Reply {
        Reply {
            code: Held::BadUrl(url.to_vec()),
            ..self
        }
    }

    /// OK without a code.
    pub(super) fn is_plain_ok(&self) -> bool {
        self.condition == Condition::Ok && self.code == Held::None
    }

    /// RFC 9586 §3.
    pub(super) fn uid_required() -> Reply {
        Reply::bad(say::NUMBERS).with(Code::UidRequired)
    }

    pub(super) fn is_no(&self) -> bool {
        self.condition == Condition::No
    }

    pub(super) fn is_bad(&self) -> bool {
        self.condition == Condition::Bad
    }

    pub(super) const fn not_selected() -> Reply {
        Reply::bad(text::SELECT_FIRST)
    }

    pub(super) const fn out_of_range() -> Reply {
        Reply::bad(text::NO_SUCH_MESSAGE)
    }

    pub(super) const fn read_only() -> Reply {
        Reply::no(text::MAILBOX_READ_ONLY)
    }

    pub(super) fn no_mailbox() -> Reply {
        Reply::no(text::NO_MAILBOX).with(Code::Nonexistent)
    }

    /// The client may CREATE it and try again (RFC 9051 §6.3.12, §6.4.7).
    pub(super) fn try_create() -> Reply {
        Reply::no(text::NO_MAILBOX_CREATE).with(Code::TryCreate)
    }

    pub(super) fn expunge_issued() -> Reply {
        Reply::no(text::MESSAGE_GONE).with(Code::ExpungeIssued)
    }

    pub(super) fn bad_charset() -> Reply {
        Reply::no(text::BAD_CHARSET).with(Code::BadCharset(charset::NAMES))
    }

    pub(super) fn malformed(fault: Fault) -> Reply {
        let reply = Reply::bad(fault.text());
        if fault.is_too_big() {
            reply.with(Code::TooBig)
        } else {
            reply
        }
    }

    pub(super) fn bad_name(fault: NameFault) -> Reply {
        let code = if fault.is_limit() {
            Code::Limit
        } else {
            Code::Cannot
        };
        Reply::no(fault.text()).with(code)
    }

    /// NO for a change that the store did not make.
    pub(super) fn failed(error: &ChangeError) -> Reply {
        match error {
            ChangeError::NoAccount | ChangeError::NoMailbox => Reply::no_mailbox(),
            ChangeError::AlreadyExists => Reply::no(text::MAILBOX_EXISTS).with(Code::AlreadyExists),
            ChangeError::Cannot(why) => Reply::no(why).with(Code::Cannot),
            ChangeError::Limit(what) => Reply::no(what).with(Code::Limit),
            ChangeError::Damaged => Reply::no(text::DAMAGED).with(Code::ServerBug),
            ChangeError::OverQuota => Reply::no(text::OVER_QUOTA).with(Code::OverQuota),
            ChangeError::Log(LogError::Full) => Reply::no(text::STORE_FULL).with(Code::Unavailable),
            ChangeError::Log(LogError::ReadOnly) => {
                Reply::no(text::STORE_READ_ONLY).with(Code::Unavailable)
            }
            ChangeError::Log(LogError::Closed) => Reply::no(text::SHUTDOWN).with(Code::Unavailable),
        }
    }

    /// `tag OK [CODE] text`.
    pub(super) fn write(&self, out: &mut Vec<u8>, tag: &str) {
        if self.text.is_empty() {
            return;
        }
        code::tagged(out, tag, self.condition, self.code.lend(), self.text);
    }

    /// `* OK [CODE] text`.
    pub(super) fn write_untagged(&self, out: &mut Vec<u8>) {
        code::untagged(out, self.condition, self.code.lend(), self.text);
    }
}

impl Held {
    fn lend(&self) -> Option<Code<'_>> {
        match self {
            Held::None => None,
            Held::Code(code) => Some(*code),
            Held::CopyUid {
                uid_validity,
                from,
                to,
            } => Some(Code::CopyUid(*uid_validity, from, to)),
            Held::Modified(set) => Some(Code::Modified(set)),
            Held::AppendUid(uid_validity, uids) => Some(Code::AppendUid(*uid_validity, uids)),
            Held::BadUrl(url) => Some(Code::BadUrl(url)),
        }
    }
}
