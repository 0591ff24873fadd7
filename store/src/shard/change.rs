//! STORE, EXPUNGE, COPY and MOVE.

use super::belonging::messages_fit;
use super::{Entry, Shard};
use crate::disk::Disk;
use crate::error::ChangeError;
use crate::limit::{FRAME_BYTES_MAX, KEYWORD_BYTES_MAX, KEYWORDS_MAX, RECORD_BYTES_MAX};
use crate::log::RECORD_HEADER_BYTES;
use crate::mail::flags::{Flags, Keywords};
use crate::mail::id::{AccountId, FrameSeq, MailboxId, ModSeq, Uid, UidValidity};
use crate::mail::uidset::UidSet;
use crate::mailbox::{Account, Row};
use crate::record::{CopiedRow, Copy, Expunge, Fact, FlagChange, FlagOp, MailboxFact};

/// Flags and keywords by name, as a client gives them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FlagNames {
    pub flags: Flags,
    /// Compared without regard to ASCII case, kept as first written.
    pub keywords: Vec<String>,
}

/// A STORE (RFC 9051 §6.4.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreFlags<'a> {
    /// Those that do not exist any more are passed over.
    pub uids: &'a UidSet,
    pub op: FlagOp,
    pub names: &'a FlagNames,
    /// Messages with a higher MODSEQ are left alone (RFC 7162 §3.1.3).
    pub unchanged_since: Option<ModSeq>,
}

/// A COPY or a MOVE within one account (RFC 9051 §6.4.7, §6.4.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transfer<'a> {
    pub source: MailboxId,
    /// Those that do not exist any more are passed over.
    pub uids: &'a UidSet,
    pub target: MailboxId,
    /// MOVE: each message is in exactly one of the mailboxes at every moment.
    pub and_expunge: bool,
}

/// What COPY and MOVE did (RFC 4315 §3): `pairs` ascend in both columns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copied {
    pub uid_validity: UidValidity,
    pub pairs: Vec<(Uid, Uid)>,
}

impl<D: Disk> Shard<D> {
    /// Changes flags; unknown keywords are added to the table. Returns the messages that were left
    /// alone because of `unchanged_since`. The new values are told by `sync`.
    pub async fn store_flags(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        store: StoreFlags<'_>,
    ) -> Result<UidSet, ChangeError> {
        let mut modified = UidSet::new();
        for some in in_records(store.uids) {
            let part = StoreFlags {
                uids: &some,
                ..store
            };
            let left_alone = self.store_some(account, mailbox, part).await?;
            left_alone
                .ranges()
                .iter()
                .for_each(|&(first, last)| modified.push_range(first, last));
        }
        Ok(modified)
    }

    async fn store_some(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        store: StoreFlags<'_>,
    ) -> Result<UidSet, ChangeError> {
        let StoreFlags {
            uids,
            op,
            names,
            unchanged_since,
        } = store;
        let room = UIDS_BYTES_MAX + KEYWORDS_MAX * KEYWORD_FACT_BYTES;
        match unchanged_since {
            Some(_) => self.settled_room(account, mailbox, room).await?,
            None => self.log.room_urgent(room).await?,
        }
        let (entries, modified) = {
            let mut state = self.state.borrow_mut();
            let owner = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
            let (uids, modified) = split_modified(owner, mailbox, uids, unchanged_since)?;
            let mut entries = Vec::new();
            let keywords = named(owner, mailbox, &names.keywords, op, &mut entries)?;
            let modseq = owner.next_modseq();
            let flags = names.flags;
            let change = FlagChange {
                mailbox,
                modseq,
                op,
                flags,
                keywords,
                uids,
            };
            entries.push(Entry::of(Fact::Flags(change)));
            (entries, modified)
        };
        let frame = self.put_in(account, mailbox, entries)?;
        self.log.durable(frame).await?;
        Ok(modified)
    }

    /// Waits for room, and until no change of the mailbox is on its way, so that what is decided
    /// next, before anything suspends, is decided on what will be so.
    pub(super) async fn settled_room(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        bytes: usize,
    ) -> Result<(), ChangeError> {
        loop {
            self.log.room_urgent(bytes).await?;
            let tip = {
                let mut state = self.state.borrow_mut();
                let owner = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
                owner.open_contents(mailbox)?.tip_frame
            };
            if self.log.is_durable(tip) {
                return Ok(());
            }
            self.log.durable(tip).await?;
        }
    }

    /// Expunges those of `uids` that exist and have `\Deleted`.
    pub async fn expunge(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
    ) -> Result<UidSet, ChangeError> {
        let doomed = {
            let mut state = self.state.borrow_mut();
            let owner = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
            let rows = owner.open_contents(mailbox)?.rows().of(uids);
            UidSet::from_ascending(
                rows.filter(|row| row.flags.contains(Flags::DELETED))
                    .map(|row| row.uid),
            )
        };
        for some in in_records(&doomed) {
            self.log.room_urgent(UIDS_BYTES_MAX).await?;
            let fact = {
                let mut state = self.state.borrow_mut();
                let owner = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
                Fact::Expunge(Expunge {
                    mailbox,
                    modseq: owner.next_modseq(),
                    uids: some,
                })
            };
            let frame = self.put_in(account, mailbox, vec![Entry::of(fact)])?;
            self.log.durable(frame).await?;
        }
        Ok(doomed)
    }

    /// Copies messages with flags and dates, all or none; a MOVE may end half way.
    pub async fn copy(
        &self,
        account: AccountId,
        transfer: Transfer<'_>,
    ) -> Result<Copied, ChangeError> {
        let Transfer {
            target,
            and_expunge,
            ..
        } = transfer;
        let rows = self.rows_to_copy(account, transfer)?;
        let mut copied = Copied {
            uid_validity: UidValidity(0),
            pairs: Vec::new(),
        };
        for some in rows.chunks(COPIED_ROWS_MAX) {
            let wanted = UidSet::from_ascending(some.iter().map(|row| row.uid));
            let part = Transfer {
                uids: &wanted,
                ..transfer
            };
            match self.copy_some(account, part).await {
                Ok(part) => {
                    copied.uid_validity = part.uid_validity;
                    copied.pairs.extend(part.pairs);
                }
                Err(error) => {
                    if !and_expunge {
                        self.undo_copy(account, target, &copied).await;
                    }
                    return Err(error);
                }
            }
        }
        if rows.is_empty() {
            let info = self
                .mailbox_by_id(account, target)
                .ok_or(ChangeError::NoMailbox)?;
            copied.uid_validity = info.uid_validity;
        }
        Ok(copied)
    }

    fn rows_to_copy(
        &self,
        account: AccountId,
        transfer: Transfer<'_>,
    ) -> Result<Vec<Row>, ChangeError> {
        let Transfer {
            source,
            uids,
            target,
            and_expunge,
        } = transfer;
        let mut state = self.state.borrow_mut();
        let owner = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
        owner.open_contents(target)?;
        let rows: Vec<Row> = owner.open_contents(source)?.rows().of(uids).collect();
        let octets = rows.iter().map(|row| u64::from(row.octets)).sum();
        if !and_expunge && owner.would_exceed(octets) {
            return Err(ChangeError::OverQuota);
        }
        if !and_expunge {
            messages_fit(&state, account, rows.len())?;
        }
        Ok(rows)
    }

    async fn copy_some(
        &self,
        account: AccountId,
        transfer: Transfer<'_>,
    ) -> Result<Copied, ChangeError> {
        let Transfer {
            source,
            uids: wanted,
            target,
            and_expunge,
        } = transfer;
        match and_expunge {
            // What another session does to these messages meanwhile moves along, and what it
            // moves or expunges is not here any more.
            true => self.settled_room(account, source, COPY_BYTES_MAX).await?,
            false => self.log.room(COPY_BYTES_MAX).await?,
        }
        let (entries, copied) = {
            let mut state = self.state.borrow_mut();
            let owner = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
            let rows: Vec<Row> = owner.open_contents(source)?.rows().of(wanted).collect();
            let uid_validity = owner.open_contents(target)?.uid_validity;
            if rows.is_empty() {
                let pairs = Vec::new();
                return Ok(Copied {
                    uid_validity,
                    pairs,
                });
            }
            let moved = UidSet::from_ascending(rows.iter().map(|row| row.uid));
            let mut entries = Vec::new();
            let mut copy = draft_copy(owner, source, &rows, target, &mut entries)?;
            copy.saved_secs = Some((self.now_secs)());
            let copied = Copied {
                uid_validity,
                pairs: rows
                    .iter()
                    .map(|row| row.uid)
                    .zip((copy.first_uid.0..).map(Uid))
                    .collect(),
            };
            entries.push(Entry::of(Fact::Copy(copy)));
            if and_expunge {
                let modseq = owner.next_modseq();
                let expunge = Expunge {
                    mailbox: source,
                    modseq,
                    uids: moved,
                };
                entries.push(Entry::of(Fact::Expunge(expunge)));
            }
            (entries, copied)
        };
        let frame = self.put_in(account, target, entries)?;
        if and_expunge {
            self.note_tip(account, source, frame);
        }
        self.log.durable(frame).await?;
        Ok(copied)
    }

    /// RFC 9051 §6.4.7: a COPY that fails leaves the target as it was.
    async fn undo_copy(&self, account: AccountId, target: MailboxId, copied: &Copied) {
        let uids = UidSet::from_ascending(copied.pairs.iter().map(|pair| pair.1));
        for some in in_records(&uids) {
            if self.log.room_urgent(UIDS_BYTES_MAX).await.is_err() {
                return;
            }
            let Some(modseq) = self
                .state
                .borrow_mut()
                .account_mut(account)
                .map(Account::next_modseq)
            else {
                return;
            };
            let fact = Fact::Expunge(Expunge {
                mailbox: target,
                modseq,
                uids: some,
            });
            if let Ok(frame) = self.put_in(account, target, vec![Entry::of(fact)]) {
                let _ = self.log.durable(frame).await;
            }
        }
    }

    /// Appends facts about a mailbox and remembers that they are on their way.
    pub(super) fn put_in(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        entries: Vec<Entry<'_>>,
    ) -> Result<FrameSeq, ChangeError> {
        let frame = self.put(account, entries)?;
        self.note_tip(account, mailbox, frame);
        Ok(frame)
    }

    /// The mailbox changes when this frame is durable.
    pub(super) fn note_tip(&self, account: AccountId, mailbox: MailboxId, frame: FrameSeq) {
        let mut state = self.state.borrow_mut();
        let owner = state.account_mut(account);
        if let Some(contents) = owner.and_then(|owner| owner.contents_mut(mailbox)) {
            contents.tip_frame = frame;
        }
    }
}

/// The UIDs that may be changed, and those that changed since.
fn split_modified(
    owner: &mut Account,
    mailbox: MailboxId,
    uids: &UidSet,
    unchanged_since: Option<ModSeq>,
) -> Result<(UidSet, UidSet), ChangeError> {
    let contents = owner.open_contents(mailbox)?;
    let Some(since) = unchanged_since else {
        return Ok((uids.clone(), UidSet::new()));
    };
    let (mut unchanged, mut modified) = (UidSet::new(), UidSet::new());
    for row in contents.rows().of(uids) {
        if row.modseq > since {
            modified.push(row.uid)
        } else {
            unchanged.push(row.uid)
        }
    }
    Ok((unchanged, modified))
}

/// The bits of keywords by name; a KEYWORD fact goes before for each that is new. A keyword that
/// is only to be removed is not made for it. After an error the table is as it was.
pub(super) fn named(
    owner: &mut Account,
    mailbox: MailboxId,
    names: &[String],
    op: FlagOp,
    entries: &mut Vec<Entry<'_>>,
) -> Result<Keywords, ChangeError> {
    let known = owner.open_contents(mailbox)?.tip_keywords.len();
    let drafted = entries.len();
    let bits = name_each(owner, mailbox, names, op, entries);
    if bits.is_err() {
        owner.open_contents(mailbox)?.tip_keywords.truncate(known);
        entries.truncate(drafted);
    }
    bits
}

fn name_each(
    owner: &mut Account,
    mailbox: MailboxId,
    names: &[String],
    op: FlagOp,
    entries: &mut Vec<Entry<'_>>,
) -> Result<Keywords, ChangeError> {
    let contents = owner.open_contents(mailbox)?;
    let mut bits = 0;
    for name in names {
        if name.len() > KEYWORD_BYTES_MAX {
            return Err(ChangeError::Limit("length of a keyword"));
        }
        let table = &mut contents.tip_keywords;
        let position = match table
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name))
        {
            Some(position) => position,
            None if op == FlagOp::Remove => continue,
            None if table.len() >= KEYWORDS_MAX => {
                return Err(ChangeError::Limit("keywords of one mailbox"));
            }
            None => {
                let position = table.len() as u8;
                table.push(name.clone());
                let fact = MailboxFact::Keyword {
                    mailbox,
                    position,
                    name: name.clone(),
                };
                entries.push(Entry::of(Fact::Mailbox(fact)));
                usize::from(position)
            }
        };
        bits |= 1 << position;
    }
    Ok(Keywords(bits))
}

fn draft_copy(
    owner: &mut Account,
    source: MailboxId,
    rows: &[Row],
    target: MailboxId,
    entries: &mut Vec<Entry<'_>>,
) -> Result<Copy, ChangeError> {
    let first_uid = owner.open_contents(target)?.tip_uid_next;
    let uid_next = first_uid.0.checked_add(rows.len() as u32).map(Uid);
    let uid_next = uid_next.ok_or(ChangeError::Limit("UIDs of one mailbox"))?;
    let names = owner.open_contents(source)?.keywords().to_vec();
    let used = rows.iter().fold(0, |bits, row| bits | row.keywords.0);
    let is_used = |position: &usize| used >> position & 1 == 1;
    let positions: Vec<usize> = (0..names.len()).filter(is_used).collect();
    let carried: Vec<String> = positions
        .iter()
        .filter_map(|at| names.get(*at).cloned())
        .collect();
    named(owner, target, &carried, FlagOp::Add, entries)?;
    let mut translation = [0u64; KEYWORDS_MAX];
    for (position, name) in positions.iter().zip(&carried) {
        if let Some(slot) = translation.get_mut(*position) {
            // All of them are in the table now, so nothing is drafted here.
            let name = std::slice::from_ref(name);
            *slot = named(owner, target, name, FlagOp::Add, entries)?.0;
        }
    }
    let translate = |keywords: Keywords| {
        Keywords(
            keywords
                .positions()
                .filter_map(|at| translation.get(at))
                .fold(0, |a, b| a | b),
        )
    };
    let modseq = owner.next_modseq();
    let contents = owner.open_contents(target)?;
    contents.tip_uid_next = uid_next;
    let rows = rows.iter().map(|row| CopiedRow {
        source_uid: row.uid,
        flags: row.flags,
        keywords: translate(row.keywords),
        internal_date: row.internal_date,
        octets: row.octets,
        delivery: row.delivery,
    });
    Ok(Copy {
        source,
        target,
        modseq,
        first_uid,
        rows: rows.collect(),
        saved_secs: None,
    })
}

/// Cuts a set so that each part fits in a record.
pub(super) fn in_records(uids: &UidSet) -> Vec<UidSet> {
    let parts = uids.ranges().chunks(RANGES_MAX);
    parts
        .map(|ranges| UidSet::from_ranges(ranges.iter().copied()))
        .collect()
}

/// Ranges of UIDs in one record.
const RANGES_MAX: usize = 50_000;

/// A record with as many ranges, of two varints each.
pub(super) const UIDS_BYTES_MAX: usize = RANGES_MAX * 10 + 64 + RECORD_HEADER_BYTES;

/// Rows in one COPY record.
const COPIED_ROWS_MAX: usize = 15_000;

const COPIED_ROW_BYTES: usize = 36;

/// A KEYWORD record.
const KEYWORD_FACT_BYTES: usize = KEYWORD_BYTES_MAX + 32 + RECORD_HEADER_BYTES;

/// Room for a COPY, the keywords it brings and an EXPUNGE of the same rows.
const COPY_BYTES_MAX: usize = COPIED_ROWS_MAX * (COPIED_ROW_BYTES + 10)
    + KEYWORDS_MAX * KEYWORD_FACT_BYTES
    + 4 * RECORD_HEADER_BYTES;

const _: () = assert!(COPIED_ROWS_MAX * COPIED_ROW_BYTES + 64 < RECORD_BYTES_MAX);
const _: () = assert!(COPY_BYTES_MAX < FRAME_BYTES_MAX / 2);
const _: () = assert!(UIDS_BYTES_MAX < RECORD_BYTES_MAX);
