//! The headers in which mail programs keep the state of a message in an mbox.

use crate::transfer::flags::{Marks, X_STATUS, flag_of};
use store::mail::flags::Flags;
use store::shard::is_uidl;

/// What the headers of one message said.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) marks: Marks,
    pub(super) uid: Option<u32>,
    /// UIDVALIDITY and the last UID, of `X-IMAPbase` or `X-IMAP`.
    pub(super) base: Option<(u32, u32)>,
    /// `X-IMAP` stands in a message about the folder, which is no mail.
    pub(super) is_about_the_folder: bool,
}

impl State {
    /// Takes a header in; `false` where it belongs to the message.
    pub(super) fn take(&mut self, line: &[u8]) -> bool {
        let Some(at) = memchr::memchr(b':', line) else {
            return false;
        };
        let (name, value) = line.split_at(at);
        let value = String::from_utf8_lossy(value.get(1..).unwrap_or_default());
        let value = value.trim();
        match name.to_ascii_lowercase().as_slice() {
            b"status" => self.status(value),
            b"x-status" => self.letters(value),
            b"x-keywords" | b"x-mozilla-keys" => self.keywords(value),
            b"x-uid" => self.uid = value.parse().ok(),
            b"x-uidl" => self.uidl(value),
            b"x-imapbase" => self.base = read_base(value),
            b"x-imap" => {
                self.base = read_base(value);
                self.is_about_the_folder = true;
            }
            b"x-mozilla-status" => self.mozilla(value),
            b"x-mozilla-status2" => {}
            _ => return false,
        }
        true
    }

    /// As qpopper and others write it. What could be none belongs to nobody.
    fn uidl(&mut self, value: &str) {
        if is_uidl(value.as_bytes()) {
            self.marks.uidl = Some(value.into());
        }
    }

    fn status(&mut self, value: &str) {
        if value.contains('R') {
            self.marks.add_flag(Flags::SEEN);
        }
        if value.contains('D') {
            self.marks.add_flag(Flags::DELETED);
        }
    }

    fn letters(&mut self, value: &str) {
        for flag in value
            .bytes()
            .filter_map(|letter| flag_of(&X_STATUS, letter))
        {
            self.marks.add_flag(flag);
        }
    }

    fn keywords(&mut self, value: &str) {
        for name in value.split_ascii_whitespace() {
            self.marks.add_keyword(name);
        }
    }

    /// Thunderbird's four hex digits: read, replied, marked, expunged but not yet compacted.
    fn mozilla(&mut self, value: &str) {
        let bits = u16::from_str_radix(value, 16).unwrap_or(0);
        for (bit, flag) in MOZILLA {
            if bits & bit != 0 {
                self.marks.add_flag(flag);
            }
        }
    }
}

/// `1795331235 0000000042 keywords`.
fn read_base(value: &str) -> Option<(u32, u32)> {
    let mut words = value.split_ascii_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

const MOZILLA: [(u16, Flags); 4] = [
    (1, Flags::SEEN),
    (2, Flags::ANSWERED),
    (4, Flags::FLAGGED),
    (8, Flags::DELETED),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_state_of_mutt_dovecot_and_thunderbird() {
        let mut state = State::default();
        assert!(state.take(b"Status: RO\n"));
        assert!(state.take(b"X-Status: AF\r\n"));
        assert!(state.take(b"x-keywords: $Label1 Junk  (no\n"));
        assert!(state.take(b"X-UID: 7\n"));
        assert!(state.take(b"X-UIDL: !8~\n"));
        assert!(state.take(b"X-IMAPbase: 12 0000000042 $Label1\n"));
        assert!(!state.take(b"Subject: Status\n"));
        assert!(!state.take(b"no header\n"));
        let flags = Flags::SEEN | Flags::ANSWERED | Flags::FLAGGED;
        assert_eq!(state.marks.flags, flags);
        assert_eq!(state.marks.keywords, ["$Label1", "Junk"]);
        assert_eq!(state.marks.uidl.as_deref(), Some("!8~"));
        assert_eq!((state.uid, state.base), (Some(7), Some((12, 42))));
        let mut state = State::default();
        assert!(state.take(b"X-Mozilla-Status: 0003\n"));
        assert_eq!(state.marks.flags, Flags::SEEN | Flags::ANSWERED);
    }
}
