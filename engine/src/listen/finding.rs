//! Where a recipient leads, for every door: looked up once and kept until the message is here.
//!
//! ```text
//! address ─ SRS of ours: back ─┐
//!         ─ inbound map ───────┴→ directory ─┬─ accounts
//!                                            ├─ alias ─→ accounts, and members elsewhere ─┐
//!                                            └─ not ours ─ outbound map ──────────────────┴→ route
//! ```
//!
//! A client needs leave to send to an address of another host. It needs none for an alias of ours,
//! whose members we chose, nor for an address of ours that stands for the sender of mail that we
//! sent on: only we can have made it.

use super::leads::{Lead, Leave, Members};
use crate::config::outbound::{Outbound, Whom};
use crate::config::{Config, Direction, NULL_PATH, Whose, text_of};
use crate::event;
use crate::route::{self, Away, Directory, Forward, Forwarded, Live, Reason, Route, home};
use store::mail::address::Address;

/// A message whose recipients are looked up.
pub(super) struct Finding<'m> {
    pub(super) live: &'m Live,
    pub(super) config: &'m Config,
    pub(super) directory: &'m Directory,
    pub(super) sender: Option<&'m Address>,
    /// Whose mail it is; asked for where a route asks.
    pub(super) tenant: &'m dyn Fn() -> String,
    pub(super) may_send: bool,
    /// It is to wait before anybody gets it (RFC 4865).
    pub(super) is_held: bool,
    /// Octets, as they were declared.
    pub(super) octets_hint: u64,
    pub(super) now_secs: &'m dyn Fn() -> u64,
}

/// Why a recipient is not taken.
pub(super) enum Astray {
    Refused(Reason),
    /// It claims to be an address that we made.
    Forged,
    Full,
    /// In words of the operator.
    Rejected(String),
    Denied,
    NoRoute,
    /// The shard that would queue it has no room.
    QueueFull,
}

/// What routes ask of a transaction; empty where none does.
#[derive(Clone, Default)]
struct Asked {
    sender: String,
    tenant: String,
}

impl Finding<'_> {
    /// Where it leads, and the address that holds where it is another one.
    pub(super) fn lead(&self, address: &Address) -> Result<(Lead, Option<Address>), Astray> {
        let found = route::find(self.config, self.directory, address, self.now_secs);
        let found = found.map_err(|_| Astray::Forged)?;
        let (changed, is_return) = (found.address, found.is_return);
        let to = changed.as_ref().unwrap_or(address);
        let lead = match found.route {
            Route::Local { targets, .. } => {
                let has_room = |target: &route::Target| target.account.has_room(self.octets_hint);
                if !targets.iter().any(has_room) {
                    return Err(Astray::Full);
                }
                match self.is_held {
                    false => Lead::Accounts(targets),
                    true => self.later(to, changed.clone())?,
                }
            }
            // Its members are found when it is released.
            Route::Forwarded(_) if self.is_held => self.later(to, changed.clone())?,
            Route::Forwarded(forwarded) => self.forwarded(address, forwarded)?,
            Route::Refused(reason) => return Err(Astray::Refused(reason)),
            Route::Foreign => self.foreign(to, changed.clone(), is_return)?,
        };
        Ok((lead, changed))
    }

    /// A recipient with us whose mail is to wait in our own queue.
    fn later(&self, to: &Address, changed: Option<Address>) -> Result<Lead, Astray> {
        let expire_secs = self.config.outbound.queue.pace.expire_secs;
        let leave = self.leave(to, expire_secs, &Asked::default())?;
        Ok(Lead::Later(Leave {
            address: changed,
            ..leave
        }))
    }

    /// Another host's recipient: for those who may, where there is a route.
    fn foreign(
        &self,
        to: &Address,
        changed: Option<Address>,
        is_return: bool,
    ) -> Result<Lead, Astray> {
        let asked = self.asked();
        let may_send = is_return || self.may_send;
        match route::away(&self.config.outbound, may_send, to, asked.whom()) {
            Away::Leaves { expire_secs } => {
                let leave = self.leave(to, expire_secs, &asked)?;
                Ok(Lead::Away(Leave {
                    address: changed,
                    ..leave
                }))
            }
            Away::Discarded => Ok(Lead::Nowhere),
            Away::Rejected(words) => Err(Astray::Rejected(words.to_owned())),
            Away::Denied => Err(Astray::Denied),
            Away::NoRoute => Err(Astray::NoRoute),
        }
    }

    /// An alias with members at other hosts. Those that have no way are left out and named, unless
    /// there is nobody else.
    fn forwarded(&self, alias: &Address, forwarded: Forwarded) -> Result<Lead, Astray> {
        let of_sender = self.asked();
        let mut members = Members {
            targets: forwarded.targets,
            forwards: Vec::with_capacity(forwarded.forwards.len()),
        };
        let (mut is_discarded, mut left_out) = (false, 0);
        let rewrites = &self.config.rewrites;
        for forward in forwarded.forwards.iter() {
            let (whose, way) = (Whose::Recipient, Direction::Outbound);
            let outward = rewrites.envelope(whose, way, &forward.address);
            let to = outward.as_ref().unwrap_or(&forward.address);
            let of_owner = self.asked_of(forward, &of_sender);
            let asked = of_owner.as_ref().unwrap_or(&of_sender);
            match route::away(&self.config.outbound, true, to, asked.whom()) {
                Away::Leaves { expire_secs } => {
                    let leave = self.leave(to, expire_secs, asked)?;
                    let address = outward;
                    let leave = Leave { address, ..leave };
                    members.forwards.push((forward.clone(), leave));
                }
                Away::Discarded => is_discarded = true,
                Away::Rejected(_) | Away::NoRoute | Away::Denied => left_out += 1,
            }
        }
        if left_out > 0 {
            let alias = alias.to_string();
            event!(
                Warn,
                "members without a route",
                alias = alias,
                count = left_out
            );
        }
        match (members.forwards.is_empty(), members.targets.is_empty()) {
            (true, true) if is_discarded => Ok(Lead::Nowhere),
            (true, true) => Err(Astray::NoRoute),
            (true, false) => Ok(Lead::Accounts(route::Targets::Many(members.targets))),
            (false, _) => Ok(Lead::Forwarded(Box::new(members))),
        }
    }

    fn leave(&self, to: &Address, expire_secs: u32, asked: &Asked) -> Result<Leave, Astray> {
        let home = usize::from(home(&to.domain, self.directory.shards()).0);
        if self.live.is_queue_full(home) {
            return Err(Astray::QueueFull);
        }
        let pattern = self.config.outbound.sender_pattern(&asked.sender);
        Ok(Leave {
            address: None,
            home,
            expire_secs,
            pattern: pattern.map(|pattern| pattern.into_owned()),
        })
    }

    fn asked(&self) -> Asked {
        let outbound: &Outbound = &self.config.outbound;
        if !outbound.asks_whom() {
            return Asked::default();
        }
        Asked {
            sender: match outbound.has_senders() {
                true => text_of(self.sender),
                false => String::new(),
            },
            tenant: (self.tenant)(),
        }
    }

    /// What a list sends on is its owner's.
    fn asked_of(&self, forward: &Forward, of_sender: &Asked) -> Option<Asked> {
        let owner = forward.owner.as_deref();
        let owner = owner.filter(|_| self.config.outbound.has_senders())?;
        (of_sender.sender != NULL_PATH).then(|| Asked {
            sender: text_of(Some(owner)),
            tenant: of_sender.tenant.clone(),
        })
    }
}

impl Asked {
    fn whom(&self) -> Whom<'_> {
        Whom {
            sender: &self.sender,
            tenant: &self.tenant,
        }
    }
}
