//! A run: cards, metadata of accounts, layers of mailboxes; a chunk of locations.

use super::line::Line;
use super::{Dump, fact, name_of};
use crate::codec::Fields;
use crate::disk::Disk;
use crate::mail::id::{AccountId, ObjectId};
use crate::mailbox::card::Card;
use crate::mailbox::layer::Layer;
use crate::mailbox::meta::{AccountMeta, MailboxMeta};
use crate::mailbox::own::Own;
use crate::spool::chunk::{Part, item_at};
use crate::table::locations::{Kind, Locations};
use crate::table::manifest::ChunkName;
use crate::table::name;
use crate::table::run::{Run, RunHead};

impl<D: Disk> Dump<'_, D> {
    pub(super) async fn run(&mut self, number: u32) {
        let path = name::run(&self.owner.directory, number);
        let head = match self.head(&path).await {
            Ok(head) => head,
            Err(error) => return self.damage(&path, error),
        };
        let head = RunHead {
            store: self.owner.store,
            shard: self.owner.shard,
            number,
            tier: fields_at(&head, TIER_AT).u16().unwrap_or(0),
        };
        let run = match Run::load(self.disk, &self.owner.directory, head).await {
            Ok(run) => run,
            Err(error) => return self.damage(&path, error),
        };
        self.say(
            Line::new("run")
                .with("file", &path)
                .with("number", number)
                .with("tier", run.tier())
                .with("bytes", run.bytes())
                .with("parts", run.parts()),
        );
        if self.is_of_memos(number).await {
            return self.memos(run);
        }
        self.cards(&run);
        for key in run.keys() {
            match key {
                Ok((account, mailbox)) => self.part(&run, account, mailbox),
                Err(error) => self.damage(&path, error),
            }
        }
    }

    /// Secrets are never shown.
    fn cards(&mut self, run: &Run) {
        let cards = match run.cards() {
            Ok(cards) => cards,
            Err(error) => return self.damage(run.path(), error),
        };
        for (account, octets) in cards {
            let line = Line::new("card").with("account", account);
            self.say(match Card::decode(AccountId(account), octets) {
                Ok(card) => line
                    .with("address", card.address)
                    .with("octets", card.octets)
                    .with_some("quota", card.quota)
                    .with("has-secret", card.secret.is_some())
                    .with("removed", card.is_removed),
                Err(broken) => line.with("damage", broken),
            });
        }
    }

    fn part(&mut self, run: &Run, account: u32, mailbox: u32) {
        let part = match run.part(account, mailbox) {
            Some(Ok(part)) => part,
            Some(Err(error)) => return self.damage(run.path(), error),
            None => return self.damage(run.path(), "the directory does not find its own row"),
        };
        let line = Line::new("part")
            .with("account", account)
            .with("mailbox", mailbox)
            .with("bytes", part.len());
        match (account, mailbox) {
            (0, 0) => self.own(line, part),
            (0, chunk) => self.chunk(line, chunk - 1, part),
            (_, 0) => self.meta(line, part),
            _ => self.layer(line, part),
        }
    }

    fn own(&mut self, line: Line, part: &[u8]) {
        let Ok(own) = Own::decode(part) else {
            return self.say(line.with("damage", "what the shard keeps cannot be read"));
        };
        self.say(
            line.with("last-account", own.last_account)
                .with("last-object", own.last_object)
                .with("last-item", own.last_item)
                .with("straddling", own.straddling.len())
                .with("facts", own.facts.len()),
        );
        for (object, segment) in &own.straddling {
            let line = Line::new("straddling").with("object", object);
            self.say(line.with("segment", segment));
        }
        for own in &own.facts {
            self.say(fact::bare("fact", own));
        }
    }

    /// Items of the queue.
    fn chunk(&mut self, line: Line, number: u32, part: &[u8]) {
        let Ok(part) = Part::decode(part) else {
            return self.say(line.with("damage", "items of the queue cannot be read"));
        };
        self.say(line.with("items", part.slots.len()));
        let name = |at: u32| part.names.get(at as usize).copied().unwrap_or_default();
        for slot in &part.slots {
            self.say(
                Line::new("item")
                    .with("item", item_at(number, slot.low))
                    .with("record", slot.record())
                    .with_some("last-attempt", slot.last_attempt())
                    .with("enqueued", slot.enqueued_secs)
                    .with("due", slot.due_secs)
                    .with("expiry", slot.expiry_secs)
                    .with("domain", name(slot.domain))
                    .with("tenant", name(slot.tenant))
                    .with("attempts", slot.attempts)
                    .with("priority", slot.priority)
                    .with("held", slot.is_held()),
            );
        }
    }

    fn meta(&mut self, line: Line, part: &[u8]) {
        let meta = match AccountMeta::decode(part) {
            Ok(meta) => meta,
            Err(broken) => return self.say(line.with("damage", broken)),
        };
        self.say(
            line.with("mailboxes", meta.mailboxes.len())
                .with("last-uid-validity", meta.last_uid_validity)
                .with("tip-modseq", meta.tip_modseq)
                .with("subscriptions", meta.subscriptions.join(",")),
        );
        for mailbox in &meta.mailboxes {
            self.say(of_mailbox(mailbox));
        }
    }

    fn layer(&mut self, line: Line, part: &[u8]) {
        let layer = match Layer::decode(part) {
            Ok(layer) => layer,
            Err(broken) => return self.say(line.with("damage", broken)),
        };
        self.say(
            line.with("arrivals", layer.arrivals.len())
                .with("overlays", layer.overlays.len())
                .with("expunged", fact::uids(&layer.expunged)),
        );
        for row in layer.arrivals.iter() {
            self.say(
                Line::new("row")
                    .with("uid", row.uid)
                    .with("modseq", row.modseq)
                    .with("flags", fact::named(row.flags, row.keywords))
                    .with("date", row.internal_date.unix_secs)
                    .with("saved", row.saved_secs)
                    .with("octets", row.octets)
                    .with("object", row.delivery),
            );
        }
        for overlay in &layer.overlays {
            self.say(
                Line::new("overlay")
                    .with("uid", overlay.uid)
                    .with("modseq", overlay.modseq)
                    .with("flags", fact::named(overlay.flags, overlay.keywords)),
            );
        }
    }

    pub(super) async fn locations(&mut self, chunk: u32, generation: u32) {
        let path = name::chunk(&self.owner.directory, chunk, generation);
        let head = match self.head(&path).await {
            Ok(head) => head,
            Err(error) => return self.damage(&path, error),
        };
        let name = ChunkName {
            chunk,
            generation,
            entries: fields_at(&head, ENTRIES_AT).u32().unwrap_or(0),
        };
        let table = Locations::new(self.disk.clone(), self.owner.clone(), &[name]);
        let mut reader = match table.reader(&name).await {
            Ok(reader) => reader,
            Err(error) => return self.damage(&path, error),
        };
        let line = Line::new("locations").with("file", &path);
        self.say(line.with("chunk", chunk).with("entries", name.entries));
        while let Some(page) = reader.next().await {
            match page {
                Ok(page) => {
                    let objects = (page.first.0..).map(ObjectId).zip(page.entries);
                    for (object, location) in objects {
                        let Some(location) = location else { continue };
                        let kind = match location.kind {
                            Kind::Message => "MESSAGE",
                            Kind::Deliver => "SHARE",
                        };
                        self.say(
                            Line::new("location")
                                .with("object", object)
                                .with("kind", kind)
                                .with("place", name_of(location.place)),
                        );
                    }
                }
                Err(error) => self.damage(&path, error),
            }
        }
    }
}

fn of_mailbox(mailbox: &MailboxMeta) -> Line {
    let tally = &mailbox.tally;
    Line::new("mailbox")
        .with("id", mailbox.id)
        .with("name", &mailbox.name)
        .with("uid-validity", mailbox.uid_validity)
        .with("uid-next", mailbox.uid_next)
        .with("highest-modseq", mailbox.highest_modseq)
        .with("messages", tally.messages)
        .with("unseen", tally.unseen)
        .with("deleted", tally.deleted)
        .with("recent", tally.recent)
        .with("octets", tally.octets)
        .with("keywords", mailbox.keywords.join(","))
}

/// The fields of a header that nobody has checked yet.
fn fields_at(head: &[u8], at: usize) -> Fields<'_> {
    Fields::new(head.get(at..).unwrap_or_default())
}

/// Where an index file says its tier, and a chunk its entries (FORMAT.md, "Runs", "Locations").
const TIER_AT: usize = 26;
const ENTRIES_AT: usize = 56;
