//! Mailboxes that several accounts use: the table `[sharing]`.
//!
//! ```toml
//! [sharing]                               # each with its default
//! others = true                           # mailboxes of other users, with the rights they gave
//! shared = "shared@example.org"           # whose mailboxes are under Shared/; default: nobody's
//! administrators = ["admin@example.org"]  # set quotas, and have every right under Shared/
//! comment = "Mail of example.org"         # /shared/comment of the server; default: none
//! contact = "mailto:admin@example.org"    # /shared/admin of the server; default: none
//! ```

use super::group::{self, Group};
use super::raw::{Notes, Section};
use super::{Config, Parts, domain};
use std::fmt::{self, Write};
use store::mail::address::Address;

/// Who shares what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sharing {
    /// Users see what others let them.
    pub others: bool,
    /// The account whose mailboxes are shared.
    pub shared: Option<Address>,
    pub administrators: Vec<Address>,
    /// RFC 5464 §6.2.1, for who asks the server about itself.
    pub comment: Option<String>,
    pub contact: Option<String>,
    /// Whom a mailbox may be shared with at once.
    pub groups: Vec<Group>,
}

impl Sharing {
    /// The names of the groups that this account is a member of.
    pub fn groups_of(&self, user: &str) -> impl Iterator<Item = &str> {
        let is_in = move |group: &&Group| group.members.iter().any(|one| one.to_string() == user);
        let groups = self.groups.iter().filter(is_in);
        groups.map(|group| group.name.as_str())
    }
}

impl Default for Sharing {
    fn default() -> Sharing {
        Sharing {
            others: true,
            shared: None,
            administrators: Vec::new(),
            comment: None,
            contact: None,
            groups: Vec::new(),
        }
    }
}

pub(super) fn sharing(top: &mut Section<'_, '_>, parts: &Parts, notes: &mut Notes) -> Sharing {
    let groups = group::groups(top, parts, notes);
    let Some(mut section) = top.section(notes, "sharing", "[sharing]") else {
        return Sharing {
            groups,
            ..Sharing::default()
        };
    };
    let others = section.bool(notes, "others").is_none_or(|at| at.value);
    let shared = section.text(notes, "shared");
    let shared = shared.and_then(|text| {
        let address = domain::address("shared", text, notes)?;
        exists("shared", &address, text.line, parts, notes);
        Some(address)
    });
    let mut administrators = Vec::new();
    for text in section.texts(notes, "administrators") {
        if let Some(address) = domain::address("administrators", text, notes) {
            exists("administrators", &address, text.line, parts, notes);
            administrators.push(address);
        }
    }
    let mut words = |key| section.text(notes, key).map(|text| text.value.to_owned());
    let (comment, contact) = (words("comment"), words("contact"));
    section.finish(notes);
    Sharing {
        others,
        shared,
        administrators,
        comment,
        contact,
        groups,
    }
}

/// An account of this file, or of a domain whose accounts ringpostctl makes.
pub(super) fn exists(key: &str, address: &Address, line: usize, parts: &Parts, notes: &mut Notes) {
    let mut accounts = parts.accounts.iter();
    let mut domains = parts.domains.iter();
    let is_known = accounts.any(|found| found.value.address == *address);
    let is_elsewhere =
        domains.any(|found| found.value.name == address.domain && found.value.accounts_elsewhere);
    if !is_known && !is_elsewhere {
        let what = format!("{key} {address}: there is no [[account]] of this address");
        notes.problem(line, what);
    }
}

pub(super) fn explain(config: &Config, out: &mut String) -> fmt::Result {
    let sharing = &config.sharing;
    match sharing.others {
        true => writeln!(out, "users see mailboxes that others let them see")?,
        false => writeln!(out, "users see their own mailboxes only")?,
    }
    if let Some(shared) = &sharing.shared {
        writeln!(out, "mailboxes of {shared} are under Shared/")?;
    }
    for administrator in &sharing.administrators {
        writeln!(
            out,
            "{administrator} sets quotas and rules over what is shared"
        )?;
    }
    for Group { name, members } in &sharing.groups {
        let members: Vec<String> = members.iter().map(ToString::to_string).collect();
        let members = members.join(", ");
        writeln!(
            out,
            "what is shared with group:{name} is shared with {members}"
        )?;
    }
    Ok(())
}
