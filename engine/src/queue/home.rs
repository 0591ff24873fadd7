//! Mail for ourselves that its sender wanted held: out of the queue into its mailboxes (RFC 4865).
//!
//! Delivery and end are said in one frame, so that a crash delivers it once.

use super::dispatch::Dispatcher;
use super::letter::{Load, Parcel, wanted_of};
use super::nodes::Index;
use super::outcome::{Result as Came, Tried};
use super::owed::Debt;
use super::receipt::{HEAD_BYTES_MAX, wants_receipt};
use super::way_back::put;
use crate::config::outbound::Whom;
use crate::event;
use crate::intake::queue_id;
use crate::post::Submitted;
use crate::route::{self, Reason, Route, Targets};
use crate::session::smtp::trace;
use std::rc::Rc;
use store::error::ChangeError;
use store::mail::address::Address;
use store::mail::id::QueueId;
use store::shard::{End, Ending, Enhanced, HAS_ENDED, HostReply, Share, Source};

impl Dispatcher {
    /// Whether mail of a domain of the queue stays with us.
    pub(super) fn is_ours(&self, domain: &str) -> bool {
        self.live.directory.load().is_local(domain)
    }

    /// Delivers recipients of one domain of ours, one after the other.
    pub(super) async fn bring_home(self: &Rc<Self>, released: Vec<Index>) {
        let config = self.live.config.load_full();
        for index in released {
            let Some(item) = self.own_item_of(index) else {
                continue;
            };
            let pace = config.outbound.pace(&item.domain, Whom::default()).clone();
            let loaded = self.load(None, vec![index], u64::MAX, &pace).await;
            let Some(Load { mut parcels, body }) = loaded else {
                continue;
            };
            let Some(parcel) = parcels.pop() else {
                continue;
            };
            let octets = match body.content.whole().await {
                Ok(octets) => octets,
                Err(error) => {
                    self.unread(wanted_of(vec![parcel]), &error, &pace).await;
                    continue;
                }
            };
            if let Err(why) = self.deliver(&parcel, &body.source, octets).await {
                let tried = tried(parcel, &why);
                self.settle(vec![tried], &pace).await;
            }
        }
    }

    async fn deliver(
        self: &Rc<Self>,
        parcel: &Parcel,
        source: &Source,
        octets: Vec<u8>,
    ) -> Result<(), Why> {
        let address = &parcel.recipient.address;
        let (targets, members) = match route::resolve(&self.live.directory.load(), address) {
            Route::Local { targets, .. } => (targets, None),
            Route::Forwarded(forwarded) => {
                (Targets::Many(forwarded.targets), Some(forwarded.forwards))
            }
            Route::Refused(reason) => return Err(reason.into()),
            Route::Foreign => return Err(Reason::NoSuchUser.into()),
        };
        let now = self.now();
        let queue = self.queue_ids.next(now.unix_millis * 1000);
        let mut submitted = self.submitted(parcel, source, &targets, queue);
        if let Some(members) = members {
            submitted.outbound = self.onward(parcel, source, &members);
        }
        let has_others = submitted.shares.len() > 1 || !submitted.outbound.is_empty();
        let end = End {
            item: parcel.item.id,
            at_secs: now.unix_secs() as i64,
            ending: Ending::Delivered,
            reply: HostReply {
                text: "released and delivered here".to_owned(),
                ..HostReply::default()
            },
        };
        let name = format!("{}.{}", self.shard, parcel.item.id.0);
        let debt = debt(parcel, (source, &name), targets.len() > 1, &octets);
        submitted.memos.extend(debt.as_ref().and_then(Debt::memo));
        let taken = self
            .intake
            .take_own(octets, submitted, vec![end.clone()])
            .await;
        match taken {
            Ok(taken) if has_others || taken.shares.iter().any(Result::is_ok) => {}
            Ok(_) => return Err(Reason::OverQuota.into()),
            Err(ChangeError::Cannot(HAS_ENDED)) => {
                self.board.borrow_mut().end(parcel.index);
                return Ok(());
            }
            Err(error) => return Err(Why::later((3, 0), error.to_string())),
        }
        self.board.borrow_mut().end(parcel.index);
        event!(
            Info,
            "released",
            shard = self.shard,
            item = parcel.item.id.0,
            queue_id = queue_id::text(queue),
            to = address.to_string()
        );
        self.pay_debts(debt.into_iter().collect()).await;
        Ok(())
    }

    fn submitted(
        &self,
        parcel: &Parcel,
        source: &Source,
        targets: &Targets,
        queue: QueueId,
    ) -> Submitted {
        let recipient = &parcel.recipient;
        let mut shares = vec![(self.shard, Vec::new())];
        for target in targets.iter() {
            let share = Share {
                account: target.account.address.to_string(),
                recipient: recipient.address.clone(),
                notify: recipient.notify,
                orcpt: recipient.orcpt.clone(),
                prefix: prefix(source.reverse_path.as_ref(), &recipient.address),
            };
            put(&mut shares, share, target);
        }
        Submitted {
            queue,
            source: source.clone(),
            received_secs: self.now().unix_secs() as i64,
            stream: None,
            tail: Vec::new(),
            each_alone: false,
            shares,
            outbound: Vec::new(),
            memos: Vec::new(),
        }
    }
}

/// The receipt that is owed when it is delivered under this name.
fn debt(
    parcel: &Parcel,
    (source, name): (&Source, &str),
    is_list: bool,
    octets: &[u8],
) -> Option<Debt> {
    let sender = source.reverse_path.as_ref();
    if !wants_receipt(&parcel.recipient, sender) {
        return None;
    }
    Some(Debt {
        reverse_path: sender?.clone(),
        queue_id: name.to_owned(),
        arrived_secs: i64::from(parcel.item.enqueued_secs),
        envid: source.envid.clone(),
        smtputf8: source.smtputf8,
        recipients: vec![(parcel.recipient.clone(), is_list)],
        head: octets.get(..HEAD_BYTES_MAX).unwrap_or(octets).to_vec(),
    })
}

/// Why a mailbox of ours does not take it.
struct Why {
    is_permanent: bool,
    status: (u16, u16),
    text: String,
}

impl Why {
    fn later(status: (u16, u16), text: String) -> Why {
        Why {
            is_permanent: false,
            status,
            text,
        }
    }
}

impl From<Reason> for Why {
    fn from(reason: Reason) -> Why {
        let (is_permanent, status, text) = match reason {
            Reason::NoSuchUser | Reason::NoPostmaster => (true, (1, 1), "no such user here"),
            Reason::AliasLoop | Reason::TooManyTargets => (true, (4, 6), "alias loop"),
            Reason::Disabled => (true, (2, 1), "mailbox disabled"),
            Reason::OverQuota => (false, (2, 2), "mailbox full"),
        };
        Why {
            is_permanent,
            status,
            text: text.to_owned(),
        }
    }
}

fn tried(parcel: Parcel, why: &Why) -> Tried {
    let (result, class) = match why.is_permanent {
        true => (Came::Failed, 5),
        false => (Came::Deferred, 4),
    };
    Tried {
        index: parcel.index,
        item: parcel.item,
        terms: parcel.terms,
        result,
        said: HostReply {
            host: String::new(),
            code: 0,
            enhanced: Some(Enhanced {
                class,
                subject: why.status.0,
                detail: why.status.1,
            }),
            text: why.text.clone(),
            way: None,
        },
    }
}

fn prefix(reverse_path: Option<&Address>, recipient: &Address) -> Vec<u8> {
    let mut prefix = Vec::new();
    trace::return_path(reverse_path, &mut prefix);
    trace::delivered_to(recipient, &mut prefix);
    prefix
}
