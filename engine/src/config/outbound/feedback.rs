//! Whom mail is not sent to any more, and who tells us: `[suppression]`, `[[feedback]]`.
//!
//! ```toml
//! [suppression]
//! hard_bounces = 1                 # so many of an address end mail to it; default 0: none does
//! within = "30d"                   # in this time
//! complaints = true                # of a [[feedback]] address: at the first one
//! for_everybody = false            # default: for the tenant whose mail it was
//! lasts = "365d"                   # default: until it is taken back
//! at_submission = "refuse"         # or "accept": the sender gets a notice
//!
//! [[feedback]]
//! address = "fbl@example.org"      # reports to it are read and delivered; fbl+x@ is it too
//! provider = "yahoo"               # default: as the report says
//! ```

use super::super::domain;
use super::super::raw::{At, Notes, Section};
use store::mail::address::Address;

/// When addresses are written to the suppression list, and what being there means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Suppression {
    /// Refusals of an address as unknown or inactive; 0: none is counted.
    pub hard_bounces: u32,
    pub within_secs: u32,
    /// Whether a complaint of the recipient is enough.
    pub complaints: bool,
    /// Whether what is written by itself holds for all tenants.
    pub for_everybody: bool,
    /// How long an entry lasts that is written by itself; `None`: for ever.
    pub lasts_secs: Option<u32>,
    /// Whether a submission is refused; else it is taken and given back.
    pub refuses: bool,
}

/// Where feedback loops and bounces of others report to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Feedback {
    /// Canonical.
    pub address: Address,
    pub provider: Option<String>,
    /// Where it stands in the file.
    pub line: usize,
}

impl Feedback {
    /// Whether mail for this address, in canonical form, is a report; a detail of it is VERP.
    #[must_use]
    pub fn takes(&self, address: &Address) -> bool {
        let local = address.local.as_str();
        let base = local.split_once('+').map_or(local, |(base, _)| base);
        address.domain == self.address.domain
            && (local == self.address.local || base == self.address.local)
    }
}

impl Default for Suppression {
    fn default() -> Suppression {
        Suppression {
            hard_bounces: 0,
            within_secs: 30 * DAY_SECS,
            complaints: true,
            for_everybody: false,
            lasts_secs: None,
            refuses: true,
        }
    }
}

pub(super) fn suppression(top: &mut Section<'_, '_>, notes: &mut Notes) -> Suppression {
    let usual = Suppression::default();
    let Some(mut section) = top.section(notes, "suppression", "[suppression]") else {
        return usual;
    };
    let bounces = section.number(notes, "hard_bounces", 0, HARD_BOUNCES_MAX);
    let within = section.seconds(notes, "within", 60, YEAR_SECS);
    let complaints = section.bool(notes, "complaints");
    let everybody = section.bool(notes, "for_everybody");
    let lasts = section.seconds(notes, "lasts", 60, 20 * YEAR_SECS);
    let at = section.text(notes, "at_submission");
    section.finish(notes);
    Suppression {
        hard_bounces: bounces.map_or(usual.hard_bounces, |at| at.value as u32),
        within_secs: within.map_or(usual.within_secs, |at| at.value),
        complaints: complaints.map_or(usual.complaints, |at| at.value),
        for_everybody: everybody.map_or(usual.for_everybody, |at| at.value),
        lasts_secs: lasts.map(|at| at.value),
        refuses: at.is_none_or(|at| refuses(at, notes)),
    }
}

fn refuses(text: At<&str>, notes: &mut Notes) -> bool {
    if !matches!(text.value, "refuse" | "accept") {
        let what = format!(
            "at_submission: expected refuse or accept, not \"{}\"",
            text.value
        );
        notes.problem(text.line, what);
    }
    text.value == "refuse"
}

pub(super) fn feedback(top: &mut Section<'_, '_>, notes: &mut Notes) -> Vec<Feedback> {
    let sections = top.sections(notes, "feedback", "[[feedback]]");
    let one = |section| one(section, notes);
    sections.into_iter().filter_map(one).collect()
}

fn one(mut section: Section<'_, '_>, notes: &mut Notes) -> Option<Feedback> {
    let line = section.line;
    let address = section.text_required(notes, "address", "\"fbl@example.org\"");
    let provider = section.text(notes, "provider");
    section.finish(notes);
    let named = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if let Some(name) = provider
        && !((1..=64).contains(&name.value.len()) && name.value.chars().all(named))
    {
        let what = "provider: expected up to 64 letters, digits, dots, hyphens and underscores";
        notes.problem(name.line, what);
    }
    Some(Feedback {
        address: domain::address("address", address?, notes)?,
        provider: provider.map(|name| name.value.to_owned()),
        line,
    })
}

/// Each is remembered by its second (`intake::suppression`).
const HARD_BOUNCES_MAX: u64 = 100;

const DAY_SECS: u32 = 86_400;
const YEAR_SECS: u32 = 366 * DAY_SECS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_takes_reports_with_any_detail() {
        let feedback = Feedback {
            address: Address::new("bounces", "example.org"),
            provider: None,
            line: 1,
        };
        for (local, domain, is_taken) in [
            ("bounces", "example.org", true),
            ("bounces+carol=far.test", "example.org", true),
            ("bouncesx", "example.org", false),
            ("bounces", "example.net", false),
        ] {
            let address = Address::new(local, domain);
            assert_eq!(feedback.takes(&address), is_taken, "{address}");
        }
    }
}
