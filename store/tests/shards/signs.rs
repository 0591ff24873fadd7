//! Searches in a world: whatever became of the signatures, what holds a text is among the
//! candidates, and columns say what the message says.

use crate::ledger::contents;
use crate::world::{ACCOUNTS, Sim};
use std::sync::Arc;
use store::mail::id::{AccountId, MailboxId, Uid};
use store::mail::uidset::UidSet;
use store::shard::{Column, Field, FirstPass, InMemory, Needle, TextSink, Texts, Version};

/// The beginning of a message, in one text; one column is its first line.
struct Beginning;

impl Texts for Beginning {
    fn version(&self) -> Version {
        Version::from(3)
    }

    fn begin(&self) -> Box<dyn FirstPass> {
        Box::new(InMemory(|message: &[u8], each: TextSink<'_>| {
            each(Field::Header, &beginning(message));
        }))
    }

    fn column(&self, header: &[u8], column: Column, out: &mut Vec<u8>) {
        if column == Column::Envelope {
            out.extend_from_slice(first_line(header));
        }
    }
}

fn beginning(message: &[u8]) -> String {
    let start = message.get(..BEGINNING_BYTES).unwrap_or(message);
    String::from_utf8_lossy(start).into_owned()
}

fn first_line(message: &[u8]) -> &[u8] {
    message
        .split(|octet| *octet == b'\r')
        .next()
        .unwrap_or_default()
}

/// A device that does not read leaves a shard without signatures.
pub(crate) async fn begin(shard: &Sim) {
    let _ = shard.sign_by(Arc::new(Beginning)).await;
}

/// Asks for a text of each message.
pub(crate) async fn compare(shards: &[Sim]) {
    for shard in shards {
        for address in ACCOUNTS {
            let Some(account) = shard.account(address) else {
                continue;
            };
            for info in shard.mailboxes(account.id) {
                compare_mailbox(shard, account.id, info.id).await;
            }
        }
    }
}

async fn compare_mailbox(shard: &Sim, account: AccountId, mailbox: MailboxId) {
    let Some(view) = shard.view(account, mailbox, false) else {
        return;
    };
    let every = UidSet::from_ranges([(1, u32::MAX)]);
    let mut rows = Vec::new();
    shard.rows(&view, &every, &mut |row| rows.push(row));
    let mut kept = Vec::new();
    let mut each = |uid: Uid, line: &[u8]| kept.push((uid, line.to_vec()));
    let column = Column::Envelope;
    let without = shard
        .columns(account, mailbox, &every, column, &mut each)
        .await;
    assert_eq!(kept.len() + without.len() as usize, rows.len());
    for row in rows {
        let Ok(octets) = contents(shard, &row).await else {
            continue;
        };
        let text = beginning(&octets);
        let line = text.lines().next().unwrap_or_default();
        let needle = Needle {
            field: Field::Header,
            text: line,
        };
        let left = shard.may_hold(account, mailbox, &every, &needle).await;
        assert!(left.contains(row.uid), "{line} is in UID {}", row.uid);
        if let Some((_, kept)) = kept.iter().find(|(uid, _)| *uid == row.uid) {
            assert_eq!(kept, first_line(&octets));
        }
    }
}

const BEGINNING_BYTES: usize = 300;
