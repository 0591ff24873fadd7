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
//! networks = ["192.0.2.0/24"]      # whose reports are believed,
//! token = "5f2c8e01d7a94b36"       # and those of who knows the address fbl+TOKEN@, fbl+TOKEN+x@
//! ```
//!
//! Anybody can write a report. One is believed by where it comes from, or by an address that only
//! the provider was told; whatever else comes is delivered, and changes nothing.

use super::super::domain;
use super::super::raw::{At, Notes, Section};
use super::Network;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::net::IpAddr;
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
    /// Who is believed.
    pub networks: Vec<Network>,
    /// The secret part of the address, in lower case.
    pub token: Option<String>,
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

impl Feedback {
    /// Whether a report from there to this address, in canonical form, is believed; and the address
    /// without what is secret of it.
    #[must_use]
    pub fn judge(&self, address: &Address, from: IpAddr) -> (bool, Address) {
        let is_near = self.networks.iter().any(|network| network.holds(from));
        match self.without_token(&address.local) {
            Some(local) => (true, Address::new(local, address.domain.clone())),
            None => (is_near, address.clone()),
        }
    }

    /// The local part as it is without its token; `None`: it has none, or another.
    fn without_token(&self, local: &str) -> Option<String> {
        let token = self.token.as_ref()?;
        let (base, detail) = local.split_once('+')?;
        let (said, rest) = detail.split_once('+').unwrap_or((detail, ""));
        verify_slices_are_equal(said.as_bytes(), token.as_bytes()).ok()?;
        Some(match rest {
            "" => base.to_owned(),
            rest => format!("{base}+{rest}"),
        })
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
    let networks = section.texts(notes, "networks");
    let token = section.text(notes, "token");
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
        networks: Network::parse_all(networks, notes),
        token: token.and_then(|token| secret(token, notes)),
        line,
    })
}

/// It is part of an address: nothing that a host on the way would change.
fn secret(text: At<&str>, notes: &mut Notes) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_good = TOKEN_CHARS.contains(&text.value.len()) && text.value.chars().all(is_plain);
    if !is_good {
        let what = "token: expected 16 to 48 digits and lower-case letters, e.g. of \
                    \"openssl rand -hex 8\"";
        notes.problem(text.line, what);
    }
    is_good.then(|| text.value.to_owned())
}

/// Enough that nobody guesses it, and there is room for a detail beside it.
const TOKEN_CHARS: std::ops::RangeInclusive<usize> = 16..=48;

/// Each is remembered by its second (`intake::suppression`).
const HARD_BOUNCES_MAX: u64 = 100;

const DAY_SECS: u32 = 86_400;
const YEAR_SECS: u32 = 366 * DAY_SECS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_takes_reports_with_any_detail() {
        let feedback = feedback();
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

    fn feedback() -> Feedback {
        Feedback {
            address: Address::new("bounces", "example.org"),
            provider: None,
            networks: vec![Network::parse("192.0.2.0/24").unwrap()],
            token: Some("5f2c8e01d7a94b36".to_owned()),
            line: 1,
        }
    }

    #[test]
    fn a_report_is_believed_by_its_origin_or_by_the_address_that_it_knows() {
        let feedback = feedback();
        let (near, far) = (
            "192.0.2.7".parse().unwrap(),
            "198.51.100.7".parse().unwrap(),
        );
        for (local, from, is_believed, plain) in [
            ("bounces", near, true, "bounces"),
            (
                "bounces+carol=far.test",
                near,
                true,
                "bounces+carol=far.test",
            ),
            ("bounces", far, false, "bounces"),
            ("bounces+5f2c8e01d7a94b36", far, true, "bounces"),
            (
                "bounces+5f2c8e01d7a94b36+carol=far.test",
                far,
                true,
                "bounces+carol=far.test",
            ),
            (
                "bounces+5f2c8e01d7a94b37",
                far,
                false,
                "bounces+5f2c8e01d7a94b37",
            ),
            (
                "bounces+x+5f2c8e01d7a94b36",
                far,
                false,
                "bounces+x+5f2c8e01d7a94b36",
            ),
        ] {
            let address = Address::new(local, "example.org");
            let expected = (is_believed, Address::new(plain, "example.org"));
            assert_eq!(feedback.judge(&address, from), expected, "{local}");
        }
        let open = Feedback {
            networks: Vec::new(),
            token: None,
            ..feedback
        };
        assert!(!open.judge(&Address::new("bounces", "example.org"), near).0);
    }
}
