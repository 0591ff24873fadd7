//! What the shards have, held against what clients were told.

use super::{ACCOUNTS, Ledger, Sim};
use std::collections::BTreeMap;
use store::disk::fault::Seed;
use store::mail::flags::Flags;
use store::mail::uidset::UidSet;

pub(crate) async fn compare(shards: &[Sim], ledger: &mut Ledger) {
    let mut found: BTreeMap<(usize, u64), u32> = BTreeMap::new();
    for (owner, address) in ACCOUNTS.iter().enumerate() {
        let shard = &shards[owner % 2];
        let Some(account) = shard.account(address) else {
            continue;
        };
        for info in shard.mailboxes(account.id) {
            let key = (owner, info.name.clone());
            let before = ledger
                .validity
                .entry(key.clone())
                .or_insert(info.uid_validity);
            assert_eq!(*before, info.uid_validity, "UIDVALIDITY stays");
            let status = shard.status(account.id, info.id).unwrap();
            let highest = (status.highest_modseq, status.uid_next);
            let before = ledger.highest.entry(key).or_insert(highest);
            assert!(
                before.0 <= highest.0 && before.1 <= highest.1,
                "nothing goes back"
            );
            *before = highest;
            let view = shard.view(account.id, info.id, false).unwrap();
            let mut rows = Vec::new();
            shard.rows(&view, &UidSet::from_ranges([(1, u32::MAX)]), &mut |row| {
                rows.push(row)
            });
            for row in rows {
                let uid = (owner, info.name.clone(), row.uid.0);
                assert!(
                    !ledger.expunged.contains(&uid),
                    "an expunged UID is back: {uid:?}"
                );
                let message = shard.message(row.delivery).await.unwrap();
                let octets = shard.read(&message, 0, u64::MAX).await.unwrap();
                assert_eq!(octets.len(), row.octets as usize, "RFC822.SIZE is exact");
                let id = identify(&octets);
                *found.entry((owner, id)).or_default() += 1;
                if ledger.seen_flag.contains(&uid) {
                    assert!(
                        row.flags.contains(Flags::SEEN),
                        "a flag that was told is lost"
                    );
                }
                let meant = *ledger.seen.entry(uid).or_insert(id);
                assert_eq!(meant, id, "a UID means one message for ever");
            }
        }
    }
    for (id, owners) in &ledger.acknowledged {
        for owner in owners {
            let count = found.get(&(*owner, *id)).copied().unwrap_or(0);
            let copies = ledger.copies.get(id).copied().unwrap_or(0);
            if !ledger.removing.contains(id) {
                assert!(
                    count >= 1,
                    "acknowledged message {id} of {owner} is missing"
                );
            }
            assert!(
                count <= 1 + copies,
                "message {id} of {owner} came {count} times"
            );
        }
    }
}

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
    let prefix = ACCOUNTS
        .iter()
        .map(|account| format!("Delivered-To: {account}\r\n"));
    let body = prefix
        .filter_map(|prefix| octets.strip_prefix(prefix.as_bytes()))
        .next()
        .unwrap_or(octets);
    let rest = body
        .strip_prefix(b"X-Id: ")
        .expect("a message begins as it was written");
    let digits = rest
        .iter()
        .take_while(|octet| octet.is_ascii_digit())
        .count();
    let id = std::str::from_utf8(&rest[..digits])
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(
        body,
        content(id, body.len()).get(..body.len()).unwrap(),
        "octet-exact"
    );
    id
}
