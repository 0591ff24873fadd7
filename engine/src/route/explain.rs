//! The way of an address step by step, for an operator who asks: what the door would do with it
//! now, in words. What DNS says of the hosts is for others to add ([`Onward`]).

use super::found::{Found, find};
use super::{Account, Away, Directory, Forward, Route, Target, away, owns, srs};
use crate::config::outbound::{HopProtocol, Via, Whom};
use crate::config::{Config, Direction, Whose, text_of};
use store::mail::address::Address;

/// Whose mail is asked about.
#[derive(Clone, Copy)]
pub struct Submission<'a> {
    /// `None`: the null reverse-path.
    pub from: Option<&'a Address>,
    pub login: Option<&'a Account>,
    pub now_secs: u64,
}

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// How far inside of what came before it is.
    pub level: u8,
    pub what: &'static str,
    pub words: String,
    /// The next hop is to be looked up and told behind this step.
    pub onward: Option<Onward>,
}

/// Whose next hop is wanted, as the queue looks it up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Onward {
    pub domain: String,
    pub sender: String,
    pub tenant: String,
}

/// All steps of mail to `address`.
#[must_use]
pub fn explain(
    config: &Config,
    directory: &Directory,
    address: &Address,
    by: Submission<'_>,
) -> Vec<Step> {
    let mut told = Told {
        config,
        directory,
        by,
        sender: None,
        steps: Vec::new(),
    };
    told.sender();
    told.recipient(address);
    told.steps
}

struct Told<'a> {
    config: &'a Config,
    directory: &'a Directory,
    by: Submission<'a>,
    /// After the inbound map.
    sender: Option<Address>,
    steps: Vec<Step>,
}

impl Told<'_> {
    fn say(&mut self, level: u8, what: &'static str, words: impl Into<String>) {
        self.steps.push(Step {
            level,
            what,
            words: words.into(),
            onward: None,
        });
    }

    fn sender(&mut self) {
        let Some(from) = self.by.from else {
            return self.say(0, "sender", "<>, the null reverse-path");
        };
        match self.by.login {
            Some(login) if owns(self.directory, login, from) => {
                self.say(
                    0,
                    "sender",
                    format!("{from}, submitted by {}", login.address),
                );
            }
            Some(login) => {
                let words = format!("{from} is not {}'s: refused at MAIL", login.address);
                self.say(0, "sender", words);
            }
            None => self.say(0, "sender", format!("{from}, without a login")),
        }
        let rewrites = &self.config.rewrites;
        let rewritten = rewrites.envelope(Whose::Sender, Direction::Inbound, from);
        if let Some(to) = &rewritten {
            self.say(1, "rewrite", format!("inbound, {from} becomes {to}"));
        }
        self.sender = Some(rewritten.unwrap_or_else(|| from.clone()));
    }

    fn recipient(&mut self, address: &Address) {
        self.say(0, "recipient", address.to_string());
        let found = find(self.config, self.directory, address, || self.by.now_secs);
        let Found {
            address: other,
            is_return,
            route,
        } = match found {
            Ok(found) => found,
            Err(srs::NotOurs::TooOld) => return self.say(1, "refused", "its time is over (SRS)"),
            Err(_) => return self.say(1, "refused", "we have not made this address (SRS)"),
        };
        if let Some(other) = &other {
            let how = if is_return { "SRS, back to" } else { "becomes" };
            self.say(1, "rewrite", format!("{how} {other}"));
        }
        let named = other.as_ref().unwrap_or(address);
        match route {
            Route::Local { targets, .. } => self.accounts(1, &targets),
            Route::Forwarded(forwarded) => {
                let (here, away) = (forwarded.targets.len(), forwarded.forwards.len());
                let words = format!("{here} accounts here, {away} addresses at other hosts");
                self.say(1, "alias", words);
                self.accounts(2, &forwarded.targets);
                self.members(&forwarded.forwards);
            }
            Route::Refused(reason) => self.say(1, "refused", reason.to_string()),
            Route::Foreign => {
                let is_known = self.by.login.is_some();
                let has_networks = !self.config.outbound.relay.networks.is_empty();
                if !is_known && !is_return && has_networks {
                    self.say(1, "relay", "only for the networks of [relay]");
                } else if !is_known && !is_return {
                    self.say(1, "relay", "denied without a login; with one:");
                }
                self.leaving_as(1, self.rewritten_sender());
                let sender = self.sender.clone();
                self.away(1, named, sender.as_ref());
            }
        }
    }

    fn accounts(&mut self, level: u8, targets: &[Target]) {
        for target in targets.iter().take(SHOWN_MAX) {
            let shard = target.account.shard.0;
            let detail = target.detail.as_deref();
            let detail = detail.map_or_else(String::new, |detail| format!(", detail {detail}"));
            let owner = target.owner.as_deref();
            let owner = owner.map_or_else(String::new, |owner| format!(", as of {owner}"));
            let words = format!("{} in shard {shard}{detail}{owner}", target.account.address);
            self.say(level, "account", words);
        }
        self.more(level, targets.len());
    }

    fn members(&mut self, forwards: &[Forward]) {
        for forward in forwards.iter().take(SHOWN_MAX) {
            self.say(2, "member", forward.address.to_string());
            let rewrites = &self.config.rewrites;
            let to = &forward.address;
            let outward = rewrites.envelope(Whose::Recipient, Direction::Outbound, to);
            if let Some(outward) = &outward {
                self.say(3, "rewrite", format!("becomes {outward}"));
            }
            let owner = forward.owner.as_deref().filter(|_| self.sender.is_some());
            self.leaving_as(3, owner.cloned().or_else(|| self.forwarded_sender()));
            let sender = owner.cloned().or_else(|| self.sender.clone());
            self.away(3, outward.as_ref().unwrap_or(to), sender.as_ref());
        }
        self.more(2, forwards.len());
    }

    fn leaving_as(&mut self, level: u8, sender: Option<Address>) {
        if let Some(sender) = sender {
            self.say(level, "sender", format!("leaves as {sender}"));
        }
    }

    fn rewritten_sender(&self) -> Option<Address> {
        let sender = self.sender.as_ref()?;
        let rewrites = &self.config.rewrites;
        rewrites.envelope(Whose::Sender, Direction::Outbound, sender)
    }

    fn forwarded_sender(&self) -> Option<Address> {
        srs::forwarded(
            self.config,
            self.directory,
            self.sender.as_ref()?,
            self.by.now_secs,
        )
    }

    fn away(&mut self, level: u8, to: &Address, sender: Option<&Address>) {
        let rules = &self.config.outbound;
        let sender = text_of(sender);
        let sender = rules.sender_pattern(&sender).unwrap_or_default();
        let tenant = match (self.by.login, &self.sender) {
            (Some(login), _) => login.address.to_string(),
            (None, Some(sender)) => format!("@{}", sender.domain),
            (None, None) => "<>".to_owned(),
        };
        let whom = Whom {
            sender: &sender,
            tenant: &tenant,
        };
        let route = rules.route(&to.domain, whom).map(|(_, route)| route);
        let Some(route) = route else {
            return self.say(level, "refused", "no route to its domain");
        };
        let mut words = format!("of {}", route.domains.join(", "));
        if !route.senders.is_empty() {
            words += &format!(" from {}", route.senders.join(", "));
        }
        if !route.tenants.is_empty() {
            words += &format!(" submitted by {}", route.tenants.join(", "));
        }
        words += &match &route.via {
            Via::Mx => ": mail exchangers".to_owned(),
            Via::Host {
                host,
                protocol,
                login,
            } => {
                let spoken = match protocol {
                    HopProtocol::Smtp => "SMTP",
                    HopProtocol::Lmtp => "LMTP",
                };
                let login = login.as_ref();
                let login = login.map_or_else(String::new, |login| format!(" as {}", login.user));
                format!(": {host} by {spoken}{login}")
            }
            Via::Discard => ": taken and thrown away".to_owned(),
            Via::Reject { reason } => format!(": refused, {reason}"),
        };
        let leaves = matches!(away(rules, true, to, whom), Away::Leaves { .. });
        let onward = leaves.then(|| Onward {
            domain: to.domain.clone(),
            sender: sender.to_string(),
            tenant: tenant.clone(),
        });
        self.say(level, "route", words);
        if let Some(step) = self.steps.last_mut() {
            step.onward = onward;
        }
    }

    fn more(&mut self, level: u8, count: usize) {
        if let Some(more) = count.checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            self.say(level, "…", format!("and {more} more"));
        }
    }
}

/// Members of an alias that are told of one by one.
const SHOWN_MAX: usize = 20;
