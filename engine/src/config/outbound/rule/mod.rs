//! What replies of other hosts bring about: `[[rule]]`, and the shipped set behind them.
//!
//! ```toml
//! [[rule]]
//! name = "google-unusual-rate"         # a shipped rule of this name is replaced
//! site = ["google"]                    # as `queue top` names it; * stands for anything
//! host = ["*.google.com"]              # who replied
//! domain = ["*.example.net"]           # of the recipient
//! phase = ["mail", "rcpt"]             # connect hello tls login mail rcpt data
//! reply = '^421 4\.7\.28 '             # of the whole reply in one line, in any case
//! threshold = "3/1h"                   # suspend slow switch: at the third within an hour
//! action = ["slow", "defer"]           # suspend slow bounce defer drop switch suppress none
//! whose = "site"                       # suspend: site source tenant campaign, each at the site
//! for = "30m"                          # suspend slow switch
//! connections = 2                      # slow: at most so many; default: half
//! messages_per_minute_max = 60         # slow
//! delay = "1h"                         # defer: until the next attempt; default: as ever
//! pool = "second"                      # switch: egress sources whose mail it is for that time
//! ```
//!
//! What a rule does not say fits everything. The first rule that fits holds, those of the file
//! before the shipped ones. What it does to the message (bounce, defer, drop, suppress) it does
//! each time, what it does to the site (suspend, slow, switch) at its threshold. Matching takes
//! time linear in the reply, whatever the pattern, and all patterns together have a bounded size.

mod read;
mod shipped;
#[cfg(test)]
mod shipped_test;
#[cfg(test)]
mod tests;

pub(super) use read::rules;
pub(in super::super) use shipped::shipped_rollups;

use regex::{RegexSet, RegexSetBuilder};
use std::fmt;

/// All rules in their order.
#[derive(Clone, Default)]
pub struct Rules {
    list: Vec<Rule>,
    /// Their patterns, in the same order.
    patterns: RegexSet,
}

/// One rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Letters, digits and hyphens: it is a label of metrics.
    pub name: String,
    pub sites: Vec<Pattern>,
    pub hosts: Vec<Pattern>,
    pub domains: Vec<Pattern>,
    /// Empty: all.
    pub phases: Vec<Phase>,
    /// A regular expression.
    pub reply: String,
    pub threshold: Threshold,
    pub actions: Vec<RuleAction>,
    /// Where it stands in its file.
    pub line: usize,
    /// Whether it came with this program.
    pub is_shipped: bool,
}

/// What is done; of several all, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RuleAction {
    Suspend {
        whose: Whose,
        secs: u32,
    },
    Slow {
        /// `None`: half of what is allowed.
        connections: Option<u32>,
        per_minute: Option<u32>,
        secs: u32,
    },
    /// What was for now is for good.
    Bounce,
    /// What was for good is for now.
    Defer {
        /// Until the next attempt; `None`: as the schedule says.
        secs: Option<u32>,
    },
    /// The connection ends.
    Drop,
    /// Mail for the site leaves by these sources.
    Switch {
        pool: String,
        secs: u32,
    },
    /// The recipient is written to the suppression list.
    Suppress,
    /// Rules behind this one do not hold.
    Nothing,
}

/// Whose mail to the site waits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Whose {
    /// All mail.
    Site,
    /// That of the egress source.
    Source,
    Tenant,
    Campaign,
}

/// What was being done when the reply came.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// Up to the banner.
    Connect,
    Hello,
    Tls,
    Login,
    Mail,
    Rcpt,
    /// From DATA or BDAT to the reply to the message.
    Data,
}

/// A rule acts when it held so often within a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Threshold {
    /// From 1 to [`THRESHOLD_MAX`].
    pub count: u32,
    pub within_secs: u32,
}

/// A name in lower case in which `*` stands for any text.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pattern(String);

/// What another host said, and about what.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// In one line: code, enhanced code where there is one, words.
    pub reply: &'a str,
    pub site: &'a str,
    pub host: &'a str,
    pub domain: &'a str,
    pub phase: Phase,
}

/// How often a rule can have to hold before it acts: each time is remembered.
pub const THRESHOLD_MAX: u32 = 100;

/// Rules of one configuration, shipped ones included: each is a label of metrics.
pub const RULES_MAX: usize = 1_000;

/// Memory that all patterns together may take, compiled, in octets.
const PATTERNS_BYTES_MAX: usize = 32 << 20;

impl Rules {
    /// `None`: the patterns are too large together, or one is no regular expression.
    fn new(list: Vec<Rule>) -> Option<Rules> {
        let patterns = RegexSetBuilder::new(list.iter().map(|rule| &rule.reply))
            .case_insensitive(true)
            .size_limit(PATTERNS_BYTES_MAX)
            .dfa_size_limit(PATTERNS_BYTES_MAX)
            .build()
            .ok()?;
        Some(Rules { list, patterns })
    }

    /// Those that came with this program, alone.
    #[must_use]
    pub fn shipped() -> Rules {
        let rules = Rules::new(shipped::shipped_rules().to_vec());
        rules.expect("a test compiles what is shipped")
    }

    /// The rule that holds.
    #[must_use]
    pub fn find(&self, heard: &Heard<'_>) -> Option<&Rule> {
        if self.list.is_empty() {
            return None;
        }
        let matching = self.patterns.matches(heard.reply);
        let mut rules = matching.into_iter().filter_map(|at| self.list.get(at));
        rules.find(|rule| rule.is_about(heard))
    }

    /// In the order in which they are asked.
    #[must_use]
    pub fn list(&self) -> &[Rule] {
        &self.list
    }
}

impl Rule {
    /// Whether everything but the reply fits.
    fn is_about(&self, heard: &Heard<'_>) -> bool {
        let fits = |patterns: &[Pattern], name: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| pattern.fits(name))
        };
        (self.phases.is_empty() || self.phases.contains(&heard.phase))
            && fits(&self.sites, heard.site)
            && fits(&self.hosts, heard.host)
            && fits(&self.domains, heard.domain)
    }

    /// Whose mail waits, and for whom it is counted how often the rule held.
    #[must_use]
    pub fn whose(&self) -> Whose {
        let of = |action: &RuleAction| match action {
            RuleAction::Suspend { whose, .. } => Some(*whose),
            _ => None,
        };
        self.actions.iter().find_map(of).unwrap_or(Whose::Site)
    }

    /// Whether every reply that fits `later` fits this one. Says no where that is not plain to see.
    fn covers(&self, later: &Rule) -> bool {
        let is_all = matches!(self.reply.as_str(), "" | "^" | ".*" | "^.*" | "^.*$");
        (is_all || self.reply == later.reply)
            && covers(&self.phases, &later.phases, |own, other| own == other)
            && covers(&self.sites, &later.sites, Pattern::covers)
            && covers(&self.hosts, &later.hosts, Pattern::covers)
            && covers(&self.domains, &later.domains, Pattern::covers)
    }
}

impl RuleAction {
    /// Whether it is done to the site, at the threshold; others are done to the message each time.
    #[must_use]
    pub fn is_of_site(&self) -> bool {
        matches!(
            self,
            RuleAction::Suspend { .. } | RuleAction::Slow { .. } | RuleAction::Switch { .. }
        )
    }
}

/// Whether each of `others` is in one of `own`; an empty list is everything.
fn covers<T>(own: &[T], others: &[T], holds: impl Fn(&T, &T) -> bool) -> bool {
    let is_held = |other: &T| own.iter().any(|one| holds(one, other));
    own.is_empty() || !others.is_empty() && others.iter().all(is_held)
}

impl Pattern {
    /// Whether a name fits; in any case.
    #[must_use]
    pub fn fits(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let name = name.to_ascii_lowercase();
        let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else {
            return false;
        };
        let Some(end) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        rest.ends_with(end)
    }

    /// The name of a provider, which only a roll-up gives; a set of hosts has dots.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        let is_name = !self.0.contains(['.', '*', ':', ',']);
        is_name.then_some(self.0.as_str())
    }

    fn covers(&self, other: &Pattern) -> bool {
        self == other || self.0 == "*" || !other.0.contains('*') && self.fits(&other.0)
    }
}

impl Phase {
    pub const ALL: [Phase; 7] = [
        Phase::Connect,
        Phase::Hello,
        Phase::Tls,
        Phase::Login,
        Phase::Mail,
        Phase::Rcpt,
        Phase::Data,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Phase::Connect => "connect",
            Phase::Hello => "hello",
            Phase::Tls => "tls",
            Phase::Login => "login",
            Phase::Mail => "mail",
            Phase::Rcpt => "rcpt",
            Phase::Data => "data",
        }
    }

    #[must_use]
    pub fn of_name(name: &str) -> Option<Phase> {
        Phase::ALL.into_iter().find(|phase| phase.name() == name)
    }
}

impl Whose {
    pub const ALL: [Whose; 4] = [Whose::Site, Whose::Source, Whose::Tenant, Whose::Campaign];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Whose::Site => "site",
            Whose::Source => "source",
            Whose::Tenant => "tenant",
            Whose::Campaign => "campaign",
        }
    }
}

impl Default for Threshold {
    fn default() -> Threshold {
        Threshold {
            count: 1,
            within_secs: 1,
        }
    }
}

/// Compiled patterns are equal where what they were compiled from is.
impl PartialEq for Rules {
    fn eq(&self, other: &Rules) -> bool {
        self.list == other.list
    }
}

impl Eq for Rules {}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.list).finish()
    }
}

/// As people say it: `suspend the site for 30m`.
impl fmt::Display for RuleAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use super::super::quantity::show_seconds;
        match self {
            RuleAction::Suspend { whose, secs } => {
                let what = match whose {
                    Whose::Site => "the site",
                    Whose::Source => "the egress source at the site",
                    Whose::Tenant => "the tenant at the site",
                    Whose::Campaign => "the campaign at the site",
                };
                write!(f, "suspend {what} for {}", show_seconds(*secs))
            }
            RuleAction::Slow {
                connections,
                per_minute,
                secs,
            } => {
                match connections {
                    Some(connections) => write!(f, "slow to {connections} connections")?,
                    None => f.write_str("slow to half the connections")?,
                }
                if let Some(per_minute) = per_minute {
                    write!(f, " and {per_minute} messages a minute")?;
                }
                write!(f, " for {}", show_seconds(*secs))
            }
            RuleAction::Bounce => f.write_str("bounce"),
            RuleAction::Defer { secs: None } => f.write_str("defer"),
            RuleAction::Defer { secs: Some(secs) } => {
                write!(f, "defer, next attempt after {}", show_seconds(*secs))
            }
            RuleAction::Drop => f.write_str("drop the connection"),
            RuleAction::Switch { pool, secs } => {
                write!(f, "switch to pool {pool} for {}", show_seconds(*secs))
            }
            RuleAction::Suppress => f.write_str("suppress the recipient"),
            RuleAction::Nothing => f.write_str("nothing"),
        }
    }
}

/// As in `3/1h`.
impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = super::super::quantity::show_seconds(self.within_secs);
        write!(f, "{}/{within}", self.count)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
