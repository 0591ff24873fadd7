//! What one shard owes another arrives, whatever became of the message or of its account.

use super::{on_a_shard, open_store, run_log};
use crate::auth::Secrets;
use crate::config::{Config, Domain};
use crate::intake::{Claims, Counter, Feeder, Heirs, Intake, Shard, queue_id};
use crate::post::{Letter, Post, Submitted};
use crate::reactor::inbox::{Limit, Receiver};
use crate::reactor::{Clock, Mesh, oneshot, spawn, yield_now};
use crate::route::{Live, Origin, Plan, PlannedAccount, shard};
use crate::telemetry::metric::{Lost, ShardMetrics};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use store::disk::home::shard_directory;
use store::error::ChangeError;
use store::mail::address::Address;
use store::mail::envelope::Notify;
use store::mail::id::{QueueId, ShardId};
use store::mail::uidset::UidSet;
use store::shard::{Share, Source};

/// One of two shards that live on one thread.
struct Side {
    store: Rc<Shard>,
    intake: Intake,
    feeder: Rc<Feeder>,
    metrics: Arc<ShardMetrics>,
    written: oneshot::Receiver<()>,
}

#[test]
fn a_damaged_message_is_named_and_those_behind_it_arrive() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let names = Names::find();
    let live = names.live(&[&names.here, &names.there]);
    let lines = on_a_shard(Clock::Kernel, &path, move |path| async move {
        let sides = open(&path, &live).await;
        for (queue, text) in [(1, "first"), (2, "SPOILED"), (3, "third")] {
            send(&sides[0], queue, text, &names.both()).await;
        }
        let [zero, one] = sides;
        close(zero).await;
        close(one).await;
        // Opening reads the log whole, so it goes bad behind its back.
        let sides = open(&path, &live).await;
        spoil(&path, b"SPOILED");
        spawn(Rc::clone(&sides[0].feeder).run());
        settled(&sides[0]).await;
        assert_eq!(
            texts(&sides[1].store, &names.there).await,
            ["first", "third"]
        );
        assert_eq!(sides[0].metrics.messages_lost.of(Lost::Damaged).read(), 1);
        names.there
    });
    let (lines, account) = lines;
    let lost: Vec<_> = lines.iter().filter(|line| line.contains("lost")).collect();
    assert_eq!(lost.len(), 1, "{lines:?}");
    assert!(lost[0].contains(&account) && lost[0].contains("damaged record in segment"));
}

#[test]
fn mail_of_a_removed_account_goes_to_the_catch_all_even_of_another_shard() {
    let directory = tempfile::tempdir().unwrap();
    let names = Names::find();
    let before = names.live(&[&names.here, &names.there]);
    let after = names.live_with(&[&names.here], Some(&names.here));
    let (lines, ()) = on_a_shard(Clock::Kernel, directory.path(), move |path| async move {
        let sides = open(&path, &before).await;
        send(&sides[0], 1, "for two", &names.both()).await;
        before.directory.store(after.directory.load_full());
        spawn(Rc::clone(&sides[0].feeder).run());
        spawn(Rc::clone(&sides[1].feeder).run());
        settled(&sides[0]).await;
        settled(&sides[1]).await;
        // The catch-all was a recipient itself, and gets the copy of the other one too.
        assert_eq!(texts(&sides[0].store, &names.here).await, ["for two"; 2]);
        assert!(
            sides[1].store.account(&names.there).is_none(),
            "not made again"
        );
    });
    assert!(!lines.iter().any(|line| line.contains("lost")), "{lines:?}");
}

#[test]
fn mail_that_nobody_inherits_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let names = Names::find();
    let before = names.live(&[&names.here, &names.there]);
    let (lines, account) = on_a_shard(Clock::Kernel, directory.path(), move |path| async move {
        let sides = open(&path, &before).await;
        send(&sides[0], 77, "for nobody", &names.both()).await;
        let nobody = names.live(&[]);
        before.directory.store(nobody.directory.load_full());
        spawn(Rc::clone(&sides[0].feeder).run());
        settled(&sides[0]).await;
        assert_eq!(sides[1].metrics.messages_lost.of(Lost::NoAccount).read(), 1);
        assert!(sides[1].store.account(&names.there).is_none());
        names.there
    });
    let lost: Vec<_> = lines.iter().filter(|line| line.contains("lost")).collect();
    assert_eq!(lost.len(), 1, "{lines:?}");
    assert!(lost[0].contains(&account) && lost[0].contains("no such account"));
    assert!(lost[0].contains(&format!("queue_id={}", queue_id::text(QueueId(77)))));
}

#[test]
fn an_account_removed_before_the_answer_is_refused_or_inherited() {
    let directory = tempfile::tempdir().unwrap();
    let names = Names::find();
    let before = names.live(&[&names.here, &names.there]);
    on_a_shard(Clock::Kernel, directory.path(), move |path| async move {
        let sides = open(&path, &before).await;
        let heir = names.live_with(&[&names.there], Some(&names.there));
        before.directory.store(heir.directory.load_full());
        spawn(Rc::clone(&sides[0].feeder).run());
        let only = vec![(0, vec![share(&names.here)])];
        assert!(send(&sides[0], 1, "inherited", &only).await[0].is_ok());
        settled(&sides[0]).await;
        assert_eq!(texts(&sides[1].store, &names.there).await, ["inherited"]);

        let nobody = names.live(&[]);
        before.directory.store(nobody.directory.load_full());
        assert!(send(&sides[0], 2, "refused", &only).await[0].is_err());
        assert!(sides[0].store.account(&names.here).is_none());
        assert_eq!(sides[0].metrics.messages_lost.of(Lost::NoAccount).read(), 0);
    });
}

/// One account of each shard.
#[derive(Clone)]
struct Names {
    here: String,
    there: String,
}

impl Names {
    fn find() -> Names {
        let of = |wanted| {
            (0..)
                .map(|n| format!("user{n}@example.test"))
                .find(|name| shard(&Address::split(name).unwrap(), 2) == ShardId(wanted))
                .unwrap()
        };
        Names {
            here: of(0),
            there: of(1),
        }
    }

    fn both(&self) -> Vec<(usize, Vec<Share>)> {
        vec![(0, vec![share(&self.here)]), (1, vec![share(&self.there)])]
    }

    fn live(&self, accounts: &[&String]) -> Arc<Live> {
        self.live_with(accounts, None)
    }

    fn live_with(&self, accounts: &[&String], catch_all: Option<&String>) -> Arc<Live> {
        let plan = Plan {
            hostname: "mx.example.test".to_owned(),
            shards: 2,
            postmaster: None,
            domains: vec![Domain {
                name: "example.test".to_owned(),
                catch_all: catch_all.map(|name| Address::split(name).unwrap()),
                delimiter: None,
                accounts_elsewhere: false,
            }],
            accounts: accounts.iter().map(|name| planned(name)).collect(),
            aliases: Vec::new(),
        };
        let (directory, _) = plan.build(None);
        Arc::new(Live::new(
            Config::demo(Path::new("unused"), "x"),
            directory,
            None,
        ))
    }
}

fn planned(name: &str) -> PlannedAccount {
    PlannedAccount {
        address: Address::split(name).unwrap(),
        secrets: Secrets::parse("{PLAIN}x").unwrap(),
        quota: None,
        disabled: false,
        origin: Origin::Store,
    }
}

fn share(account: &str) -> Share {
    Share {
        account: account.to_owned(),
        recipient: Address::split(account).unwrap(),
        notify: Notify::UNSET,
        orcpt: None,
        prefix: Vec::new(),
    }
}

async fn open(path: &Path, live: &Arc<Live>) -> [Side; 2] {
    let limit = Limit {
        items_max: 256,
        bytes_max: 1 << 20,
    };
    let endpoints = Mesh::<Letter>::new(2, limit).into_endpoints();
    let mut sides = Vec::new();
    for (me, endpoint) in endpoints.into_iter().enumerate() {
        let (lanes, inbox) = endpoint.split();
        sides.push(open_one(path, live, me, Post::new(me, lanes), inbox).await);
    }
    sides.try_into().ok().unwrap()
}

async fn open_one(
    path: &Path,
    live: &Arc<Live>,
    me: usize,
    post: Rc<Post>,
    inbox: Receiver<Letter>,
) -> Side {
    let store = open_store(path, me, live).await;
    let metrics = Arc::<ShardMetrics>::default();
    let heirs = Heirs::new(Arc::clone(live), Arc::clone(&metrics), me);
    let counter = Rc::new(Counter::new(
        Rc::clone(&store),
        heirs.clone(),
        Claims::new(Rc::clone(&store)),
    ));
    spawn(answer(Rc::clone(&post), counter, inbox));
    let written = run_log(&store);
    let (of_feeder, of_intake) = (heirs.clone(), heirs);
    let counted = Arc::clone(&metrics);
    Side {
        feeder: Feeder::new(
            Rc::clone(&store),
            Rc::clone(&post),
            of_feeder,
            counted,
            1 - me,
        ),
        intake: Intake::new(Rc::clone(&store), post, of_intake),
        store,
        metrics,
        written,
    }
}

async fn answer(post: Rc<Post>, counter: Rc<Counter>, mut inbox: Receiver<Letter>) {
    while let Some(letter) = inbox.recv().await {
        match letter {
            Letter::Ask {
                ticket,
                from,
                question,
            } => {
                let (post, counter) = (Rc::clone(&post), Rc::clone(&counter));
                spawn(async move {
                    let answer = counter.answer(from, question).await;
                    let _ = post.send(from, Letter::Answer { ticket, answer }).await;
                });
            }
            Letter::Answer { ticket, answer } => post.answered(ticket, answer),
            _ => panic!("nobody sends that"),
        }
    }
}

async fn send(
    side: &Side,
    queue: u64,
    text: &str,
    shares: &[(usize, Vec<Share>)],
) -> Vec<Result<(), ChangeError>> {
    let mut body = side.intake.begin(shares[0].0);
    let mut octets = text.as_bytes().to_vec();
    side.intake.write(&mut body, &mut octets).await.unwrap();
    let submitted = Submitted {
        queue: QueueId(queue),
        source: Source::default(),
        received_secs: 1,
        stream: None,
        tail: Vec::new(),
        each_alone: false,
        shares: shares.to_vec(),
        outbound: Vec::new(),
        memos: Vec::new(),
    };
    side.intake.commit(body, submitted).await.unwrap().shares
}

async fn settled(side: &Side) {
    while side.store.offers_waiting() > 0 {
        yield_now().await;
    }
}

async fn close(side: Side) {
    side.store.close();
    let _ = side.written.await;
}

/// The messages of an INBOX, in order.
async fn texts(store: &Shard, account: &str) -> Vec<String> {
    let account = store.account(account).unwrap().id;
    let inbox = store.mailbox(account, "INBOX").unwrap().id;
    let view = store.view(account, inbox, false).unwrap();
    let mut deliveries = Vec::new();
    store.rows(&view, &UidSet::from_ranges([(1, u32::MAX)]), &mut |row| {
        deliveries.push(row.delivery);
    });
    let mut texts = Vec::new();
    for delivery in deliveries {
        let message = store.message(delivery).await.unwrap();
        let octets = store.read(&message, 0, u64::MAX).await.unwrap();
        texts.push(String::from_utf8(octets).unwrap());
    }
    texts
}

/// Flips one bit of the octets `what` in shard 0's first segment.
fn spoil(path: &Path, what: &[u8]) {
    let segment = path
        .join(shard_directory(0))
        .join("log")
        .join(format!("{:016x}.log", 1));
    let mut file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(segment)
        .unwrap();
    let mut octets = Vec::new();
    file.read_to_end(&mut octets).unwrap();
    let at = octets
        .windows(what.len())
        .position(|window| window == what)
        .unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(&[octets[at] ^ 1]).unwrap();
}
