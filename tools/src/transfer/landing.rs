//! One mailbox that takes in the messages of one folder, a frame at a time.

use super::parcel::{Letter, Parcel, Spot, Trouble};
use super::receipt::Receipts;
use super::report::Report;
use super::source::Folder;
use super::twins::{Comparison, Twins};
use super::uidls::{self, Uidls};
use crate::offline::Offline;
use crate::progress::Progress;
use anyhow::{Context, anyhow};
use store::disk::blocking::BlockingDisk;
use store::error::ChangeError;
use store::limit::{IMPORTED_NUMBER_MAX, KEYWORDS_MAX};
use store::mail::id::{AccountId, MailboxId, Uid, UidValidity};
use store::mailbox::{MailboxInfo, SpecialUse};
use store::shard::{BodyWriter, FlagNames, IMPORT_BYTES_MAX, Imported};

/// What became of the messages of one folder.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) mailbox: String,
    pub(crate) imported: u64,
    /// They were there already.
    pub(crate) there: u64,
    pub(crate) left_out: u64,
    /// Imported with the UID that they had.
    pub(crate) uids_kept: u64,
    /// Unique ids of POP3 that are kept beside the UIDs.
    pub(crate) uidls: u64,
    pub(crate) octets: u64,
}

/// What is asked of an import.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) obeys_quota: bool,
    /// `X-UIDL` headers are unique ids of POP3.
    pub(crate) reads_x_uidl: bool,
}

pub(crate) struct Landing {
    shard: Offline,
    account: AccountId,
    mailbox: MailboxId,
    obeys_quota: bool,
    /// UIDs of the source mean the same here.
    keeps_uids: bool,
    uid_next: u32,
    source_uid_next: u32,
    /// Nobody has to see as new what is old mail.
    claims_recent: bool,
    keywords: Vec<String>,
    twins: Twins<BlockingDisk>,
    comparison: Option<Comparison>,
    batch: Vec<Imported>,
    /// Where the messages of the batch came from, and their unique ids, in its order.
    spots: Vec<(Spot, Option<Box<str>>)>,
    /// Of the mailbox that POP3 shows; `None`: this is another.
    uidls: Option<Uidls>,
    source_uid_validity: Option<u32>,
    /// Headers are believed.
    reads_x_uidl: bool,
    /// What the header of the present message said.
    x_uidl: Option<String>,
    batch_bytes: usize,
    counts: Counts,
}

impl Landing {
    /// Finds or makes the mailbox.
    pub(crate) async fn open(
        shard: &Offline,
        account: AccountId,
        folder: &Folder,
        receipts: &mut Receipts,
        terms: Terms,
    ) -> anyhow::Result<Landing> {
        let info = mailbox(shard, account, folder, receipts).await;
        let info = info.with_context(|| format!("mailbox {:?}", folder.name))?;
        let status = shard
            .status(account, info.id)
            .context("it was just there")?;
        Ok(Landing {
            keeps_uids: folder.uid_validity == Some(info.uid_validity.0),
            uid_next: status.uid_next.0,
            source_uid_next: folder.uid_next,
            source_uid_validity: folder.uid_validity,
            uidls: match info.name.as_str() {
                INBOX => Some(Uidls::read(shard, account, info.uid_validity)?),
                _ => None,
            },
            reads_x_uidl: terms.reads_x_uidl,
            x_uidl: None,
            claims_recent: status.recent == 0,
            keywords: shard.keywords(account, info.id),
            twins: Twins::of(shard, account, info.id),
            mailbox: info.id,
            shard: shard.clone(),
            account,
            obeys_quota: terms.obeys_quota,
            comparison: None,
            batch: Vec::new(),
            spots: Vec::new(),
            batch_bytes: 0,
            counts: Counts {
                mailbox: info.name,
                ..Counts::default()
            },
        })
    }

    pub(crate) async fn take(
        &mut self,
        parcel: Parcel,
        report: &mut Report,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        match parcel {
            Parcel::Whole(letter, octets) => {
                progress.message();
                self.read_x_uidl(&octets);
                let letter = self.with_uidl(letter);
                match self.twins.take(letter.date.unix_secs, &octets).await {
                    Some(uid) => self.there(uid, letter, report),
                    None => self.add(letter, BodyWriter::with(octets), report).await?,
                }
                Ok(())
            }
            Parcel::Open(date) => {
                self.x_uidl = None;
                self.comparison = Some(self.twins.compare(date.unix_secs).await);
                Ok(())
            }
            Parcel::Octets(octets) => {
                if self.x_uidl.is_none() {
                    self.read_x_uidl(&octets);
                }
                match &mut self.comparison {
                    Some(comparison) => comparison.push(&self.shard, octets).await,
                    None => Ok(()),
                }
            }
            Parcel::Close(letter) => {
                progress.message();
                let Some(comparison) = self.comparison.take() else {
                    return Ok(());
                };
                let letter = self.with_uidl(letter);
                match comparison.finish(&self.shard, &mut self.twins).await? {
                    Ok(body) => self.add(letter, body, report).await?,
                    Err(uid) => self.there(uid, letter, report),
                }
                Ok(())
            }
            Parcel::Void => {
                self.comparison = None;
                Ok(())
            }
            Parcel::LeftOut(trouble) => {
                self.counts.left_out += 1;
                report.left_out(&trouble);
                Ok(())
            }
            Parcel::Remark(trouble) => {
                report.remark(&trouble);
                Ok(())
            }
            Parcel::Read(octets) => {
                progress.octets(octets);
                Ok(())
            }
        }
    }

    fn read_x_uidl(&mut self, octets: &[u8]) {
        let is_asked = self.reads_x_uidl && self.uidls.is_some();
        self.x_uidl = is_asked.then(|| uidls::of_header(octets)).flatten();
    }

    /// The unique id that the message had: as it is said, or as it is made of its UID there.
    fn with_uidl(&mut self, mut letter: Letter) -> Letter {
        let said = self.x_uidl.take().map(String::into_boxed_str);
        let said = said.or_else(|| letter.marks.uidl.take());
        letter.marks.uidl = said.or_else(|| {
            let number = UidValidity(self.source_uid_validity?);
            let made = uidls::own(Uid(letter.uid?), number);
            Some(String::from_utf8_lossy(&made).into())
        });
        letter
    }

    /// The message was imported before: at most its unique id is new.
    fn there(&mut self, uid: Uid, letter: Letter, report: &mut Report) {
        self.counts.there += 1;
        self.give_uidl(uid, letter.marks.uidl, &letter.spot, report);
    }

    fn give_uidl(&mut self, uid: Uid, uidl: Option<Box<str>>, spot: &Spot, report: &mut Report) {
        let (Some(uidls), Some(text)) = (&mut self.uidls, uidl) else {
            return;
        };
        if let Err(why) = uidls.give(uid, text.as_bytes()) {
            report.remark(&Trouble {
                spot: spot.clone(),
                why: format!("unique id {text}: {why}"),
            });
        }
    }

    async fn add(
        &mut self,
        letter: Letter,
        body: BodyWriter,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let message = Imported {
            uid: self.next_uid(letter.uid),
            names: self.names(&letter, report),
            date: letter.date,
            body,
        };
        let bytes = message.frame_bytes();
        if self.batch_bytes + bytes > IMPORT_BYTES_MAX || self.batch.len() >= BATCH_MAX {
            self.flush(report).await?;
        }
        self.batch_bytes += bytes;
        self.batch.push(message);
        self.spots.push((letter.spot, letter.marks.uidl));
        Ok(())
    }

    /// The UID that the message had, if it may have it here.
    fn next_uid(&mut self, uid: Option<u32>) -> Option<Uid> {
        let may_have =
            |uid: &u32| self.keeps_uids && (self.uid_next..=IMPORTED_NUMBER_MAX).contains(uid);
        let kept = uid.filter(may_have);
        self.counts.uids_kept += u64::from(kept.is_some());
        self.uid_next = kept.unwrap_or(self.uid_next).saturating_add(1);
        kept.map(Uid)
    }

    /// Flags and keywords; one keyword more than a mailbox can hold is left out.
    fn names(&mut self, letter: &Letter, report: &mut Report) -> FlagNames {
        let mut names = FlagNames {
            flags: letter.marks.flags,
            keywords: Vec::new(),
        };
        for keyword in &letter.marks.keywords {
            let is_known = self
                .keywords
                .iter()
                .any(|known| known.eq_ignore_ascii_case(keyword));
            if !is_known && self.keywords.len() >= KEYWORDS_MAX {
                report.remark(&Trouble {
                    spot: letter.spot.clone(),
                    why: format!("the mailbox has {KEYWORDS_MAX} keywords: without {keyword}"),
                });
                continue;
            }
            if !is_known {
                self.keywords.push(keyword.clone());
            }
            names.keywords.push(keyword.clone());
        }
        names
    }

    async fn flush(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let batch = std::mem::take(&mut self.batch);
        let spots = std::mem::take(&mut self.spots);
        self.batch_bytes = 0;
        if batch.is_empty() {
            return Ok(());
        }
        let (account, mailbox) = (self.account, self.mailbox);
        let done = self
            .shard
            .import(account, mailbox, &batch, self.obeys_quota);
        let outcomes = done.await.map_err(|error| stopped(&error))?;
        for ((message, (spot, uidl)), outcome) in batch.iter().zip(spots).zip(outcomes) {
            match outcome {
                Ok(uid) => {
                    self.give_uidl(uid, uidl, &spot, report);
                    self.counts.imported += 1;
                    self.counts.octets += message.body.octets();
                }
                Err(error) => {
                    self.counts.uids_kept -= u64::from(message.uid.is_some());
                    self.counts.left_out += 1;
                    let why = error.to_string();
                    report.left_out(&Trouble { spot, why });
                }
            }
        }
        self.write_uidls().await
    }

    async fn write_uidls(&mut self) -> anyhow::Result<()> {
        if let Some(uidls) = &mut self.uidls {
            let written = uidls.write(&self.shard).await;
            self.counts.uidls += written.map_err(|error| stopped(&error))?;
        }
        Ok(())
    }

    /// Everything of the folder was taken.
    pub(crate) async fn finish(mut self, report: &mut Report) -> anyhow::Result<Counts> {
        self.flush(report).await?;
        self.write_uidls().await?;
        let (account, mailbox) = (self.account, self.mailbox);
        let uid_next = self.source_uid_next.min(IMPORTED_NUMBER_MAX);
        if self.keeps_uids && uid_next > self.uid_next {
            let raised = self.shard.raise_uid_next(account, mailbox, Uid(uid_next));
            raised.await.map_err(|error| stopped(&error))?;
        }
        if self.claims_recent && self.counts.imported > 0 {
            drop(self.shard.view(account, mailbox, true));
        }
        Ok(self.counts)
    }
}

/// The mailbox of a folder: one with its UIDVALIDITY where it is new here or empty.
async fn mailbox(
    shard: &Offline,
    account: AccountId,
    folder: &Folder,
    receipts: &mut Receipts,
) -> anyhow::Result<MailboxInfo> {
    let there = shard.mailbox(account, &folder.name);
    let is_empty = |info: &MailboxInfo| {
        let status = shard.status(account, info.id);
        status.is_some_and(|status| status.messages == 0)
    };
    let may_take = there.as_ref().is_none_or(is_empty);
    let is_sane = |number: &u32| (1..=IMPORTED_NUMBER_MAX).contains(number);
    let others = shard.mailboxes(account);
    // A mailbox that gave out UIDs under this number may be renamed to this name one day.
    let is_used = |number: u32| {
        let alike = |other: &&MailboxInfo| other.uid_validity.0 == number;
        let statuses = others
            .iter()
            .filter(alike)
            .filter_map(|other| shard.status(account, other.id));
        statuses.into_iter().any(|status| status.uid_next.0 > 1)
    };
    match folder.uid_validity.filter(is_sane) {
        Some(number) if may_take && !is_used(number) && receipts.take(number)? => Ok(shard
            .import_mailbox(account, &folder.name, UidValidity(number))
            .await?),
        _ => match there {
            Some(there) => Ok(there),
            None => Ok(shard
                .create_mailbox(account, &folder.name, SpecialUse::NONE)
                .await?),
        },
    }
}

fn stopped(error: &ChangeError) -> anyhow::Error {
    anyhow!("{error}; what was imported so far stays, and a second run goes on from there")
}

/// RFC 1939 knows one mailbox.
const INBOX: &str = "INBOX";

/// Messages of one commit.
const BATCH_MAX: usize = 2_000;
