//! Groups of accounts, to which a mailbox may be shared as to one: `[[group]]`.
//!
//! ```toml
//! [[group]]
//! name    = "sales"                       # SETACL Inbox/Offers group:sales lrs
//! members = ["alice@example.org", "bob@example.org"]
//! ```
//!
//! Who is a member is asked when a session begins. A name is one word that a client can type as an
//! identifier (RFC 4314 §1.1): letters, digits, `.`, `_` and `-`; case means nothing.

use super::raw::{At, Notes, Section};
use super::sharing::exists;
use super::{Parts, domain};
use std::collections::BTreeSet;
use store::mail::address::Address;

/// Accounts under one name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// In small letters.
    pub name: String,
    pub members: Vec<Address>,
}

/// Octets of a name.
const NAME_BYTES_MAX: usize = 64;

/// Every `[[group]]` of the file.
pub(super) fn groups(top: &mut Section<'_, '_>, parts: &Parts, notes: &mut Notes) -> Vec<Group> {
    let mut names = BTreeSet::new();
    let mut groups = Vec::new();
    for section in top.sections(notes, "group", "[[group]]") {
        let line = section.line;
        let Some(group) = group(section, parts, notes) else {
            continue;
        };
        if !names.insert(group.name.clone()) {
            notes.problem(line, format!("[[group]] {}: named twice", group.name));
        }
        groups.push(group);
    }
    groups
}

fn group(mut section: Section<'_, '_>, parts: &Parts, notes: &mut Notes) -> Option<Group> {
    let line = section.line;
    let name = section.text_required(notes, "name", "\"sales\"");
    let members = section.texts(notes, "members");
    section.finish(notes);
    if members.is_empty() {
        notes.problem(line, "[[group]] needs members = [\"name@example.org\"]");
    }
    let members = members.into_iter().filter_map(|text| {
        let address = domain::address("members", text, notes)?;
        exists("members", &address, text.line, parts, notes);
        Some(address)
    });
    let members = members.collect();
    let name = read_name(name?, notes)?;
    Some(Group { name, members })
}

fn read_name(text: At<&str>, notes: &mut Notes) -> Option<String> {
    let is_sign = |sign: char| sign.is_ascii_alphanumeric() || "._-".contains(sign);
    let is_word = (1..=NAME_BYTES_MAX).contains(&text.value.len());
    if is_word && text.value.chars().all(is_sign) {
        return Some(text.value.to_ascii_lowercase());
    }
    let what = format!(
        "name: expected up to {NAME_BYTES_MAX} letters, digits, . _ and -, not {:?}",
        text.value
    );
    notes.problem(text.line, what);
    None
}
