//! A device that lies: writes that it calls durable are lost, or land somewhere else in their file.
//!
//! What would break for a user if this failed: somebody else's octets in a message; a shard that
//! dies of a record; damage that nobody names; or a compactor that loses more than the device did.

use crate::fsck::{damages, mend};
use crate::keeper::EAGER;
use crate::ledger::{contents, identify};
use crate::seeds::over_seeds;
use crate::weather::Climate;
use crate::world::{ACCOUNTS, Sim, World, open, runs};
use std::collections::BTreeMap;
use store::compact::Here;
use store::disk::executor::Executor;
use store::mail::uidset::UidSet;

/// What a look at all mail found: by owner, mailbox and UID the message, or nothing.
type Mail = BTreeMap<(usize, String, u32), Option<u64>>;

#[test]
fn what_a_lying_device_leaves_is_served_whole_or_named() {
    for seed in KEPT {
        live(seed);
    }
    let ends = over_seeds(60, live);
    let count = |wanted| ends.iter().filter(|end| **end == wanted).count();
    let counts = [End::Refused, End::Unreadable, End::Whole].map(count);
    println!("{counts:?} refused to open, opened with damage, opened whole");
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

/// Seeds that found something: numbers that a repair gave twice; a place in a segment that a start
/// forgot; a torn end that a start refused and a check did not name.
const KEPT: [u64; 3] = [2, 10, 233];

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Refused,
    Unreadable,
    Whole,
}

fn live(seed: u64) -> End {
    let mut world = World::new(seed, Climate::Lying);
    world.work_until_crash();
    end(&mut world)
}

fn end(world: &mut World) -> End {
    let Some(before) = look(world, false) else {
        let is_damaged = !damages(&world.disk, "").is_empty();
        assert!(is_damaged, "a start is refused for damage only");
        mend(&world.disk, "", 1);
        look(world, true).expect("what was repaired can be opened");
        return End::Refused;
    };
    let is_whole = before.values().all(Option::is_some);
    let is_damaged = !damages(&world.disk, "").is_empty();
    assert!(is_whole || is_damaged, "a check names it");
    if world.seed.chance(500) {
        mend(&world.disk, "", 1);
    }
    let kept = look(world, true).expect("it was opened before");
    is_no_less(&before, &kept);
    if let Some(again) = look(world, false) {
        is_no_less(&before, &again);
    }
    match is_whole {
        true => End::Whole,
        false => End::Unreadable,
    }
}

/// What could be read still can.
fn is_no_less(before: &Mail, after: &Mail) {
    let readable = before.iter().filter(|(_, id)| id.is_some());
    for (uid, id) in readable {
        assert_eq!(after.get(uid), Some(id), "{uid:?}");
    }
}

/// Opens both shards, keeps house if that is wanted, and reads everything. `None`: not opened.
fn look(world: &mut World, keeps_house: bool) -> Option<Mail> {
    let mut executor = Executor::new(world.disk.clone(), world.seed.next());
    let shards = open(&mut executor, &world.disk, "").ok()?;
    runs(&mut executor, &shards);
    let here = Here(world.disk.clone());
    let looking = async move {
        for shard in shards.iter().filter(|_| keeps_house) {
            // What is damaged may be in its way.
            let _ = shard.keep_house(&here, &EAGER).await;
        }
        let mut mail = Mail::new();
        for (owner, address) in ACCOUNTS.iter().enumerate() {
            read(&shards[owner % 2], (owner, address), &mut mail).await;
        }
        mail
    };
    let mail = executor.finish(looking).expect("reading ends");
    world.disk = world.disk.crash(world.seed.next());
    Some(mail)
}

async fn read(shard: &Sim, (owner, address): (usize, &str), mail: &mut Mail) {
    let Some(account) = shard.account(address) else {
        return;
    };
    for info in shard.mailboxes(account.id) {
        let Some(view) = shard.view(account.id, info.id, false) else {
            continue;
        };
        let mut rows = Vec::new();
        let every = UidSet::from_ranges([(1, u32::MAX)]);
        shard.rows(&view, &every, &mut |row| rows.push(row));
        for row in rows {
            let octets = contents(shard, &row).await.ok();
            let id = octets.map(|octets| identify(&octets));
            mail.insert((owner, info.name.clone(), row.uid.0), id);
        }
    }
}
