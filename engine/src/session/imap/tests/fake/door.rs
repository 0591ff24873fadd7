//! What each method of the door does.

use super::{Account, Fake, FakeMessage, FakeView, FakeWatch, Mailbox, suspend_once};
use crate::session::imap::mailstore::{Mailstore, Octets};
use crate::wire::mime::texts::{self, Field};
use std::rc::Rc;
use store::error::{ChangeError, Container, ReadError};
use store::mail::flags::{Flags, Keywords};
use store::mail::id::{AccountId, MailboxId, ModSeq, ObjectId, Uid, UidValidity};
use store::mail::uidset::UidSet;
use store::mailbox::{Change, MailboxInfo, Row, SpecialUse, Status};
use store::shard::of_header;
use store::shard::{Appended, Copied, FlagOp, NewMessage, StoreFlags, Transfer};

impl Mailstore for Fake {
    type View = FakeView;
    type Message = FakeMessage;
    type Body = Vec<u8>;
    type Watch = FakeWatch;

    fn mailboxes(&self, account: AccountId) -> Vec<MailboxInfo> {
        self.account(account, |a| {
            let mut all: Vec<_> = a.boxes.keys().filter_map(|id| a.info(*id)).collect();
            all.sort_by_key(|info| (info.name != "INBOX", info.name.clone()));
            all
        })
    }

    fn mailbox(&self, account: AccountId, name: &str) -> Option<MailboxInfo> {
        self.account(account, |a| a.info(a.find(name)?))
    }

    fn mailbox_by_id(&self, account: AccountId, id: MailboxId) -> Option<MailboxInfo> {
        self.account(account, |a| a.info(id.0))
    }

    fn subscriptions(&self, account: AccountId) -> Vec<String> {
        self.account(account, |a| a.subscribed.iter().cloned().collect())
    }

    fn status(&self, account: AccountId, mailbox: MailboxId) -> Option<Status> {
        self.account(account, |a| {
            let mailbox = a.boxes.get(&mailbox.0)?;
            let count =
                |test: &dyn Fn(&Row) -> bool| mailbox.rows.values().filter(|r| test(r)).count();
            Some(Status {
                messages: mailbox.rows.len() as u32,
                unseen: count(&|r| !r.flags.contains(Flags::SEEN)) as u32,
                deleted: count(&|r| r.flags.contains(Flags::DELETED)) as u32,
                octets: mailbox.rows.values().map(|r| u64::from(r.octets)).sum(),
                recent: count(&|r| r.uid.0 > mailbox.claimed) as u32,
                uid_next: Uid(mailbox.uid_next),
                uid_validity: UidValidity(mailbox.uid_validity),
                highest_modseq: ModSeq(mailbox.modseq),
            })
        })
    }

    fn keywords(&self, account: AccountId, mailbox: MailboxId) -> Vec<String> {
        let named = |a: &mut Account| a.boxes.get(&mailbox.0).map(|b| b.keywords.clone());
        self.account(account, named).unwrap_or_default()
    }

    fn usage(&self, account: AccountId) -> (u64, Option<u64>) {
        self.account(account, |a| {
            let rows = a.boxes.values().flat_map(|b| b.rows.values());
            (rows.map(|r| u64::from(r.octets)).sum(), a.quota)
        })
    }

    async fn create_mailbox(
        &self,
        account: AccountId,
        name: &str,
        special_use: SpecialUse,
    ) -> Result<MailboxInfo, ChangeError> {
        self.commit().await?;
        let name = name.strip_suffix('/').unwrap_or(name);
        if name.is_empty() || name.split('/').any(str::is_empty) {
            return Err(ChangeError::Cannot("a level of the name is empty"));
        }
        self.account(account, |a| {
            if a.find(name).is_some() {
                return Err(ChangeError::AlreadyExists);
            }
            for (at, _) in name.match_indices('/') {
                if a.find(&name[..at]).is_none() {
                    a.make(&name[..at], SpecialUse::NONE);
                }
            }
            let id = a.make(name, special_use);
            a.info(id).ok_or(ChangeError::NoMailbox)
        })
    }

    async fn rename_mailbox(
        &self,
        account: AccountId,
        from: &str,
        to: &str,
    ) -> Result<(), ChangeError> {
        self.commit().await?;
        self.account(account, |a| {
            let id = a.find(from).ok_or(ChangeError::NoMailbox)?;
            if a.find(to).is_some() {
                return Err(ChangeError::AlreadyExists);
            }
            if a.boxes[&id].name == "INBOX" {
                let target = a.make(to, SpecialUse::NONE);
                let rows: Vec<Row> = a.boxes[&id].rows.values().copied().collect();
                for row in rows {
                    let octets = Rc::clone(&self.0.bodies.borrow()[&row.delivery.0]);
                    self.add(
                        a,
                        target,
                        octets,
                        row.flags,
                        row.keywords,
                        row.internal_date,
                    );
                    a.remove(id, row.uid.0);
                }
                return Ok(());
            }
            let below = format!("{from}/");
            a.tree_version += 1;
            for mailbox in a.boxes.values_mut() {
                if mailbox.name == from {
                    mailbox.name = to.to_owned();
                } else if let Some(rest) = mailbox.name.strip_prefix(&below) {
                    mailbox.name = format!("{to}/{rest}");
                }
            }
            Ok(())
        })
    }

    async fn delete_mailbox(&self, account: AccountId, name: &str) -> Result<(), ChangeError> {
        self.commit().await?;
        self.account(account, |a| {
            let id = a.find(name).ok_or(ChangeError::NoMailbox)?;
            if a.boxes[&id].name == "INBOX" {
                return Err(ChangeError::Cannot("INBOX stays"));
            }
            a.boxes.remove(&id);
            a.tree_version += 1;
            Ok(())
        })
    }

    async fn subscribe(&self, account: AccountId, name: &str, on: bool) -> Result<(), ChangeError> {
        self.commit().await?;
        self.account(account, |a| {
            a.tree_version += 1;
            match on {
                true => a.subscribed.insert(name.to_owned()),
                false => a.subscribed.remove(name),
            }
        });
        Ok(())
    }

    async fn view(&self, account: AccountId, mailbox: MailboxId, claim: bool) -> Option<FakeView> {
        self.account(account, |a| {
            let source = a.boxes.get_mut(&mailbox.0)?;
            let modseq = source.modseq;
            let recent = source
                .rows
                .range(source.claimed + 1..)
                .map(|(uid, _)| Uid(*uid));
            let recent = if claim {
                UidSet::from_ascending(recent)
            } else {
                UidSet::new()
            };
            if claim {
                source.claimed = source.uid_next - 1;
            }
            Some(FakeView {
                account,
                mailbox,
                uid_validity: UidValidity(source.uid_validity),
                uids: source.rows.keys().copied().collect(),
                seen_up_to: source.uid_next - 1,
                modseq,
                expunged_modseq: modseq,
                recent,
                claims: claim,
                gone: false,
            })
        })
    }

    fn sync(&self, view: &mut FakeView, expunges: bool) -> Vec<Change> {
        self.account(view.account, |a| {
            let Some(source) = a.boxes.get_mut(&view.mailbox.0) else {
                view.uids.clear();
                let first = !std::mem::replace(&mut view.gone, true);
                return if first {
                    vec![Change::Gone]
                } else {
                    Vec::new()
                };
            };
            let modseq = source.modseq;
            let mut changes = Vec::new();
            if expunges {
                changes.extend(view.expunge(source));
                view.expunged_modseq = modseq;
            }
            changes.extend(view.changed(source));
            changes.extend(view.arrive(source));
            view.modseq = modseq;
            changes
        })
    }

    fn row(&self, view: &FakeView, uid: Uid) -> Option<Row> {
        self.account(view.account, |a| {
            a.boxes.get(&view.mailbox.0)?.rows.get(&uid.0).copied()
        })
    }

    fn rows(&self, view: &FakeView, uids: &UidSet, each: &mut dyn FnMut(Row)) {
        uids.iter()
            .filter_map(|uid| self.row(view, uid))
            .for_each(each);
    }

    fn first_unseen(&self, view: &FakeView) -> Option<Uid> {
        let rows = view.uids.iter().filter_map(|uid| self.row(view, Uid(*uid)));
        let mut unseen = rows.filter(|row| !row.flags.contains(Flags::SEEN));
        unseen.next().map(|row| row.uid)
    }

    fn vanished_since(&self, view: &FakeView, modseq: ModSeq) -> Option<UidSet> {
        self.account(view.account, |a| {
            let mailbox = a.boxes.get(&view.mailbox.0)?;
            let since = mailbox.expunged.iter().filter(|gone| gone.0 > modseq.0);
            let since = UidSet::from_ranges(since.map(|gone| (gone.1, gone.1)));
            (modseq.0 >= mailbox.floor).then_some(since)
        })
    }

    fn changed_since(&self, view: &FakeView, modseq: ModSeq) -> UidSet {
        self.account(view.account, |a| {
            let rows = a.boxes.get(&view.mailbox.0).map(|m| m.rows.values());
            let changed = rows.into_iter().flatten().filter(|row| row.modseq > modseq);
            UidSet::from_ascending(
                changed
                    .map(|row| row.uid)
                    .filter(|u| u.0 <= view.seen_up_to),
            )
        })
    }

    fn watch(&self, _: AccountId, _: MailboxId) -> FakeWatch {
        FakeWatch {
            store: self.clone(),
            seen: self.0.changes.get(),
        }
    }

    fn watch_account(&self, _: AccountId) -> FakeWatch {
        FakeWatch {
            store: self.clone(),
            seen: self.0.changes.get(),
        }
    }

    fn changed_mailboxes(&self, account: AccountId, modseq: ModSeq) -> Vec<(MailboxId, Status)> {
        let ids: Vec<u32> = self.account(account, |a| {
            let changed = a
                .boxes
                .iter()
                .filter(|(_, mailbox)| mailbox.modseq > modseq.0);
            changed.map(|(id, _)| *id).collect()
        });
        let status = |id: u32| Some((MailboxId(id), self.status(account, MailboxId(id))?));
        ids.into_iter().filter_map(status).collect()
    }

    fn tree_version(&self, account: AccountId) -> u64 {
        self.account(account, |a| a.tree_version)
    }

    async fn store_flags(
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
        self.commit().await?;
        self.account(account, |a| {
            a.modseq += 1;
            let modseq = a.modseq;
            let mailbox = a.boxes.get_mut(&mailbox.0).ok_or(ChangeError::NoMailbox)?;
            let bits = mailbox.keyword_bits(&names.keywords)?;
            mailbox.modseq = modseq;
            let mut left = UidSet::new();
            for row in mailbox.rows.values_mut().filter(|r| uids.contains(r.uid)) {
                if unchanged_since.is_some_and(|since| row.modseq > since) {
                    left.push(row.uid);
                    continue;
                }
                let (flags, keywords) = match op {
                    FlagOp::Set => (names.flags, bits.0),
                    FlagOp::Add => (row.flags | names.flags, row.keywords.0 | bits.0),
                    FlagOp::Remove => (row.flags & !names.flags, row.keywords.0 & !bits.0),
                };
                if (flags, keywords) != (row.flags, row.keywords.0) {
                    (row.flags, row.keywords) = (flags, Keywords(keywords));
                    row.modseq = ModSeq(modseq);
                }
            }
            Ok(left)
        })
    }

    async fn expunge(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
    ) -> Result<UidSet, ChangeError> {
        self.commit().await?;
        self.account(account, |a| {
            let source = a.boxes.get(&mailbox.0).ok_or(ChangeError::NoMailbox)?;
            let rows = source.rows.values();
            let gone = rows.filter(|r| uids.contains(r.uid) && r.flags.contains(Flags::DELETED));
            let gone = UidSet::from_ascending(gone.map(|r| r.uid));
            gone.iter().for_each(|uid| a.remove(mailbox.0, uid.0));
            Ok(gone)
        })
    }

    async fn copy(
        &self,
        account: AccountId,
        transfer: Transfer<'_>,
    ) -> Result<Copied, ChangeError> {
        let Transfer {
            source,
            uids,
            target,
            and_expunge,
        } = transfer;
        self.commit().await?;
        self.account(account, |a| {
            let from = a.boxes.get(&source.0).ok_or(ChangeError::NoMailbox)?;
            let rows: Vec<Row> = from
                .rows
                .values()
                .copied()
                .filter(|r| uids.contains(r.uid))
                .collect();
            let names = from.keywords.clone();
            let to = a.boxes.get_mut(&target.0).ok_or(ChangeError::NoMailbox)?;
            let uid_validity = UidValidity(to.uid_validity);
            let mut pairs = Vec::new();
            for row in rows {
                let named: Vec<String> = row
                    .keywords
                    .positions()
                    .map(|at| names[at].clone())
                    .collect();
                let to = a.boxes.get_mut(&target.0).ok_or(ChangeError::NoMailbox)?;
                let keywords = to.keyword_bits(&named)?;
                let octets = Rc::clone(&self.0.bodies.borrow()[&row.delivery.0]);
                let uid = self.add(a, target.0, octets, row.flags, keywords, row.internal_date);
                pairs.push((row.uid, uid));
                if and_expunge {
                    a.remove(source.0, row.uid.0);
                }
            }
            Ok(Copied {
                uid_validity,
                pairs,
            })
        })
    }

    fn body(&self) -> Vec<u8> {
        Vec::new()
    }

    async fn body_write(&self, body: &mut Vec<u8>, octets: &[u8]) -> Result<(), ChangeError> {
        suspend_once().await;
        body.extend_from_slice(octets);
        Ok(())
    }

    async fn append(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        messages: Vec<NewMessage<Vec<u8>>>,
        replaces: Option<(MailboxId, Uid)>,
    ) -> Result<Appended, ChangeError> {
        self.commit().await?;
        let (used, quota) = self.usage(account);
        let bytes: usize = messages.iter().map(|message| message.body.len()).sum();
        if quota.is_some_and(|quota| used + bytes as u64 > quota) {
            return Err(ChangeError::OverQuota);
        }
        self.account(account, |a| {
            let target = a.boxes.get_mut(&mailbox.0).ok_or(ChangeError::NoMailbox)?;
            let uid_validity = UidValidity(target.uid_validity);
            let mut keywords = Vec::new();
            for message in &messages {
                keywords.push(target.keyword_bits(&message.names.keywords)?);
            }
            let mut uids = UidSet::new();
            if let Some((source, uid)) = replaces {
                if !a.boxes[&source.0].rows.contains_key(&uid.0) {
                    return Ok(Appended { uid_validity, uids });
                }
                a.remove(source.0, uid.0);
            }
            for (message, keywords) in messages.into_iter().zip(keywords) {
                let NewMessage { body, names, date } = message;
                uids.push(self.add(a, mailbox.0, body.into(), names.flags, keywords, date));
            }
            Ok(Appended { uid_validity, uids })
        })
    }

    async fn body_spill(&self, _: &mut [NewMessage<Vec<u8>>]) -> Result<(), ChangeError> {
        suspend_once().await;
        Ok(())
    }

    async fn listing(&self, delivery: ObjectId) -> Option<Vec<u8>> {
        suspend_once().await;
        if !self.0.lists.get() || self.0.damaged.borrow().contains_key(&delivery.0) {
            return None;
        }
        let listed = of_header(self.0.bodies.borrow().get(&delivery.0)?)?;
        self.0.listed.set(self.0.listed.get() + 1);
        Some(listed)
    }

    async fn may_hold(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
        (field, text): (Field, &str),
    ) -> UidSet {
        suspend_once().await;
        assert!(
            text.chars().count() >= 3,
            "{text} is too short for a signature"
        );
        let holds = |uid: &Uid| {
            let delivery = self.account(account, |a| a.boxes[&mailbox.0].rows[&uid.0].delivery);
            let message = Rc::clone(&self.0.bodies.borrow()[&delivery.0]);
            let mut holds = !self.0.signs.get() || uid.0.is_multiple_of(3);
            texts::read(&message, &mut |found, known| {
                holds |= found == field && known.contains(text);
            });
            holds
        };
        UidSet::from_ascending(uids.iter().filter(holds))
    }

    async fn message(&self, delivery: ObjectId) -> Result<FakeMessage, ReadError> {
        suspend_once().await;
        let octets = self
            .0
            .bodies
            .borrow()
            .get(&delivery.0)
            .cloned()
            .ok_or(ReadError::Gone)?;
        Ok(FakeMessage {
            delivery: delivery.0,
            octets,
        })
    }

    async fn read(&self, message: &FakeMessage, from: u64, to: u64) -> Result<Vec<u8>, ReadError> {
        suspend_once().await;
        assert!(
            to.saturating_sub(from) <= 128 << 10,
            "a session reads in pieces"
        );
        let to = to.min(message.octets());
        let damaged = self.0.damaged.borrow().get(&message.delivery).copied();
        if damaged.is_some_and(|at| to > at) {
            return Err(ReadError::Damaged {
                container: Container::Segment(1),
                offset: from,
                what: "checksum",
            });
        }
        Ok(message
            .octets
            .get(from as usize..to as usize)
            .unwrap_or_default()
            .to_vec())
    }
}

impl FakeView {
    fn expunge(&mut self, source: &Mailbox) -> Vec<Change> {
        let news = source
            .expunged
            .iter()
            .filter(|e| e.0 > self.expunged_modseq);
        let mut gone: Vec<u32> = news.map(|expunged| expunged.1).collect();
        gone.sort_unstable();
        let mut changes = Vec::new();
        for uid in gone {
            if let Ok(at) = self.uids.binary_search(&uid) {
                self.uids.remove(at);
                let (sequence, uid) = (at as u32 + 1, Uid(uid));
                changes.push(Change::Expunge { sequence, uid });
            }
        }
        changes
    }

    fn changed(&self, source: &Mailbox) -> Vec<Change> {
        let news = source
            .rows
            .values()
            .filter(|row| row.modseq.0 > self.modseq);
        let told = news.filter_map(|row| {
            Some(Change::Fetch {
                sequence: self.uids.binary_search(&row.uid.0).ok()? as u32 + 1,
                uid: row.uid,
                modseq: row.modseq,
                flags: row.flags,
                keywords: row.keywords,
            })
        });
        told.collect()
    }

    fn arrive(&mut self, source: &mut Mailbox) -> Vec<Change> {
        let before = self.uids.len();
        let fresh = source.rows.range(self.seen_up_to + 1..);
        self.uids.extend(fresh.map(|(uid, _)| *uid));
        self.seen_up_to = source.uid_next - 1;
        if self.uids.len() == before {
            return Vec::new();
        }
        if self.claims {
            let fresh = self
                .uids
                .iter()
                .copied()
                .filter(|uid| *uid > source.claimed);
            let recent: Vec<Uid> = self.recent.iter().chain(fresh.map(Uid)).collect();
            self.recent = UidSet::from_ascending(recent);
            source.claimed = source.uid_next - 1;
        }
        let recent = self
            .uids
            .iter()
            .filter(|uid| self.recent.contains(Uid(**uid)))
            .count();
        vec![
            Change::Exists(self.uids.len() as u32),
            Change::Recent(recent as u32),
        ]
    }
}
