//! How mail is shown over IMAP: the table `[imap]`.
//!
//! ```toml
//! [imap]                          # each with its default
//! ascii_headers = false           # clients that did not enable UTF8=ACCEPT or IMAP4rev2 get
//!                                 # headers in ASCII instead of the octets that came (RFC 6858)
//! ```
//!
//! By default a message is shown as it came: what keeps mailboxes in step or moves mail elsewhere
//! enables neither, and would keep changed messages.

use super::raw::{Notes, Section};
use std::fmt::{self, Write};

/// The policy of IMAP.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Imap {
    /// Who does not read UTF-8 is shown headers in ASCII.
    pub ascii_headers: bool,
}

pub(super) fn imap(top: &mut Section<'_, '_>, notes: &mut Notes) -> Imap {
    let Some(mut section) = top.section(notes, "imap", "[imap]") else {
        return Imap::default();
    };
    let ascii_headers = section.bool(notes, "ascii_headers");
    section.finish(notes);
    Imap {
        ascii_headers: ascii_headers.is_some_and(|at| at.value),
    }
}

pub(super) fn explain(imap: &Imap, out: &mut String) -> fmt::Result {
    if imap.ascii_headers {
        writeln!(
            out,
            "imap: clients that do not read UTF-8 are shown headers in ASCII; programs that copy \
             mail copy those"
        )?;
    }
    Ok(())
}
