//! Whose mail it is: `[[domain]]`, `[[account]]` and `[[alias]]`.

use super::name;
use super::raw::{At, Notes, Section};
use super::{Base, Found};
use store::mail::address::Address;

/// A domain whose mail is kept here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Domain {
    /// A-labels in lower case.
    pub name: String,
    /// Takes what no account and no alias takes.
    pub catch_all: Option<Address>,
    /// What parts `user` from `detail` in `user+detail`; `None` where no such parting is wanted.
    pub delimiter: Option<char>,
    /// Accounts of this domain are made by `ringpostctl` too: a name that this file does not know
    /// may be one of them.
    pub accounts_elsewhere: bool,
}

/// A mailbox owner. Debug never shows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    pub address: Address,
    /// A stored secret, see `auth::secret`.
    pub password: String,
    /// Octets, `None` without limit.
    pub quota: Option<u64>,
}

/// Mail for each of `from` goes to all of `to`, here or at other hosts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alias {
    /// The local-part `*` is that of all names that nobody else takes.
    pub from: Vec<Address>,
    pub to: Vec<Address>,
    /// Of a list: who hears of members that cannot be reached (RFC 5321 §3.9.2).
    pub owner: Option<Address>,
}

/// The usual mark of a detail, RFC 5233.
pub const DELIMITER_DEFAULT: char = '+';

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("address", &self.address)
            .field("quota", &self.quota)
            .finish_non_exhaustive()
    }
}

pub(super) fn domain(mut section: Section<'_, '_>, notes: &mut Notes) -> Option<Found<Domain>> {
    let written = section.text_required(notes, "name", "\"example.org\"");
    let catch_all = section.text(notes, "catch_all");
    let delimiter = section.text(notes, "recipient_delimiter");
    let accounts_elsewhere = section.bool(notes, "accounts_elsewhere");
    section.finish(notes);
    let catch_all = catch_all.and_then(|text| address("catch_all", text, notes));
    let delimiter = match delimiter {
        Some(text) => read_delimiter(text, notes),
        None => Some(DELIMITER_DEFAULT),
    };
    let written = written?;
    let Some(name) = name::domain_name(written.value) else {
        let what = format!("name: \"{}\" is no domain name", written.value);
        notes.problem(written.line, what);
        return None;
    };
    Some(Found {
        line: written.line,
        value: Domain {
            name,
            catch_all,
            delimiter,
            accounts_elsewhere: accounts_elsewhere.is_some_and(|found| found.value),
        },
    })
}

pub(super) fn account(
    mut section: Section<'_, '_>,
    base: &Base,
    notes: &mut Notes,
) -> Option<Found<Account>> {
    let written = section.text_required(notes, "address", "\"alice@example.org\"");
    let password = section.text_required(notes, "password", "\"$argon2id$…\" or another hash");
    let quota = section.size(notes, "quota", 1 << 20, i64::MAX as u64);
    section.finish(notes);
    if let Some(password) = password {
        base.check_secret(password, notes);
    }
    let written = written?;
    Some(Found {
        line: written.line,
        value: Account {
            address: address("address", written, notes)?,
            password: password?.value.to_owned(),
            quota: quota.map(|found| found.value),
        },
    })
}

pub(super) fn alias(mut section: Section<'_, '_>, notes: &mut Notes) -> Option<Found<Alias>> {
    let line = section.line;
    let from = section.texts(notes, "from");
    let to = section.texts(notes, "to");
    let owner = section.text(notes, "owner");
    section.finish(notes);
    for (key, list) in [("from", &from), ("to", &to)] {
        if list.is_empty() {
            let what = format!("[[alias]] needs {key} = [\"name@example.org\"]");
            notes.problem(line, what);
        }
    }
    let mut addresses = |key, list: Vec<At<&str>>| -> Vec<Address> {
        list.into_iter()
            .filter_map(|text| address(key, text, notes))
            .collect()
    };
    let (from, to) = (addresses("from", from), addresses("to", to));
    let owner = owner.and_then(|text| Some((text.line, address("owner", text, notes)?)));
    if let Some((line, owner)) = owner.as_ref().filter(|(_, owner)| from.contains(owner)) {
        // RFC 5321 §3.9.2: what cannot be delivered must not go to the list again.
        notes.problem(*line, format!("owner: {owner} is the list itself"));
    }
    let owner = owner.map(|(_, owner)| owner);
    (!from.is_empty() && !to.is_empty()).then_some(Found {
        line,
        value: Alias { from, to, owner },
    })
}

pub(super) fn address(key: &str, text: At<&str>, notes: &mut Notes) -> Option<Address> {
    name::address(text.value)
        .map_err(|what| notes.problem(text.line, format!("{key}: {what}")))
        .ok()
}

/// One sign, or nothing for none. Letters and digits would cut ordinary names in two.
fn read_delimiter(text: At<&str>, notes: &mut Notes) -> Option<char> {
    let mut signs = text.value.chars();
    match (signs.next(), signs.next()) {
        (None, _) => None,
        (Some(sign), None) if "+-=_#/".contains(sign) => Some(sign),
        _ => {
            let what = "recipient_delimiter: expected one of + - = _ # / or \"\" for none";
            notes.problem(text.line, what);
            None
        }
    }
}
