//! Servers to compare with: set up on loopback in a scratch directory, counted, ended and removed.
//!
//! A [`Yard`] is the directory and a keeper process that clears it, whatever becomes of this tool;
//! each server has a room that writes its settings, starts it and says what is durable when. The
//! machine's own instances are never touched: other ports, other folders, other pids.

mod chamber;
pub(crate) mod command;
pub(crate) mod count;
mod dovecot;
mod exim;
pub(crate) mod keeper;
mod kind;
mod opensmtpd;
mod order;
mod packages;
mod postfix;
mod ringpost;
pub(crate) mod roster;
mod sink;
mod target;
mod yard;

pub(crate) use kind::Kind;
pub(crate) use packages::program;
pub(crate) use target::{Counting, Doors, Target};
pub(crate) use yard::{Yard, await_silence};

use anyhow::{Context, bail};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where and for whom servers are set up.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Folders are made in it.
    pub(crate) scratch: PathBuf,
    pub(crate) users: usize,
    /// They pass all mail on to this host, instead of delivering it.
    pub(crate) next_hop: Option<SocketAddr>,
}

/// A server, and its yard if it is ours.
pub(crate) struct Peer {
    pub(crate) target: Target,
    yard: Option<Yard>,
}

impl Peer {
    /// Sets up and starts what is wished for; on an error nothing is left.
    pub(crate) fn raise(kind: &Kind, place: &Place) -> anyhow::Result<Peer> {
        let domain = place.next_hop.map_or(DOMAIN, |_| RELAYED_DOMAIN);
        let target = Target {
            name: kind.to_string(),
            users: (0..place.users)
                .map(|n| format!("user{n}@{domain}"))
                .collect(),
            password: PASSWORD.to_string(),
            next_hop: place.next_hop,
            ..Target::default()
        };
        if let Kind::Elsewhere(door) = kind {
            return Ok(Peer::elsewhere(target, door));
        }
        let tool = std::env::current_exe().context("this tool's own file")?;
        let name = target.name.replace(':', "-");
        let mut yard = Yard::open(&tool, &place.scratch, &name)?;
        let raised = raise(kind, &mut yard, target).with_context(|| kind.to_string())?;
        let target = Target {
            folder: Some(yard.folder().to_path_buf()),
            pid: Some(yard.keeper_pid()),
            cgroup: yard.cgroup().map(Path::to_path_buf),
            // What a relay has passed on is counted where it arrives.
            counting: place
                .next_hop
                .map_or(raised.counting, |_| Counting::Acknowledged),
            ..raised
        };
        roster::note(&target)?;
        Ok(Peer {
            target,
            yard: Some(yard),
        })
    }

    fn elsewhere(target: Target, door: &str) -> Peer {
        // What it speaks is what the scenario speaks.
        let same = Some(door.to_string());
        let doors = Doors {
            smtp: same.clone(),
            submissions: same.clone(),
            lmtp: same.clone(),
            imap: same.clone(),
            imaps: same.clone(),
            pop3: same,
            http: None,
        };
        Peer {
            target: Target {
                server: door.to_string(),
                durability: "not known".to_string(),
                doors,
                ..target
            },
            yard: None,
        }
    }

    /// Lets it run on when the tool ends.
    pub(crate) fn detach(self) -> anyhow::Result<Target> {
        if let Some(yard) = self.yard {
            yard.detach()?;
        }
        Ok(self.target)
    }

    /// Ends it and removes what it left.
    pub(crate) fn clear(self) -> anyhow::Result<()> {
        self.yard.map_or(Ok(()), Yard::clear)
    }
}

fn raise(kind: &Kind, yard: &mut Yard, target: Target) -> anyhow::Result<Target> {
    if target.next_hop.is_some() && !kind.relays() {
        bail!("it is not set up as a relay here");
    }
    match kind {
        Kind::Ringpost { shards } => ringpost::raise(yard, target, *shards),
        Kind::PostfixQueue => postfix::raise_alone(yard, target),
        Kind::PostfixDovecot => dovecot::raise_behind_postfix(yard, target),
        Kind::Dovecot => dovecot::raise_alone(yard, target),
        Kind::Exim => exim::raise(yard, target),
        Kind::OpenSmtpd => opensmtpd::raise(yard, target),
        Kind::SmtpSink => sink::raise(yard, target),
        Kind::Elsewhere(_) => Ok(target),
    }
}

pub(crate) const DOMAIN: &str = "example.test";
/// Whose mail is for others.
const RELAYED_DOMAIN: &str = "example.net";
const PASSWORD: &str = "secret";
