//! What clients were told, and the comparison of a store with it.

use crate::clerk::MemoLedger;
use crate::queue::QueueLedger;
use crate::world::{ACCOUNTS, Sim};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use store::disk::fault::Seed;
use store::disk::sim::SimDisk;
use store::error::ReadError;
use store::mail::flags::Flags;
use store::mail::id::{AccountId, ModSeq, Uid, UidValidity};
use store::mail::uidset::UidSet;
use store::mailbox::{MailboxInfo, Row};

/// What clients were told, and what they tried.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    pub(crate) next: u64,
    /// Message → accounts that must have it.
    pub(crate) acknowledged: BTreeMap<u64, BTreeSet<usize>>,
    /// Messages somebody tried to remove: they may be gone.
    pub(crate) removing: BTreeSet<u64>,
    /// How often somebody tried to copy a message.
    pub(crate) copies: HashMap<u64, u32>,
    /// UIDs that a client was told are expunged.
    pub(crate) expunged: BTreeSet<(usize, String, u32)>,
    pub(crate) seen_flag: BTreeSet<(usize, String, u32)>,
    /// Messages for this account that another shard could not hand over, and said so.
    pub(crate) undelivered: BTreeMap<usize, usize>,
    pub(crate) queue: QueueLedger,
    pub(crate) memos: MemoLedger,
    /// What a UID meant when a client first saw it.
    seen: BTreeMap<(usize, String, u32), u64>,
    validity: BTreeMap<(usize, String), UidValidity>,
    highest: BTreeMap<(usize, String), (ModSeq, Uid)>,
}

/// What a store has.
#[derive(Default)]
struct Found {
    is_damage_told: bool,
    /// How often an account has a message.
    whole: BTreeMap<(usize, u64), u32>,
    /// Rows of an account whose message cannot be read.
    lost: BTreeMap<usize, usize>,
}

impl Ledger {
    /// Compares the shards with what was told.
    pub(crate) async fn compare(&mut self, shards: &[Sim], disk: &SimDisk) {
        let mut found = Found {
            is_damage_told: is_damage_told(disk),
            ..Found::default()
        };
        for (owner, address) in ACCOUNTS.iter().enumerate() {
            let shard = &shards[owner % 2];
            let Some(account) = shard.account(address) else {
                continue;
            };
            for info in shard.mailboxes(account.id) {
                self.compare_mailbox(shard, (owner, account.id), &info, &mut found)
                    .await;
            }
        }
        self.compare_messages(&found);
        let mut queue = std::mem::take(&mut self.queue);
        let is_here = |id: u64| (0..ACCOUNTS.len()).any(|it| found.whole.contains_key(&(it, id)));
        queue.compare(shards, disk, is_here, &self.removing).await;
        self.queue = queue;
        self.memos.compare(shards);
    }

    async fn compare_mailbox(
        &mut self,
        shard: &Sim,
        (owner, account): (usize, AccountId),
        info: &MailboxInfo,
        found: &mut Found,
    ) {
        let key = (owner, info.name.clone());
        let validity = info.uid_validity;
        let before = self.validity.entry(key.clone()).or_insert(validity);
        assert_eq!(*before, validity, "UIDVALIDITY stays");
        let status = shard.status(account, info.id).unwrap();
        let highest = (status.highest_modseq, status.uid_next);
        let before = self.highest.entry(key).or_insert(highest);
        let is_forward = before.0 <= highest.0 && before.1 <= highest.1;
        assert!(is_forward, "nothing goes back");
        *before = highest;
        let view = shard.view(account, info.id, false).unwrap();
        let mut rows = Vec::new();
        let every = UidSet::from_ranges([(1, u32::MAX)]);
        shard.rows(&view, &every, &mut |row| rows.push(row));
        for row in rows {
            let uid = (owner, info.name.clone(), row.uid.0);
            self.compare_row(shard, &row, uid, found).await;
        }
    }

    async fn compare_row(
        &mut self,
        shard: &Sim,
        row: &Row,
        uid: (usize, String, u32),
        found: &mut Found,
    ) {
        let is_back = self.expunged.contains(&uid);
        assert!(!is_back, "an expunged UID is back: {uid:?}");
        if self.seen_flag.contains(&uid) {
            let is_seen = row.flags.contains(Flags::SEEN);
            assert!(is_seen, "a flag that was told is lost: {uid:?}");
        }
        let octets = match contents(shard, row).await {
            Ok(octets) => octets,
            Err(error) => {
                assert!(found.is_damage_told, "{uid:?} cannot be read: {error}");
                *found.lost.entry(uid.0).or_default() += 1;
                return;
            }
        };
        assert_eq!(octets.len(), row.octets as usize, "RFC822.SIZE is exact");
        let id = identify(&octets);
        *found.whole.entry((uid.0, id)).or_default() += 1;
        let meant = *self.seen.entry(uid).or_insert(id);
        assert_eq!(meant, id, "a UID means one message for ever");
    }

    fn compare_messages(&self, found: &Found) {
        let mut missing: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for (id, owners) in &self.acknowledged {
            let copies = self.copies.get(id).copied().unwrap_or(0);
            for owner in owners {
                let count = found.whole.get(&(*owner, *id)).copied().unwrap_or(0);
                let is_once = count <= 1 + copies;
                assert!(is_once, "message {id} of {owner} came {count} times");
                if count == 0 && !self.removing.contains(id) {
                    missing.entry(*owner).or_default().push(*id);
                }
            }
        }
        for (owner, missing) in missing {
            let lost = found.lost.get(&owner).copied().unwrap_or(0);
            let undelivered = self.undelivered.get(&owner).copied().unwrap_or(0);
            let is_told = missing.len() <= lost + undelivered;
            assert!(
                is_told,
                "acknowledged mail of {owner} is missing: {missing:?}"
            );
        }
    }
}

/// Whether the operator was told of messages that the device did not give, and that are given up.
pub(crate) fn is_damage_told(disk: &SimDisk) -> bool {
    let mut paths = disk.paths().into_iter();
    paths.any(|path| path.contains("/damaged/") && path.ends_with(".txt"))
}

/// All octets of a message.
pub(crate) async fn contents(shard: &Sim, row: &Row) -> Result<Vec<u8>, ReadError> {
    let message = shard.message(row.delivery).await?;
    shard.read(&message, 0, u64::MAX).await
}

/// The octets of a message that only this `id` has.
pub(crate) fn content(id: u64, octets: usize) -> Vec<u8> {
    let mut text = format!("X-Id: {id}\r\n\r\n").into_bytes();
    let mut seed = Seed::new(id);
    let pattern: Vec<u8> = (0..65).flat_map(|_| seed.next().to_le_bytes()).collect();
    text.extend(pattern.repeat(octets / pattern.len() + 1));
    text.truncate(octets.max(50));
    text
}

/// Which message these octets are; they must be whole.
pub(crate) fn identify(octets: &[u8]) -> u64 {
    let prefixes = ACCOUNTS
        .iter()
        .map(|account| format!("Delivered-To: {account}\r\n"));
    let body = prefixes
        .filter_map(|prefix| octets.strip_prefix(prefix.as_bytes()))
        .next()
        .unwrap_or(octets);
    let rest = body.strip_prefix(b"X-Id: ");
    let rest = rest.expect("a message begins as it was written");
    let digits = rest.split(|octet| !octet.is_ascii_digit()).next();
    let digits = std::str::from_utf8(digits.unwrap()).unwrap();
    let id = digits.parse().unwrap();
    assert!(body == content(id, body.len()), "octet-exact");
    id
}
