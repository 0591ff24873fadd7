//! `[[rewrite]]`: senders and recipients under other names.
//!
//! ```toml
//! [[rewrite]]
//! what      = "sender"                  # sender recipient both
//! direction = "outbound"                # outbound: what leaves this host; inbound: all that comes
//! from      = ["@host.internal", "*.host.internal"]
//! to        = "$1@example.org"          # $1 is the local-part as it was
//! headers   = true                      # outbound: From, Reply-To, To and Cc, too
//! ```
//!
//! Each address is rewritten once, by the most exact pattern that fits, before its route is looked
//! up; what comes of it is not looked at again, so that no two tables can play ball.

use super::Found;
use super::name::{self, domain_name};
use super::pattern::{self, fitting, text_of};
use super::raw::{At, Notes, Section};
use std::collections::BTreeMap;
use std::fmt;
use store::mail::address::Address;

/// One table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rewrite {
    pub senders: bool,
    pub recipients: bool,
    pub direction: Direction,
    /// Patterns.
    pub from: Vec<String>,
    pub to: Rewritten,
    /// Addresses in the header, too.
    pub headers: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Direction {
    /// Of mail that leaves this host.
    Outbound,
    /// Of all mail that comes.
    Inbound,
}

/// What an address becomes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rewritten {
    /// `None`: the local-part as it was.
    pub local: Option<String>,
    pub domain: String,
}

/// Whose address it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Whose {
    Sender,
    Recipient,
}

/// All tables, to be asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rewrites {
    pub list: Vec<Rewrite>,
    maps: BTreeMap<(Whose, Direction), BTreeMap<String, usize>>,
}

impl Rewrites {
    /// What an address of the envelope becomes; `None`: it stays.
    #[must_use]
    pub fn envelope(&self, whose: Whose, way: Direction, address: &Address) -> Option<Address> {
        self.find(whose, way, address, |_| true)
    }

    /// What an address in the header of mail that leaves becomes; `None`: it stays.
    #[must_use]
    pub fn header(&self, whose: Whose, address: &Address) -> Option<Address> {
        self.find(whose, Direction::Outbound, address, |table| table.headers)
    }

    /// Does any table change headers?
    #[must_use]
    pub fn change_headers(&self) -> bool {
        self.list.iter().any(|table| table.headers)
    }

    fn find(
        &self,
        whose: Whose,
        way: Direction,
        address: &Address,
        is_meant: impl Fn(&Rewrite) -> bool,
    ) -> Option<Address> {
        let map = self.maps.get(&(whose, way))?;
        let text = text_of(Some(address));
        let found = fitting(&text).find_map(|pattern| map.get(&*pattern))?;
        let table = self.list.get(*found).filter(|table| is_meant(table))?;
        let rewritten = table.to.of(address);
        (rewritten != *address).then_some(rewritten)
    }

    /// Puts the tables in order; a pattern that stands twice is a fault.
    pub(super) fn new(tables: Vec<Found<Rewrite>>, notes: &mut Notes) -> Rewrites {
        let mut rewrites = Rewrites::default();
        for (place, table) in tables.into_iter().enumerate() {
            let of = |is_meant, whose| Some(whose).filter(|_| is_meant);
            let senders = of(table.value.senders, Whose::Sender);
            let recipients = of(table.value.recipients, Whose::Recipient);
            for whose in [senders, recipients].into_iter().flatten() {
                let map = rewrites.maps.entry((whose, table.value.direction));
                let map = map.or_default();
                for pattern in &table.value.from {
                    if map.insert(pattern.clone(), place).is_some() {
                        let what = format!("from: {pattern} is rewritten by another table already");
                        notes.problem(table.line, what);
                    }
                }
            }
            rewrites.list.push(table.value);
        }
        rewrites
    }
}

impl Rewritten {
    fn of(&self, address: &Address) -> Address {
        let local = self.local.as_ref().unwrap_or(&address.local);
        Address::new(local.clone(), self.domain.clone())
    }
}

impl fmt::Display for Rewritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.local.as_deref().unwrap_or(KEPT);
        write!(f, "{local}@{}", self.domain)
    }
}

pub(super) fn rewrite(mut section: Section<'_, '_>, notes: &mut Notes) -> Option<Found<Rewrite>> {
    let line = section.line;
    let what = section.text_required(notes, "what", "\"sender\", \"recipient\" or \"both\"");
    let direction = section.text_required(notes, "direction", "\"outbound\" or \"inbound\"");
    let from = section.texts(notes, "from");
    let to = section.text_required(notes, "to", "\"$1@example.org\" or an address");
    let headers = section.bool(notes, "headers");
    section.finish(notes);
    if from.is_empty() {
        let what = "[[rewrite]] needs from = [\"@host.internal\"], patterns of addresses";
        notes.problem(line, what);
    }
    let from: Vec<String> = from
        .into_iter()
        .filter_map(|text| pattern::read("from", text, notes))
        .collect();
    let (senders, recipients) = whose(what?, notes)?;
    let direction = read_direction(direction?, notes)?;
    if let Some(at) = headers.filter(|at| at.value && direction == Direction::Inbound) {
        let what = "headers = true is for direction = \"outbound\": mail of others stays as it is";
        notes.problem(at.line, what);
    }
    let value = Rewrite {
        senders,
        recipients,
        direction,
        from,
        to: rewritten(to?, notes)?,
        headers: headers.is_some_and(|at| at.value),
    };
    check_itself(line, &value, notes);
    Some(Found { line, value })
}

fn whose(what: At<&str>, notes: &mut Notes) -> Option<(bool, bool)> {
    match what.value {
        "sender" => Some((true, false)),
        "recipient" => Some((false, true)),
        "both" => Some((true, true)),
        other => {
            let expected = "expected \"sender\", \"recipient\" or \"both\"";
            notes.problem(what.line, format!("what: {expected}, not \"{other}\""));
            None
        }
    }
}

fn read_direction(text: At<&str>, notes: &mut Notes) -> Option<Direction> {
    match text.value {
        "outbound" => Some(Direction::Outbound),
        "inbound" => Some(Direction::Inbound),
        other => {
            let expected = "expected \"outbound\" or \"inbound\"";
            notes.problem(text.line, format!("direction: {expected}, not \"{other}\""));
            None
        }
    }
}

fn rewritten(text: At<&str>, notes: &mut Notes) -> Option<Rewritten> {
    let found = match text.value.strip_prefix(KEPT) {
        Some(rest) => rest
            .strip_prefix('@')
            .and_then(domain_name)
            .map(|domain| Rewritten {
                local: None,
                domain,
            }),
        None => name::address(text.value).ok().map(|address| Rewritten {
            local: Some(address.local),
            domain: address.domain,
        }),
    };
    if found.is_none() {
        let what = format!(
            "to: expected \"$1@example.org\" or an address, not \"{}\"",
            text.value
        );
        notes.problem(text.line, what);
    }
    found
}

/// A table that changes nothing is a slip of the pen.
fn check_itself(line: usize, table: &Rewrite, notes: &mut Notes) {
    let own = match &table.to.local {
        Some(local) => format!("{local}@{}", table.to.domain),
        None => format!("@{}", table.to.domain),
    };
    if table.from.contains(&own) {
        notes.problem(line, format!("from: {own} becomes itself"));
    }
}

/// Stands for the local-part as it was.
const KEPT: &str = "$1";

#[cfg(test)]
mod tests {
    use super::super::raw;
    use super::*;

    fn read(text: &str) -> (Rewrites, Vec<String>) {
        let mut notes = Notes::new(text);
        let document = raw::document(text, &mut notes);
        let mut top = Section::top(document.get_ref());
        let tables = top.sections(&mut notes, "rewrite", "[[rewrite]]");
        let read = |section| rewrite(section, &mut notes);
        let tables: Vec<_> = tables.into_iter().filter_map(read).collect();
        let rewrites = Rewrites::new(tables, &mut notes);
        let told = notes.problems.iter();
        let told = told.map(|problem| format!("{}: {}", problem.line, problem.what));
        (rewrites, told.collect())
    }

    const TABLES: &str = r#"
[[rewrite]]
what = "sender"
direction = "outbound"
from = ["@host.internal", "*.host.internal"]
to = "$1@example.org"
headers = true
[[rewrite]]
what = "both"
direction = "outbound"
from = "root@host.internal"
to = "ops@example.org"
[[rewrite]]
what = "recipient"
direction = "inbound"
from = "@old.example"
to = "$1@new.example"
"#;

    #[test]
    fn the_most_exact_pattern_rewrites_once() {
        let (rewrites, told) = read(TABLES);
        assert_eq!(told, [""; 0]);
        let at = |text: &str| Address::split(text).unwrap();
        let out = |whose, text: &str| {
            let found = rewrites.envelope(whose, Direction::Outbound, &at(text));
            found.map(|address| address.to_string())
        };
        use Whose::{Recipient, Sender};
        assert_eq!(out(Sender, "Ann@host.internal").unwrap(), "Ann@example.org");
        assert_eq!(
            out(Sender, "bo+x@a.host.internal").unwrap(),
            "bo+x@example.org"
        );
        assert_eq!(
            out(Sender, "ROOT@host.internal").unwrap(),
            "ops@example.org"
        );
        assert_eq!(
            out(Recipient, "root@host.internal").unwrap(),
            "ops@example.org"
        );
        assert_eq!(out(Recipient, "ann@host.internal"), None);
        assert_eq!(out(Sender, "ann@old.example"), None);
        let inbound = rewrites.envelope(Recipient, Direction::Inbound, &at("a@old.example"));
        assert_eq!(inbound.unwrap(), at("a@new.example"));
        let header = |text: &str| rewrites.header(Sender, &at(text));
        assert_eq!(header("ann@host.internal").unwrap(), at("ann@example.org"));
        assert_eq!(
            header("root@host.internal"),
            None,
            "its table leaves headers alone"
        );
    }

    #[test]
    fn wrong_tables_are_named_with_their_line() {
        let table = |more: &str| {
            let text = format!("[[rewrite]]\n{more}\n");
            read(&text).1.join("\n")
        };
        let told = table("what = \"senders\"\ndirection = \"out\"\nfrom = \"x\"\nto = \"$1\"");
        assert!(told.starts_with("4: from: \"x\" is no address"), "{told}");
        assert!(told.contains("2: what: expected"), "{told}");
        let told = table("what = \"both\"\ndirection = \"outbound\"\nfrom = \"@x.y\"\nto = \"$1\"");
        assert_eq!(
            told,
            "5: to: expected \"$1@example.org\" or an address, not \"$1\""
        );
        let told =
            table("what = \"both\"\ndirection = \"outbound\"\nfrom = \"@x.y\"\nto = \"$1@x.y\"");
        assert_eq!(told, "1: from: @x.y becomes itself");
        let (_, told) = read(&TABLES.replace("root@", "@"));
        assert_eq!(
            told,
            ["8: from: @host.internal is rewritten by another table already"]
        );
        let (_, told) =
            read(&TABLES.replace("\"@old.example\"", "\"@old.example\"\nheaders = true"));
        assert!(told[0].starts_with("17: headers = true is for"), "{told:?}");
    }
}
