//! MAIL and RCPT: the envelope (RFC 5321 §4.1.1.2, §4.1.1.3).

use super::action::{Action, Kind, Output};
use super::settings::ENVELOPE_BYTES_MAX;
use super::terms::Terms;
use super::transaction::{End, Transaction};
use super::{Pending, Session};
use crate::wire::smtp::command::{Mail, Rcpt};
use crate::wire::smtp::reply::{self, Reply, Verdict};
use store::mail::envelope::{Envelope, Recipient};

impl Session {
    pub(super) fn mail(&mut self, mail: Mail, out: &mut Output) {
        if self.messages >= self.settings.messages_max {
            return self.close(reply::TOO_MANY_MESSAGES, out);
        }
        if let Err(reply) = self.may_mail() {
            return self.blame(reply, out);
        }
        if let Err(reply) = self.judge_terms(&mail.params) {
            return self.blame(reply, out);
        }
        // RFC 1870 §6.1: what is declared too large need not be sent.
        if mail
            .params
            .size
            .is_some_and(|octets| octets > self.settings.message_octets_max)
        {
            let transaction = self.begin(mail);
            return self.sender_refused(transaction, reply::TOO_LARGE, out);
        }
        self.pending = Some(Pending::Sender(Box::new(mail)));
        out.action = Some(Action::Sender);
    }

    fn may_mail(&self) -> Result<(), Reply> {
        if self.hello.is_none() {
            return Err(match self.kind {
                Kind::Smtp | Kind::Submission => reply::HELLO_FIRST,
                Kind::Lmtp => reply::LHLO_FIRST,
            });
        }
        if self.transaction.is_some() {
            return Err(reply::MAIL_TWICE);
        }
        if self.settings.tls_required && self.peer.tls.is_none() {
            return Err(reply::TLS_FIRST);
        }
        if self.settings.auth_required && self.login.is_none() {
            return Err(match self.offers_auth() {
                true => reply::AUTH_FIRST,
                false => reply::TLS_FIRST,
            });
        }
        Ok(())
    }

    pub(super) fn sender_settled(&mut self, mail: Mail, verdict: Verdict, out: &mut Output) {
        let wanted = mail.params.priority;
        let transaction = self.begin(mail);
        match verdict {
            Ok(()) => {
                // RFC 6710 §5: a client hears that it got another priority.
                let is_changed = wanted.is_some_and(|wanted| wanted != transaction.terms.priority);
                out.say(match is_changed {
                    true => reply::PRIORITY_CHANGED,
                    false => reply::SENDER_OK,
                });
                self.transaction = Some(Box::new(transaction));
            }
            Err(reply) => self.sender_refused(transaction, reply, out),
        }
    }

    fn begin(&self, mail: Mail) -> Transaction {
        let params = mail.params;
        let terms = Terms::new(&params, self.login.is_some());
        let envelope = Envelope {
            reverse_path: mail.reverse_path,
            recipients: Vec::new(),
            body: params.body,
            smtputf8: params.smtputf8,
            ret: params.ret,
            envid: params.envid,
            // RFC 4954 §5: who is not logged in is not believed.
            auth: params.auth.map(|submitter| match self.login {
                Some(_) => submitter,
                None => "<>".to_owned(),
            }),
        };
        Transaction {
            terms,
            ..Transaction::new(envelope, params.size, self.now_ms)
        }
    }

    fn sender_refused(&mut self, transaction: Transaction, reply: Reply, out: &mut Output) {
        self.conclude(Box::new(transaction), End::Refused(reply), None, out);
        self.refuse(reply, out);
    }

    pub(super) fn rcpt(&mut self, rcpt: Rcpt, out: &mut Output) {
        let Some(transaction) = &mut self.transaction else {
            return self.blame(reply::MAIL_FIRST, out);
        };
        if transaction.is_chunked() {
            return self.blame(reply::CHUNKS_BEGUN, out);
        }
        if !rcpt.is_ascii && !transaction.envelope.smtputf8 {
            return self.blame(reply::UTF8_UNDECLARED, out);
        }
        // RFC 5321 §4.5.3.1.10: the ones before stay good.
        if transaction.envelope.recipients.len() >= self.settings.recipients_max
            || transaction.envelope_bytes >= ENVELOPE_BYTES_MAX
        {
            transaction.refuse(reply::TOO_MANY_RECIPIENTS);
            return self.refuse(reply::TOO_MANY_RECIPIENTS, out);
        }
        let octets_hint = transaction.octets_hint;
        self.pending = Some(Pending::Recipient(Box::new(rcpt)));
        out.action = Some(Action::Recipient { octets_hint });
    }

    pub(super) fn recipient_settled(&mut self, rcpt: Rcpt, verdict: Verdict, out: &mut Output) {
        let Some(transaction) = &mut self.transaction else {
            return out.say(reply::LOCAL_ERROR);
        };
        match verdict {
            Ok(()) => {
                transaction.accept(Recipient {
                    address: rcpt.address,
                    notify: rcpt.params.notify,
                    orcpt: rcpt.params.orcpt,
                });
                out.say(reply::RECIPIENT_OK);
            }
            Err(reply) => {
                transaction.refuse(reply);
                self.refuse(reply, out);
            }
        }
    }

    /// As [`Session::recipient_settled`] with a refusal that is not one of ours.
    pub(super) fn recipient_refused(&mut self, words: &str, out: &mut Output) {
        if let Some(transaction) = &mut self.transaction {
            transaction.refuse(reply::NOT_ALLOWED);
        }
        self.refusals += 1;
        if self.refusals >= self.settings.refusals_max {
            return self.close(reply::TOO_MANY_REFUSALS, out);
        }
        out.say_text("550 5.7.1 ");
        out.say_text(words);
        out.say_text("\r\n");
    }

    /// Policy said no: not a fault of protocol, but not for ever either (dictionaries).
    fn refuse(&mut self, reply: Reply, out: &mut Output) {
        self.refusals += 1;
        if self.refusals >= self.settings.refusals_max {
            self.close(reply::TOO_MANY_REFUSALS, out);
        } else {
            out.say(reply);
        }
    }
}
