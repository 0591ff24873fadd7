//! RCPT: what a client is told of a recipient, and what is kept of it until the message is here.

use super::feedback::Report;
use super::finding::{Astray, Finding};
use super::leads::Lead;
use super::smtp::Conversation;
use crate::config::outbound::Relay;
use crate::config::{Protocol, canonical};
use crate::intake::suppression::suppressed_words;
use crate::route::Reason;
use crate::session::smtp::Answer;
use crate::telemetry::metric;
use crate::tls::ClientProof;
use crate::wire::smtp::reply::{self, Reply};
use store::limit::RECIPIENTS_MAX;
use store::mail::address::Address;

impl Conversation {
    pub(super) async fn recipient(&mut self, octets_hint: Option<u64>) -> Answer {
        let Some(address) = self.session.recipient_asked() else {
            return Answer::Verdict(Err(reply::LOCAL_ERROR));
        };
        let (lead, changed) = match self.find(address, octets_hint) {
            Ok(found) => found,
            Err(answer) => return answer,
        };
        let report = match &lead {
            Lead::Away(_) => {
                let to = changed.as_ref().unwrap_or(address);
                if let Some(refusal) = self.suppressed(to).await {
                    return refusal;
                }
                None
            }
            Lead::Accounts(_) => self.awaited_report(address),
            Lead::Forwarded(_) | Lead::Later(_) | Lead::Nowhere => None,
        };
        let renamed = changed.map(|to| (address.clone(), to));
        if report.is_some() {
            self.report = report;
        }
        self.lead(lead, renamed)
    }

    /// Where it leads, and the address that holds where it is another one.
    fn find(
        &self,
        address: &Address,
        octets_hint: Option<u64>,
    ) -> Result<(Lead, Option<Address>), Answer> {
        let directory = self.hall.live.directory.load();
        let config = self.hall.live.config.load();
        let sender = self.reverse_path();
        let finding = Finding {
            live: &self.hall.live,
            config: &config,
            directory: &directory,
            sender,
            tenant: &|| self.tenant(sender),
            may_send: self.may_send(&config.outbound.relay),
            is_held: self.session.terms().hold.is_some(),
            octets_hint: octets_hint.unwrap_or(0),
            now_secs: &|| self.hall.now().unix_secs(),
        };
        let found = finding.lead(address);
        found.map_err(|astray| self.astray(astray, config.outbound.is_on()))
    }

    /// As it holds, where a map has changed it.
    fn reverse_path(&self) -> Option<&Address> {
        let envelope = self.session.envelope();
        let said = envelope.and_then(|envelope| envelope.reverse_path.as_ref());
        self.sender.as_ref().or(said)
    }

    /// A recipient that gets no mail from us any more.
    async fn suppressed(&self, address: &Address) -> Option<Answer> {
        if !self.hall.live.config.load().outbound.suppression.refuses {
            return None;
        }
        let tenant = self.tenant(self.reverse_path());
        let found = self.hall.intake.suppressed(address, &tenant).await?;
        self.count_refusal(metric::Refusal::Suppressed);
        Some(Answer::Refused(suppressed_words(&found).into()))
    }

    /// Mail to an address that takes reports is looked at, when it is in our custody.
    fn awaited_report(&self, address: &Address) -> Option<Report> {
        let config = self.hall.live.config.load();
        if config.outbound.feedback.is_empty() {
            return None;
        }
        let address = canonical(address);
        let mut feedback = config.outbound.feedback.iter();
        let feedback = feedback.find(|feedback| feedback.takes(&address))?;
        let (is_believed, to) = feedback.judge(&address, self.session.peer().address);
        Some(Report::to(to, feedback.provider.clone(), is_believed))
    }

    fn astray(&self, astray: Astray, is_on: bool) -> Answer {
        match astray {
            Astray::Refused(reason) => self.refuse(reason.into(), reason_reply(reason)),
            Astray::Forged => self.refuse(metric::Refusal::NoSuchUser, reply::UNKNOWN_USER),
            Astray::Full => self.refuse(metric::Refusal::OverQuota, reply::MAILBOX_FULL),
            Astray::Rejected(words) => {
                self.count_refusal(metric::Refusal::Relay);
                Answer::Refused(words.into())
            }
            Astray::Denied => {
                let words = match self.client {
                    ClientProof::Unknown(..) => reply::CERTIFICATE_UNKNOWN,
                    _ => reply::RELAY_NEEDS_LOGIN,
                };
                self.refuse(metric::Refusal::Relay, words)
            }
            Astray::NoRoute if is_on => self.refuse(metric::Refusal::Relay, reply::NO_ROUTE),
            Astray::NoRoute => self.refuse(metric::Refusal::Relay, reply::RELAY_DENIED),
            Astray::QueueFull => self.refuse(metric::Refusal::Unavailable, reply::STORAGE_FULL),
        }
    }

    /// Whoever has logged in, networks that the operator names, and who shows a certificate that is
    /// known; never over LMTP, which is for our own mailboxes.
    fn may_send(&self, relay: &Relay) -> bool {
        let has_certificate = matches!(self.client, ClientProof::Known(_));
        let is_known = self.session.login().is_some() || has_certificate;
        self.protocol != Protocol::Lmtp && (is_known || relay.allows(self.session.peer().address))
    }

    fn lead(&mut self, lead: Lead, renamed: Option<(Address, Address)>) -> Answer {
        let led_to: usize = self.leads.iter().map(Lead::count).sum();
        if !self.leads.is_empty() && led_to + lead.count() > RECIPIENTS_MAX {
            return Answer::Verdict(Err(reply::TOO_MANY_RECIPIENTS));
        }
        self.leads.push(lead);
        self.renamed.extend(renamed);
        Answer::Verdict(Ok(()))
    }

    fn refuse(&self, why: metric::Refusal, reply: Reply) -> Answer {
        self.count_refusal(why);
        Answer::Verdict(Err(reply))
    }

    fn count_refusal(&self, why: metric::Refusal) {
        self.hall.metrics.refusals.of(why).one();
    }
}

fn reason_reply(reason: Reason) -> Reply {
    match reason {
        Reason::NoSuchUser | Reason::NoPostmaster => reply::UNKNOWN_USER,
        Reason::AliasLoop | Reason::TooManyTargets => reply::ALIAS_LOOP,
        Reason::Disabled => reply::ACCOUNT_DISABLED,
        Reason::OverQuota => reply::MAILBOX_FULL,
    }
}
