//! What POP3 does to mailboxes: the table `[pop3]`.
//!
//! ```toml
//! [pop3]                          # each with its default
//! expire = "never"                # never; retrieved: deleted at the end of the session that
//!                                 # retrieved them; or "30d": so long after they were retrieved
//! login_delay = "0s"              # from one login of an account to its next
//! ```
//!
//! Both are announced by CAPA (RFC 2449 §6.5, §6.7), so that a client knows before it relies on
//! mail that stays.

use super::raw::{At, Notes, Section};
use super::{quantity, seconds};
use std::fmt::{self, Write};

/// The policy of POP3.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Pop3 {
    pub expire: Expire,
    /// From one login of an account to its next; 0: no wait.
    pub login_delay_secs: u32,
}

/// What becomes of messages that a session has retrieved whole.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Expire {
    /// They stay until somebody deletes them.
    #[default]
    Never,
    /// They are deleted when that session ends with QUIT.
    Retrieved,
    /// They are deleted at the first login so many days later.
    Days(u32),
}

pub(super) fn pop3(top: &mut Section<'_, '_>, notes: &mut Notes) -> Pop3 {
    let Some(mut section) = top.section(notes, "pop3", "[pop3]") else {
        return Pop3::default();
    };
    let expire = section.text(notes, "expire");
    let login_delay = section.seconds(notes, "login_delay", 0, LOGIN_DELAY_SECS_MAX);
    section.finish(notes);
    Pop3 {
        expire: expire.map_or_else(Expire::default, |text| read_expire(text, notes)),
        login_delay_secs: login_delay.map_or(0, |found| found.value),
    }
}

fn read_expire(text: At<&str>, notes: &mut Notes) -> Expire {
    match text.value {
        "never" => return Expire::Never,
        "retrieved" => return Expire::Retrieved,
        _ => {}
    }
    let days = seconds(text.value).map(|secs| (secs / DAY_SECS, secs % DAY_SECS));
    match days {
        Some((days @ 1..=DAYS_MAX, 0)) => Expire::Days(days),
        _ => {
            let what = format!(
                "expire: expected never, retrieved, or days from \"1d\" to \"{DAYS_MAX}d\", \
                 not \"{}\"",
                text.value
            );
            notes.problem(text.line, what);
            Expire::Never
        }
    }
}

/// Says what is not as it is by default, or dangerous.
pub(super) fn explain(pop3: &Pop3, out: &mut String) -> fmt::Result {
    match pop3.expire {
        Expire::Never => writeln!(out, "pop3: what is retrieved stays until it is deleted")?,
        Expire::Retrieved => writeln!(
            out,
            "pop3: what a session retrieves is deleted when it ends with QUIT, also if the client \
             was told to leave it"
        )?,
        Expire::Days(days) => writeln!(
            out,
            "pop3: what was retrieved {days} days ago or earlier is deleted at the next login"
        )?,
    }
    if pop3.login_delay_secs > 0 {
        let delay = quantity::show_seconds(pop3.login_delay_secs);
        writeln!(out, "  an account logs in once in {delay}")?;
    }
    Ok(())
}

const DAY_SECS: u32 = 86_400;

/// A hundred years.
const DAYS_MAX: u32 = 36_500;

/// A client that may come once a day is served well enough.
const LOGIN_DELAY_SECS_MAX: u32 = 86_400;
