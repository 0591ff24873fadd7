//! Whom we ask for names, and what of the answers we believe: the table `[resolver]`.
//!
//! ```toml
//! [resolver]
//! servers = ["127.0.0.1:53"]      # default: those of /etc/resolv.conf
//! timeout_secs = 5                # until a name server counts as silent
//! attempts = 2                    # how often a question is asked before we give up
//! dnssec = "local"                # off local trusted validate
//! trust_anchors = "root.key"      # validate: default the root's own
//! cache_max = 100000              # answers remembered
//! loopback_hosts = false          # true: mail may go to hosts on 127.0.0.0/8 and ::1
//! mx_port = 25                    # not 25: tests, and hosts behind a gateway
//! mta_sts = true                  # ask for the TLS policies of domains (RFC 8461)
//! mta_sts_port = 443
//! default_rollups = true          # the large providers that are known, behind those of the file
//!
//! [[resolver.rollup]]             # hosts of one provider share the limits of one site
//! site = "google"
//! mx = ["google.com", "googlemail.com"]
//! ```

use super::Base;
use super::name::domain_name;
use super::outbound::rule::shipped_rollups;
use super::raw::{At, Notes, Section};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The table, plain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResolverConfig {
    /// Empty: those of the system.
    pub servers: Vec<SocketAddr>,
    pub timeout_secs: u64,
    pub attempts: usize,
    pub dnssec: Dnssec,
    /// A zone file of DNSKEY records; `None`: the keys of the root that are built in.
    pub trust_anchors: Option<PathBuf>,
    pub cache_max: u64,
    /// Whether an address of this machine's loopback may be another host.
    pub loopback_hosts: bool,
    /// Where mail exchangers listen.
    pub mx_port: u16,
    pub mta_sts: bool,
    /// Where policies are fetched from.
    pub mta_sts_port: u16,
    pub rollups: Vec<Rollup>,
}

/// Why an answer counts as secure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dnssec {
    /// No answer does, so there is no DANE.
    Off,
    /// It has the AD bit and comes from a name server on loopback.
    Local,
    /// It has the AD bit, whatever server it comes from: the way there is trusted.
    Trusted,
    /// We validate it ourselves.
    Validate,
}

/// Mail exchangers of one provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rollup {
    pub site: String,
    /// Domains in canonical form: hosts are at or below one of them.
    pub suffixes: Vec<String>,
}

impl Default for ResolverConfig {
    fn default() -> ResolverConfig {
        ResolverConfig {
            servers: Vec::new(),
            timeout_secs: 5,
            attempts: 2,
            dnssec: Dnssec::Local,
            trust_anchors: None,
            cache_max: 100_000,
            loopback_hosts: false,
            mx_port: 25,
            mta_sts: true,
            mta_sts_port: 443,
            rollups: shipped_rollups().to_vec(),
        }
    }
}

impl ResolverConfig {
    pub(super) fn read(
        section: &mut Section<'_, '_>,
        base: &Base,
        notes: &mut Notes,
    ) -> ResolverConfig {
        let default = ResolverConfig::default();
        let servers = section.texts(notes, "servers");
        let timeout = section.number(notes, "timeout_secs", 1, 60);
        let attempts = section.number(notes, "attempts", 1, 10);
        let dnssec = section.text(notes, "dnssec");
        let anchors = section.text(notes, "trust_anchors");
        let cache_max = section.number(notes, "cache_max", 100, 100_000_000);
        let loopback_hosts = section.bool(notes, "loopback_hosts");
        let mx_port = port(section, notes, "mx_port");
        let mta_sts = section.bool(notes, "mta_sts");
        let mta_sts_port = port(section, notes, "mta_sts_port");
        let default_rollups = section.bool(notes, "default_rollups");
        let rollups = section.sections(notes, "rollup", "[[resolver.rollup]]");
        let mut rollups: Vec<Rollup> = each(rollups, |section| rollup(section, notes));
        if default_rollups.is_none_or(|found| found.value) {
            rollups.extend(default.rollups);
        }
        if let Some(file) = anchors {
            base.check_readable(file, notes);
        }
        ResolverConfig {
            servers: each(servers, |text| server(text, notes)),
            timeout_secs: timeout.map_or(default.timeout_secs, |found| found.value),
            attempts: attempts.map_or(default.attempts, |found| found.value as usize),
            dnssec: dnssec
                .and_then(|text| read_dnssec(text, notes))
                .unwrap_or(default.dnssec),
            trust_anchors: anchors.map(|file| base.path(file.value)),
            cache_max: cache_max.map_or(default.cache_max, |found| found.value),
            loopback_hosts: loopback_hosts.is_some_and(|found| found.value),
            mx_port: mx_port.unwrap_or(default.mx_port),
            mta_sts: mta_sts.is_none_or(|found| found.value),
            mta_sts_port: mta_sts_port.unwrap_or(default.mta_sts_port),
            rollups,
        }
    }
}

fn port(section: &mut Section<'_, '_>, notes: &mut Notes, key: &'static str) -> Option<u16> {
    let found = section.number(notes, key, 1, u64::from(u16::MAX))?;
    u16::try_from(found.value).ok()
}

fn server(text: At<&str>, notes: &mut Notes) -> Option<SocketAddr> {
    let with_port = text.value.parse::<SocketAddr>().ok();
    let alone = || text.value.parse::<IpAddr>().ok().map(|ip| (ip, 53).into());
    let found = with_port.or_else(alone);
    if found.is_none() {
        let what = format!(
            "servers: \"{}\" is no address such as \"127.0.0.1:53\"",
            text.value
        );
        notes.problem(text.line, what);
    }
    found
}

fn read_dnssec(text: At<&str>, notes: &mut Notes) -> Option<Dnssec> {
    match text.value {
        "off" => Some(Dnssec::Off),
        "local" => Some(Dnssec::Local),
        "trusted" => Some(Dnssec::Trusted),
        "validate" => Some(Dnssec::Validate),
        other => {
            let what = format!("dnssec: expected off, local, trusted or validate, not \"{other}\"");
            notes.problem(text.line, what);
            None
        }
    }
}

/// Also of the shipped ones.
pub(super) fn rollup(mut section: Section<'_, '_>, notes: &mut Notes) -> Option<Rollup> {
    let line = section.line;
    let site = section.text_required(notes, "site", "\"google\"");
    let written = section.texts(notes, "mx");
    section.finish(notes);
    if written.is_empty() {
        notes.problem(line, "[[resolver.rollup]] needs mx = [\"google.com\"]");
    }
    let suffixes = each(written, |text| {
        let name = domain_name(text.value);
        if name.is_none() {
            let what = format!("mx: \"{}\" is no domain name", text.value);
            notes.problem(text.line, what);
        }
        name
    });
    let site = site.filter(|site| is_site(*site, notes))?;
    (!suffixes.is_empty()).then(|| Rollup {
        site: site.value.to_owned(),
        suffixes,
    })
}

/// A site is a name in orders, log lines and metrics.
fn is_site(site: At<&str>, notes: &mut Notes) -> bool {
    let fits = (1..=SITE_BYTES_MAX).contains(&site.value.len());
    let named = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_good = fits && site.value.chars().all(named);
    if !is_good {
        notes.problem(
            site.line,
            "site: expected up to 64 letters, digits, dots, hyphens and underscores",
        );
    }
    is_good
}

fn each<T, U>(list: Vec<T>, read: impl FnMut(T) -> Option<U>) -> Vec<U> {
    list.into_iter().filter_map(read).collect()
}

const SITE_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::{Base, Outside, raw};
    use super::*;

    fn read(text: &str) -> (ResolverConfig, Vec<String>) {
        let mut notes = Notes::new(text);
        let document = raw::document(text, &mut notes);
        let outside = Outside {
            readable: &|_| Ok(()),
            secret: &|_| Ok(()),
        };
        let base = Base {
            folder: "/etc".into(),
            outside,
        };
        let mut section = Section::top(document.get_ref());
        let config = ResolverConfig::read(&mut section, &base, &mut notes);
        section.finish(&mut notes);
        let problems = notes.problems.into_iter();
        let lines = problems.map(|p| format!("{}: {}", p.line, p.what));
        (config, lines.collect())
    }

    #[test]
    fn an_empty_table_is_the_default() {
        assert_eq!(read(""), (ResolverConfig::default(), Vec::new()));
    }

    #[test]
    fn every_key_is_read() {
        let text = "servers = [\"127.0.0.1:5353\", \"::1\"]\ntimeout_secs = 2\nattempts = 1\n\
                    dnssec = \"validate\"\ntrust_anchors = \"root.key\"\ncache_max = 1000\n\
                    loopback_hosts = true\nmx_port = 2525\nmta_sts = false\n\
                    mta_sts_port = 8443\ndefault_rollups = false\n\
                    [[rollup]]\nsite = \"google\"\nmx = \"Google.COM\"\n";
        let (config, problems) = read(text);
        assert_eq!(problems, Vec::<String>::new());
        let expected = ResolverConfig {
            servers: vec![
                "127.0.0.1:5353".parse().unwrap(),
                "[::1]:53".parse().unwrap(),
            ],
            timeout_secs: 2,
            attempts: 1,
            dnssec: Dnssec::Validate,
            trust_anchors: Some("/etc/root.key".into()),
            cache_max: 1000,
            loopback_hosts: true,
            mx_port: 2525,
            mta_sts: false,
            mta_sts_port: 8443,
            rollups: vec![Rollup {
                site: "google".to_owned(),
                suffixes: vec!["google.com".to_owned()],
            }],
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn every_fault_is_named_with_its_line() {
        let text = "servers = \"localhost\"\ndnssec = \"yes\"\nmx_port = 0\ntimeout = 1\n\
                    [[rollup]]\nsite = \"a b\"\nmx = \"-\\u0000\"\n[[rollup]]\nmx = []\n";
        let problems = read(text).1.join("\n");
        for part in [
            "1: servers: \"localhost\"",
            "2: dnssec: expected",
            "3: mx_port: expected",
            "4: unknown key timeout",
            "6: site: expected",
            "7: mx: ",
            "needs site",
            "needs mx",
        ] {
            assert!(problems.contains(part), "{part} is not in:\n{problems}");
        }
    }
}
