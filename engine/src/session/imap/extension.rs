//! CAPABILITY, ENABLE, ID and NAMESPACE: which dialect is spoken (RFC 9051 §6.1.1, §6.3.1,
//! §6.3.10, RFC 5161, RFC 2971).

use super::Session;
use super::dialogue::Dialogue;
use super::io::Io;
use super::mailstore::Mailstore;
use super::reply::Reply;
use crate::wire::imap::capability::{self, Stage};
use crate::wire::imap::response::{data, text};
use std::fmt::Write;

impl<S: Mailstore> Session<S> {
    pub(super) fn capability<I: Io>(&mut self, dialogue: &mut Dialogue<I>) -> Reply {
        data::capability(dialogue.out(), &self.capabilities());
        Reply::done()
    }

    pub(super) fn capabilities(&self) -> String {
        let mut words = capability::words(Stage::AfterLogin, self.terms.append_bytes_max);
        if let Some(limit) = self.terms.messages_max {
            write!(words, " MESSAGELIMIT={limit}").expect("writing to a String cannot fail");
        }
        words
    }

    /// Says what of it was enabled now; what is unknown is ignored (RFC 5161 §3.1). RFC 9051
    /// §6.3.1 allows it while a mailbox is selected, too.
    pub(super) fn enable<I: Io>(&mut self, dialogue: &mut Dialogue<I>, names: &[String]) -> Reply {
        let mut now = Vec::new();
        for name in names {
            if name == "IMAP4REV2" && !std::mem::replace(&mut self.rev2, true) {
                now.push("IMAP4rev2");
            }
            if name == "UTF8=ACCEPT" && !std::mem::replace(&mut self.utf8_accept, true) {
                now.push("UTF8=ACCEPT");
            }
            if name.starts_with("METADATA") && self.enable_news() {
                now.push("METADATA");
            }
            now.extend(self.dialect.enable(name));
        }
        if self.utf8() {
            dialogue.receiver().enable_utf8();
        }
        data::enabled(dialogue.out(), &now);
        Reply::ok(text::ENABLED)
    }

    /// Names and quoted strings are UTF-8 (RFC 9051 §5.1, RFC 6855 §3).
    pub(super) fn utf8(&self) -> bool {
        self.rev2 || self.utf8_accept
    }

    /// Messages are shown as they came.
    pub(super) fn reads_utf8(&self) -> bool {
        self.utf8() || !self.terms.ascii_headers
    }

    pub(super) fn namespace<I: Io>(&mut self, dialogue: &mut Dialogue<I>) -> Reply {
        data::namespace(dialogue.out(), self.namespaces());
        Reply::done()
    }
}

/// The name of the product and no more: a version helps those who look for holes (RFC 2971 §5).
pub(super) fn id<I: Io>(dialogue: &mut Dialogue<I>) -> Reply {
    data::id(dialogue.out(), &[("name", "Ringpost")]);
    Reply::done()
}
