//! Comparisons of relays: mail in at one end, and out of each into a sink of this tool.

use super::command::Compare;
use super::turns::{Extent, Loaded};
use crate::load::fanout::Fanout;
use crate::peer::{Kind, Target};
use crate::scenario::options::misused;
use crate::scenario::relay::{RelayArgs, relay};
use anyhow::{Context, bail};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

impl Compare {
    /// What would be found out too late.
    pub(super) fn check_relaying(&self) -> anyhow::Result<()> {
        if self
            .servers
            .iter()
            .any(|kind| matches!(kind, Kind::Elsewhere(_)))
        {
            return misused("a relay that runs already is loaded by: ringpost-bench relay");
        }
        if self.message.recipients != Fanout::Fixed(1) || self.inbox.is_some() {
            return misused("--inbox and --recipients are for smtp and lmtp");
        }
        Ok(())
    }

    /// The sink sees everything, so that every run is audited, and done when all has come out.
    pub(super) fn relaying(
        &self,
        target: &Target,
        extent: Extent,
        stop: &Arc<AtomicBool>,
    ) -> anyhow::Result<Loaded> {
        let door = target.doors.smtp.as_ref();
        let door = door.with_context(|| format!("{} has no door for SMTP", target.name))?;
        let inject = self.inject(target, door, extent)?;
        let ending = relay(&RelayArgs::of(inject, self.sink), stop.clone())?;
        if ending.failed {
            bail!("{}", ending.outcome.remarks.join("; "));
        }
        Ok(Loaded {
            outcome: ending.outcome,
            copies: None,
        })
    }
}
