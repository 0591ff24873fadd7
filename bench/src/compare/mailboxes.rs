//! Comparisons of what mailboxes hold out: sessions over IMAP, polls over POP3, and users' days.

use super::command::{Compare, PILOT_MESSAGES};
use super::turns::{Extent, Loaded};
use crate::client::imap::deed::Deed;
use crate::load::accounts::Accounts;
use crate::load::fanout::Fanout;
use crate::outcome::Audit;
use crate::peer::{Kind, Target};
use crate::scenario::imap::{ImapArgs, WorkArgs, imap};
use crate::scenario::mixed::{MixedArgs, mixed};
use crate::scenario::options::{AccessArgs, LoadArgs, ReportArgs, ServerArgs, TlsMode, misused};
use crate::scenario::pop3::{Pop3Args, pop3};
use crate::scenario::submit::Ending;
use anyhow::{Context, bail};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

impl Compare {
    /// What would be found out too late.
    pub(super) fn check_sessions(&self) -> anyhow::Result<()> {
        self.check_mailboxes()?;
        match self.work.deeds.contains(&Deed::Idle) {
            true => misused("a population in IDLE is of one server: ringpost-bench imap --do idle"),
            false => Ok(()),
        }
    }

    /// What would be found out too late.
    pub(super) fn check_days(&self) -> anyhow::Result<()> {
        self.check_mailboxes()?;
        let is_elsewhere = |kind: &Kind| matches!(kind, Kind::Elsewhere(_));
        match self.servers.iter().any(is_elsewhere) {
            true => misused("days need more than one door: ringpost-bench mixed takes them all"),
            false => Ok(()),
        }
    }

    /// Options that would do nothing.
    pub(super) fn check_mailboxes(&self) -> anyhow::Result<()> {
        let wire = &self.wire;
        let is_one = self.message.recipients == Fanout::Fixed(1);
        if wire.no_pipelining || wire.chain || wire.bdat || self.inbox.is_some() || !is_one {
            return misused(
                "--no-pipelining, --chain, --bdat, --inbox and --recipients are for smtp and lmtp",
            );
        }
        Ok(())
    }

    pub(super) fn sessions(
        &self,
        target: &Target,
        extent: Extent,
        stop: &Arc<AtomicBool>,
    ) -> anyhow::Result<Loaded> {
        let does_append = self.work.deeds.contains(&Deed::Append);
        let args = ImapArgs {
            work: self.work.clone(),
            audit: extent == Extent::Pilot && does_append,
            ..self.imap_args(target, extent)?
        };
        loaded(imap(&args, stop.clone())?)
    }

    pub(super) fn polls(
        &self,
        target: &Target,
        extent: Extent,
        stop: &Arc<AtomicBool>,
    ) -> anyhow::Result<Loaded> {
        if extent == Extent::Pilot && target.folder.is_some() {
            // Whoever is polled needs mail: a connection that logs in fills its mailbox first.
            let fill = self.imap_args(target, extent)?;
            loaded(imap(&fill, stop.clone())?)?;
        }
        let args = Pop3Args {
            target: door(target, "POP3", &target.doors.pop3)?,
            orders: self.poll.orders.clone(),
            accounts: self.accounts_of(target)?,
            login: self.work.login,
            each: self.poll.each,
            load: self.load_of(extent),
            access: self.access_of(target),
            server: self.server_of(target),
            report: ReportArgs::default(),
        };
        loaded(pop3(&args, stop.clone())?)
    }

    /// Sessions that look at messages of their INBOX, which is filled before.
    fn imap_args(&self, target: &Target, extent: Extent) -> anyhow::Result<ImapArgs> {
        Ok(ImapArgs {
            target: self.imap_door(target)?,
            work: WorkArgs {
                deeds: vec![Deed::Fetch],
                mailbox: "INBOX".to_owned(),
                ..self.work.clone()
            },
            accounts: self.accounts_of(target)?,
            size: self.message.size.clone(),
            audit: false,
            load: self.load_of(extent),
            access: self.access_of(target),
            server: self.server_of(target),
            report: ReportArgs::default(),
        })
    }

    /// The pilot is the warm-up.
    fn load_of(&self, extent: Extent) -> LoadArgs {
        let mut load = self.load.clone();
        load.warm_up = 0.0;
        if extent == Extent::Pilot {
            load.messages = Some(PILOT_MESSAGES);
            load.secs = None;
        }
        load
    }

    pub(super) fn days(
        &self,
        target: &Target,
        extent: Extent,
        stop: &Arc<AtomicBool>,
    ) -> anyhow::Result<Loaded> {
        let accounts = self.accounts_of(target)?;
        let doors = &target.doors;
        let (smtp, lmtp, submission) = match self.lmtp {
            true => (None, Some(door(target, "LMTP", &doors.lmtp)?), None),
            false => {
                let smtp = door(target, "SMTP", &doors.smtp)
                    .and_then(|smtp| Ok((smtp, door(target, "submission", &doors.submissions)?)));
                let (smtp, submission) = smtp.context("--lmtp loads servers by LMTP instead")?;
                (Some(smtp), None, Some(submission))
            }
        };
        let args = MixedArgs {
            smtp,
            lmtp,
            imap: self.imap_door(target)?,
            submission_tls: submission.as_ref().map(|_| TlsMode::Implicit),
            submission,
            users: accounts.len(),
            accounts: Some(accounts),
            day: self.day.clone(),
            size: self.message.size.clone(),
            secs: match extent {
                Extent::Pilot => PILOT_SECS,
                Extent::Whole => self.load.secs.unwrap_or(DAY_SECS_DEFAULT),
            },
            threads: self.load.threads,
            seed: self.load.seed,
            sources: self.load.sources.clone(),
            access: self.access_of(target),
            server: self.server_of(target),
            report: ReportArgs::default(),
        };
        loaded(mixed(&args, stop.clone())?)
    }

    fn imap_door(&self, target: &Target) -> anyhow::Result<String> {
        match self.wire.access.tls {
            TlsMode::Implicit => door(target, "IMAPS", &target.doors.imaps),
            _ => door(target, "IMAP", &target.doors.imap),
        }
    }

    fn accounts_of(&self, target: &Target) -> anyhow::Result<Accounts> {
        match target.folder {
            Some(_) => target.users.join(",").parse().map_err(anyhow::Error::msg),
            None => Ok(self.message.accounts.clone()),
        }
    }

    fn access_of(&self, target: &Target) -> AccessArgs {
        let mut access = self.wire.access.clone();
        if target.folder.is_some() {
            access.password = Some(target.password.clone());
        }
        access
    }

    fn server_of(&self, target: &Target) -> ServerArgs {
        ServerArgs {
            i_own_this_server: self.i_own_this_server.clone(),
            folder: target.folder.clone(),
            durability: Some(target.durability.clone()),
            ..ServerArgs::default()
        }
    }
}

fn door(target: &Target, protocol: &str, door: &Option<String>) -> anyhow::Result<String> {
    let door = door.clone();
    door.with_context(|| format!("{} has no {protocol} door", target.name))
}

/// A run that failed or lost something is none to compare.
fn loaded(ending: Ending) -> anyhow::Result<Loaded> {
    let outcome = ending.outcome;
    if !outcome.audit.as_ref().is_none_or(Audit::is_clean) {
        bail!("messages were lost, doubled or altered: run it alone to see which");
    }
    if ending.failed {
        bail!("{}", outcome.remarks.join("; "));
    }
    Ok(Loaded {
        outcome,
        copies: None,
    })
}

/// Enough for each user to log in.
const PILOT_SECS: f64 = 3.0;
const DAY_SECS_DEFAULT: f64 = 60.0;

#[cfg(test)]
mod tests {
    use super::super::command::tests::compare;

    #[test]
    fn what_says_nothing_about_mailboxes_is_refused() {
        let fine = "imap --servers ringpost,dovecot --do append,search --size 1k";
        assert!(compare(fine).check_sessions().is_ok());
        assert!(
            compare("imap --servers a:1 --do idle")
                .check_sessions()
                .is_err()
        );
        for wrong in ["--bdat", "--chain", "--inbox 3", "--recipients 2"] {
            let compare = compare(&format!("mixed --servers ringpost {wrong}"));
            assert!(compare.check_mailboxes().is_err(), "{wrong}");
        }
        let alone = compare("mixed --servers ringpost,127.0.0.1:25");
        let why = alone.check_days().unwrap_err().to_string();
        assert!(why.contains("ringpost-bench mixed"), "{why}");
        assert!(
            compare("pop3 --servers 127.0.0.1:110 --poll stat,retr")
                .check_mailboxes()
                .is_ok()
        );
    }
}
