//! Comparisons of what mailboxes hold out: sessions over IMAP, and users' days.

use super::command::{Compare, PILOT_MESSAGES};
use super::turns::{Extent, Loaded};
use crate::client::imap::deed::Deed;
use crate::load::accounts::Accounts;
use crate::load::fanout::Fanout;
use crate::outcome::Audit;
use crate::peer::Target;
use crate::scenario::imap::{ImapArgs, imap};
use crate::scenario::mixed::{MixedArgs, mixed};
use crate::scenario::options::{AccessArgs, ReportArgs, ServerArgs, misused};
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
        let mut load = self.load.clone();
        load.warm_up = 0.0;
        if extent == Extent::Pilot {
            load.messages = Some(PILOT_MESSAGES);
            load.secs = None;
        }
        let args = ImapArgs {
            target: imap_door(target)?,
            work: self.work.clone(),
            accounts: self.accounts_of(target)?,
            size: self.message.size.clone(),
            audit: extent == Extent::Pilot && self.work.deeds.contains(&Deed::Append),
            load,
            access: self.access_of(target),
            server: self.server_of(target),
            report: ReportArgs::default(),
        };
        loaded(imap(&args, stop.clone())?)
    }

    pub(super) fn days(
        &self,
        target: &Target,
        extent: Extent,
        stop: &Arc<AtomicBool>,
    ) -> anyhow::Result<Loaded> {
        let accounts = self.accounts_of(target)?;
        let (smtp, lmtp) = match target.doors.lmtp.clone() {
            Some(lmtp) => (None, Some(lmtp)),
            None => (target.doors.smtp.clone(), None),
        };
        let args = MixedArgs {
            smtp,
            lmtp,
            imap: imap_door(target)?,
            submission: None,
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

fn imap_door(target: &Target) -> anyhow::Result<String> {
    let door = target.doors.imap.clone();
    door.with_context(|| format!("{} has no IMAP door", target.name))
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
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        compare: Compare,
    }

    fn compare(line: &str) -> Compare {
        let words = ["bench"].into_iter().chain(line.split(' '));
        Line::try_parse_from(words).unwrap().compare
    }

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
    }
}
