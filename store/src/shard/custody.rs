//! How mail arrives: custody from SMTP, offers of other shards.

use super::belonging::messages_fit;
use super::memo::{draft_memos, may_claim, memo_bytes};
use super::queue::{NOTE_BYTES_MAX, QUEUED_TOGETHER_MAX, draft_ends, draft_queue, may_end};
use super::{BodyWriter, Entry, Shard};
use crate::disk::Disk;
use crate::error::ChangeError;
use crate::limit::{FRAME_BYTES_MAX, PREFIX_BYTES_MAX, RECIPIENTS_MAX};
use crate::log::RECORD_HEADER_BYTES;
use crate::mail::date::InternalDate;
use crate::mail::envelope::Notify;
use crate::mail::flags::{Flags, Keywords};
use crate::mail::id::{AccountId, MailboxId, ObjectId, QueueId, Uid};
use crate::mailbox::state::State;
use crate::mailbox::{Account, Watch};
use crate::record::{
    Deliver, End, Fact, Memo, MemoChange, MessageHead, Offer, Outbound, Share, Source,
};
use crate::spool::Judgement;
use std::rc::Rc;

/// A message of which we take custody, all of it in one frame.
#[derive(Debug, Default)]
pub struct Custody {
    pub queue: QueueId,
    pub source: Source,
    pub received_secs: i64,
    pub body: BodyWriter,
    /// Each recipient is answered for alone (LMTP), so one may be refused while another is taken.
    pub each_alone: bool,
    /// Recipients of this shard.
    pub shares: Vec<Share>,
    /// Recipients of other shards, which get it from our spool.
    pub offers: Vec<(u16, Vec<Share>)>,
    /// Recipients at other hosts whose queue is ours.
    pub outbound: Vec<Outbound>,
    /// Recipients at other hosts whose queue is that of another shard, which gets them, like
    /// `offers`, from our spool.
    pub outbound_offers: Vec<(u16, Vec<Outbound>)>,
    /// Items of our queue that end with this: a DSN is in custody exactly if what it reports has
    /// ended. If one of them has ended already, nothing is taken: `Cannot(HAS_ENDED)`. If all
    /// shares are refused, nothing is kept, and nothing ends.
    pub ends: Vec<End>,
    /// In force exactly if this is in custody; each replaces one that has its key. With `claims`
    /// none may have it yet, or be about to: else nothing is taken, `Cannot(IS_CLAIMED)`.
    pub memos: Vec<Memo>,
    pub claims: bool,
}

/// What became of each recipient, in the order of `shares`.
#[derive(Debug)]
pub struct Delivered {
    pub shares: Vec<Result<Uid, ChangeError>>,
}

impl<D: Disk> Shard<D> {
    /// Takes custody of a message: when this returns `Ok`, every share that says so and every
    /// offer is durable. Shares above their quota are refused, all of them or, where each is
    /// answered for alone, each by itself; if that leaves nothing, nothing is kept. A share whose
    /// account nobody knows any more is refused with `NoAccount`.
    pub async fn take(&self, custody: Custody) -> Result<Delivered, ChangeError> {
        let bytes = custody_bytes(&custody)?;
        self.open_accounts(&custody.shares).await?;
        self.log.room(bytes).await?;
        self.commit_custody(custody, None).await
    }

    /// Delivers what another shard offers, exactly once and in the order of the offers: one that
    /// comes before its turn waits. `None`: it was durable here already. Quotas were asked before
    /// custody was taken, so they refuse nothing here.
    pub async fn take_offered(
        &self,
        source: u16,
        sequence: u64,
        custody: Custody,
    ) -> Result<Option<Delivered>, ChangeError> {
        let bytes = custody_bytes(&custody)?;
        let mut turns = self.state.borrow().spool.watch_turns();
        // Nothing suspends between the last round and the append: its turn stays its turn.
        loop {
            self.log.room(bytes).await?;
            match self.judge_offer(source, sequence) {
                Judgement::Durable => return Ok(None),
                Judgement::Later => turns.changed().await,
                Judgement::Fresh if self.are_open(&custody.shares) => break,
                Judgement::Fresh => self.open_accounts(&custody.shares).await?,
            }
        }
        let delivered = self.commit_custody(custody, Some((source, sequence)));
        Ok(Some(delivered.await?))
    }

    /// Whether the offer `sequence` of shard `source` is still to be delivered here.
    fn judge_offer(&self, source: u16, sequence: u64) -> Judgement {
        self.state.borrow().spool.judge(source, sequence)
    }

    /// The oldest offers that shard `target` is owed, above `after`, at most `most`.
    pub fn offers(&self, target: u16, after: u64, most: usize) -> Vec<Rc<Offer>> {
        self.state.borrow().spool.waiting(target, after, most)
    }

    /// How many offers are not yet settled.
    pub fn offers_waiting(&self) -> usize {
        self.state.borrow().spool.waiting_count()
    }

    /// Rings when there are new offers.
    pub fn watch_offers(&self) -> Watch {
        self.state.borrow().spool.watch()
    }

    /// Everything offered to `target` up to `sequence` is durable there.
    pub async fn settle_offers(&self, target: u16, sequence: u64) -> Result<(), ChangeError> {
        self.log.room_urgent(64 + RECORD_HEADER_BYTES).await?;
        let fact = Fact::Offered { target, sequence };
        let frame = self.put(AccountId(0), vec![Entry::of(fact)])?;
        Ok(self.log.durable(frame).await?)
    }

    /// The caller has awaited room and not suspended since.
    async fn commit_custody(
        &self,
        custody: Custody,
        offered: Option<(u16, u64)>,
    ) -> Result<Delivered, ChangeError> {
        let Custody {
            queue,
            source,
            received_secs,
            mut body,
            each_alone,
            shares,
            offers,
            outbound,
            outbound_offers,
            ends,
            memos,
            claims,
        } = custody;
        let memos: Vec<MemoChange> = memos.into_iter().map(MemoChange::Put).collect();
        let onward = Onward {
            outbound,
            offers,
            outbound_offers,
        };
        let mut delivered = Delivered {
            shares: Vec::with_capacity(shares.len()),
        };
        let mut batches = Vec::with_capacity(shares.len() + 1);
        {
            let mut state = self.state.borrow_mut();
            may_end(&state, &ends)?;
            if claims {
                may_claim(&state, &memos, (self.now_secs)())?;
            }
            batches.extend(offered.map(|offer| draft_seen(&mut state, offer)));
            let head = self.draft_message(&mut state, queue, source, &body, Some(received_secs));
            let message = head.object;
            let entry = Entry {
                body: &body.tail,
                ..Entry::of(Fact::Message(head))
            };
            batches.push((AccountId(0), entry));
            let size = body.octets();
            // SMTP has one answer for all: a quota refuses everybody or nobody.
            let may_refuse = offered.is_none()
                && (each_alone || onward.is_empty() && are_all_full(&state, &shares, size));
            for share in shares {
                let outcome =
                    draft_share(&mut state, share, message, size, received_secs, may_refuse);
                delivered.shares.push(outcome.map(|(account, deliver)| {
                    let uid = deliver.uid;
                    batches.push((account, Entry::of(Fact::Deliver(deliver))));
                    uid
                }));
            }
            onward.draft(&mut state, (message, size), received_secs, &mut batches);
            if batches.len() == 1 {
                return Ok(delivered);
            }
            draft_ends(&mut state, ends, &mut batches);
            draft_memos(&state, memos, &mut batches);
        }
        let frame = self.put_all(batches)?;
        // It is in the frame now: those who wait for the disk hold no octets of their own.
        body.tail = Vec::new();
        self.log.durable(frame).await?;
        Ok(delivered)
    }

    /// Makes the accounts of shares that are known and not here yet.
    async fn open_accounts(&self, shares: &[Share]) -> Result<(), ChangeError> {
        for share in shares.iter().filter(|share| self.is_unopened(share)) {
            self.open_account(&share.account).await?;
        }
        Ok(())
    }

    fn are_open(&self, shares: &[Share]) -> bool {
        !shares.iter().any(|share| self.is_unopened(share))
    }

    /// An account of the configuration is made by its first mail; one that was removed is not
    /// made again by the last mail for it.
    fn is_unopened(&self, share: &Share) -> bool {
        let is_here = self.state.borrow().account_at(&share.account).is_some();
        !is_here && self.configuration.borrow().knows(&share.account)
    }

    pub(super) fn draft_message(
        &self,
        state: &mut State,
        queue: QueueId,
        source: Source,
        body: &BodyWriter,
        received_secs: Option<i64>,
    ) -> MessageHead {
        MessageHead {
            object: state.next_object(),
            queue,
            received_secs: received_secs.unwrap_or_else(|| (self.now_secs)()),
            octets: body.octets(),
            source,
            pieces: body.pieces.clone(),
        }
    }
}

/// What of a custody is not for accounts of this shard.
struct Onward {
    outbound: Vec<Outbound>,
    offers: Vec<(u16, Vec<Share>)>,
    outbound_offers: Vec<(u16, Vec<Outbound>)>,
}

impl Onward {
    fn is_empty(&self) -> bool {
        self.outbound.is_empty() && self.offers.is_empty() && self.outbound_offers.is_empty()
    }

    fn draft(
        self,
        state: &mut State,
        message: (ObjectId, u64),
        received_secs: i64,
        batches: &mut Vec<(AccountId, Entry<'_>)>,
    ) {
        draft_queue(state, message, received_secs, self.outbound, batches);
        for (target, shares) in self.offers {
            draft_offers(state, target, message.0, shares, batches);
        }
        for (target, outbound) in self.outbound_offers {
            draft_outbound_offers(state, target, message.0, outbound, batches);
        }
    }
}

pub(super) struct Arrival {
    pub(super) object: ObjectId,
    pub(super) message: ObjectId,
    pub(super) octets: u64,
    pub(super) saved_secs: i64,
}

/// Says that an offer is taken, whose turn it is.
fn draft_seen<'a>(state: &mut State, (source, sequence): (u16, u64)) -> (AccountId, Entry<'a>) {
    assert_eq!(state.spool.judge(source, sequence), Judgement::Fresh);
    state.spool.taking(source, sequence);
    (AccountId(0), Entry::of(Fact::Seen { source, sequence }))
}

fn are_all_full(state: &State, shares: &[Share], body_octets: u64) -> bool {
    let owner = |share: &Share| state.account(state.account_at(&share.account)?);
    let is_full = |share: &Share| {
        let octets = body_octets + share.prefix.len() as u64;
        owner(share).is_none_or(|owner| {
            owner.would_exceed(octets) || messages_fit(state, owner.id, 1).is_err()
        })
    };
    shares.iter().all(is_full)
}

fn draft_share(
    state: &mut State,
    share: Share,
    message: ObjectId,
    body_octets: u64,
    received_secs: i64,
    may_refuse: bool,
) -> Result<(AccountId, Box<Deliver>), ChangeError> {
    assert!(
        share.prefix.len() <= PREFIX_BYTES_MAX,
        "prefixes are built by us"
    );
    let account = state
        .account_at(&share.account)
        .ok_or(ChangeError::NoAccount)?;
    let octets = body_octets + share.prefix.len() as u64;
    let object = state.next_object();
    if may_refuse {
        messages_fit(state, account, 1)?;
    }
    let owner = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
    if may_refuse && owner.would_exceed(octets) {
        return Err(ChangeError::OverQuota);
    }
    let inbox = owner.inbox().ok_or(ChangeError::NoMailbox)?;
    let date = InternalDate::utc(received_secs);
    let mut deliver = draft_delivery(
        owner,
        inbox,
        Arrival {
            object,
            message,
            octets,
            saved_secs: received_secs,
        },
        date,
    )?;
    deliver.recipient = Some(share.recipient);
    deliver.notify = share.notify;
    deliver.orcpt = share.orcpt;
    deliver.prefix = share.prefix;
    Ok((account, Box::new(deliver)))
}

/// Gives out a UID and a MODSEQ and counts the octets against the quota.
pub(super) fn draft_delivery(
    owner: &mut Account,
    mailbox: MailboxId,
    arrival: Arrival,
    internal_date: InternalDate,
) -> Result<Deliver, ChangeError> {
    let contents = owner.open_contents(mailbox)?;
    let uid = contents.tip_uid_next;
    if uid.0 == u32::MAX {
        return Err(ChangeError::Limit("UIDs of one mailbox"));
    }
    contents.tip_uid_next = Uid(uid.0 + 1);
    let octets = u32::try_from(arrival.octets).map_err(|_| ChangeError::Limit("size"))?;
    owner.tip_octets += arrival.octets;
    Ok(Deliver {
        object: arrival.object,
        message: arrival.message,
        mailbox,
        uid,
        modseq: owner.next_modseq(),
        flags: Flags::NONE,
        keywords: Keywords::NONE,
        internal_date,
        saved_secs: arrival.saved_secs,
        octets,
        recipient: None,
        notify: Notify::UNSET,
        orcpt: None,
        prefix: Vec::new(),
    })
}

/// One OFFER for every few hundred recipients, so that each fits in a record.
fn draft_offers(
    state: &mut State,
    target: u16,
    message: ObjectId,
    mut shares: Vec<Share>,
    batches: &mut Vec<(AccountId, Entry<'_>)>,
) {
    while !shares.is_empty() {
        let rest = shares.split_off(shares.len().min(OFFERED_SHARES_MAX));
        let sequence = state.spool.next_sequence(target);
        let offer = Offer {
            target,
            sequence,
            message,
            recipients: shares,
            outbound: Vec::new(),
        };
        batches.push((AccountId(0), Entry::of(Fact::Offer(Box::new(offer)))));
        shares = rest;
    }
}

/// As [`draft_offers`], for recipients at other hosts.
fn draft_outbound_offers(
    state: &mut State,
    target: u16,
    message: ObjectId,
    mut outbound: Vec<Outbound>,
    batches: &mut Vec<(AccountId, Entry<'_>)>,
) {
    while !outbound.is_empty() {
        let rest = outbound.split_off(outbound.len().min(OFFERED_SHARES_MAX));
        let offer = Offer {
            target,
            sequence: state.spool.next_sequence(target),
            message,
            recipients: Vec::new(),
            outbound,
        };
        batches.push((AccountId(0), Entry::of(Fact::Offer(Box::new(offer)))));
        outbound = rest;
    }
}

/// What a custody takes in the log, not counting the pieces that already lie there.
fn custody_bytes(custody: &Custody) -> Result<usize, ChangeError> {
    let offered = custody.offers.iter().flat_map(|(_, shares)| shares);
    let mut recipients = 0;
    let mut bytes = custody.body.tail.len() + custody.body.pieces.len() * 12 + 4096;
    for share in custody.shares.iter().chain(offered) {
        recipients += 1;
        bytes += share.prefix.len()
            + share.account.len()
            + share.recipient.local.len()
            + share.recipient.domain.len()
            + share.orcpt.as_ref().map_or(0, String::len)
            + SHARE_BYTES
            + RECORD_HEADER_BYTES;
    }
    let offered = custody.outbound_offers.iter().map(|(_, to)| to);
    for together in [&custody.outbound].into_iter().chain(offered) {
        recipients += together.len();
        bytes += outbound_bytes(together);
    }
    bytes += custody.ends.len() * NOTE_BYTES_MAX;
    let memos = custody.memos.iter();
    bytes += memo_bytes(memos.map(|memo| (memo.fault(), memo.octets())))?;
    if recipients > RECIPIENTS_MAX || bytes > FRAME_BYTES_MAX - 4096 {
        return Err(ChangeError::Limit("recipients of one message"));
    }
    Ok(bytes)
}

/// What recipients at other hosts take in the log: those with the same trace have it once in a
/// record.
fn outbound_bytes(together: &[Outbound]) -> usize {
    let (mut bytes, mut prefix): (usize, &[u8]) = (0, &[]);
    for (place, outbound) in together.iter().enumerate() {
        if place.is_multiple_of(QUEUED_TOGETHER_MAX) || *prefix != *outbound.prefix {
            prefix = &outbound.prefix;
            bytes += prefix.len();
        }
        bytes += outbound.tenant.len()
            + outbound.recipient.local.len()
            + outbound.recipient.domain.len()
            + outbound.orcpt.as_ref().map_or(0, String::len)
            + SHARE_BYTES
            + RECORD_HEADER_BYTES;
    }
    bytes
}

/// The fixed fields of a DELIVER or of a share in an OFFER, rounded up.
const SHARE_BYTES: usize = 160;

/// Shares in one OFFER record.
const OFFERED_SHARES_MAX: usize = 128;

const _: () = assert!(OFFERED_SHARES_MAX == QUEUED_TOGETHER_MAX);
const _: () =
    assert!(OFFERED_SHARES_MAX * (PREFIX_BYTES_MAX + 2048) < crate::limit::RECORD_BYTES_MAX);
