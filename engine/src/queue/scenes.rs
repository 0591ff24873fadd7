//! Lives of recipients on the board, second by second, with a clock of the test's own.

use super::board::{Arrival, Board, LOOK_SECS, Queue, QueueIndex, SENDING_SECS_MAX, SLACK_SECS};
use super::hop::{Hop, HopTls};
use super::nodes::{Band, Index, Nodes, State};
use super::pool::Pools;
use super::rules::{Mail, Suspended, Switched};
use super::site::{Site, Sites};
use super::source::{Source, Sources};
use super::suspend::{Field, Suspension};
use super::tally::Tally;
use super::watch::Verdict;
use super::why::Why;
use crate::config::outbound::{self, EgressSource, Outbound, Pace, Route, TlsPolicy, Via};
use crate::egress::Dialect;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

const START: u32 = 1_800_000_000;

struct World {
    board: Board,
    sites: Sites,
    now: u32,
}

impl World {
    fn new() -> World {
        World {
            board: Board::new(START, pools(&Sources::default(), &["one"]), |item| item),
            sites: Sites::default(),
            now: START,
        }
    }

    fn arrive(&mut self, item: u64, domain: &str, due: u32) -> Index {
        let arrival = Arrival {
            item,
            to: domain,
            tenant: "alice@example.test",
            band: Band::Normal,
            due,
            is_held: false,
        };
        self.board.arrive(arrival, self.now).unwrap()
    }

    /// Answers every question: domains with the same last label share a site.
    fn resolve_all(&mut self) {
        for (number, domain) in self.board.take_questions() {
            let site = domain.rsplit('.').next().unwrap().to_owned();
            let hop = Rc::new(hop(&site));
            let site = self.sites.site(&site);
            self.board
                .resolved((number, &domain), hop, site, self.now + 300, self.now);
        }
    }

    fn advance(&mut self, secs: u32) {
        self.now += secs;
        self.board.advance(self.now);
        self.resolve_all();
    }

    fn take(&mut self, queue: QueueIndex) -> Vec<Index> {
        let alone = |_: &Nodes, _, _| false;
        self.board.take(queue, 1, self.now, alone)
    }

    fn state(&self, index: Index) -> State {
        self.board.nodes.node(index).state()
    }

    fn why(&mut self, index: Index) -> Why {
        self.board.why(index, true, self.now, 0)
    }
}

/// One pool of these sources, each with the same weight.
fn pools(sources: &Sources, names: &[&str]) -> Pools {
    let source = |name: &&str| EgressSource {
        name: (*name).to_owned(),
        ..EgressSource::only("mx.test")
    };
    let mut rules = Outbound::default();
    rules.sources = names.iter().map(source).collect();
    rules.pools = vec![outbound::Pool {
        name: "default".to_owned(),
        members: (0..names.len()).map(|at| (at, 1)).collect(),
        tenants: Vec::new(),
        senders: vec!["news@example.test".to_owned()],
    }];
    Pools::new(&rules, sources)
}

#[test]
fn a_source_that_fails_gives_its_share_to_the_others() {
    let mut world = World::new();
    let sources = Sources::default();
    world.board.pools = pools(&sources, &["a", "b"]);
    let [a, b] = <[_; 2]>::try_from(sources.all()).unwrap();
    for item in 0..100 {
        world.arrive(item, "x.test", START);
    }
    world.resolve_all();
    let ready = |world: &World, source: &Arc<Source>| {
        let mut queues = world.board.queues();
        let found = queues.find(|(_, queue)| queue.source.id == source.id);
        found.map(|(index, queue)| (index, queue.ready())).unwrap()
    };
    let ((of_a, before), (_, others)) = (ready(&world, &a), ready(&world, &b));
    assert!(before > 20 && others > 20 && before + others == 100);
    a.suspend("cannot bind 192.0.2.1", world.now);
    world.board.part(of_a, world.now);
    assert_eq!((ready(&world, &a).1, ready(&world, &b).1), (0, 100));
    b.suspend("its proxy is dead", world.now);
    let index = world.arrive(100, "x.test", START);
    let why = world.why(index).to_string();
    assert!(
        why.contains("egress source") && why.contains("suspended"),
        "{why}"
    );
    assert!(
        world
            .why(index)
            .until()
            .is_some_and(|until| until > world.now)
    );
    world.now += 10;
    assert!(
        matches!(world.why(index), Why::Turn { .. }),
        "they are back"
    );
}

#[test]
fn mail_of_a_sender_changes_over_once() {
    let mut world = World::new();
    let sources = Sources::default();
    world.board.pools = pools(&sources, &["a"]);
    let index = world.arrive(1, "x.test", START);
    world.resolve_all();
    let queue = world.board.take_stirred()[0];
    assert_eq!(world.take(queue), [index]);
    let pool = world.board.pools.of_sender("news@example.test").unwrap();
    assert!(world.board.change_pool(index, pool));
    assert!(!world.board.change_pool(index, pool));
    assert_eq!(world.board.tenant_of(index), "alice@example.test");
    assert_tallied(&mut world);
    world.board.defer(index, world.now, world.now);
    assert_eq!(world.state(index), State::Ready);
    let taken = world.take(queue);
    world.board.end(taken[0]);
    assert_eq!(world.board.nodes.live(), 0);
}

fn hop(site: &str) -> Hop {
    Hop {
        exchange: site.to_owned(),
        site: site.to_owned(),
        hosts: Vec::new(),
        dialect: Dialect::Smtp,
        route: Rc::new(Route {
            domains: Vec::new(),
            senders: Vec::new(),
            tenants: Vec::new(),
            via: Via::Mx,
            tls: TlsPolicy::default(),
            pool: None,
            pace: Pace::default(),
        }),
        tls: HopTls::default(),
        generation: 0,
        ttl_secs: 300,
    }
}

#[test]
fn a_swift_host_is_left_more_until_a_second_passes_without_news() {
    let mut world = World::new();
    world.arrive(1, "a.test", 0);
    world.resolve_all();
    let queue = world.board.take_stirred()[0];
    let queue = world.board.queue_mut(queue).unwrap();
    assert_eq!(queue.left_to_each(), 1, "nothing is known of it");
    queue.took(300);
    let swift = queue.left_to_each();
    assert!(swift > 1);
    queue.doubt();
    assert_eq!(queue.left_to_each(), 1, "who was swift may be stuck");
    queue.took(300);
    assert_eq!(queue.left_to_each(), swift);
    queue.took(1_000_000);
    assert_eq!(queue.left_to_each(), 1);
    queue.doubt();
    assert_eq!(queue.left_to_each(), 1, "there was news in that second");
    queue.doubt();
    assert_eq!(queue.left_to_each(), 0, "those at work may be stuck");
    queue.took(300);
    assert_eq!(queue.left_to_each(), 1);
    assert!(!queue.is_slow());
    queue.took(60_000_000);
    assert!(queue.is_slow());
}

#[test]
fn a_life_from_arrival_to_end() {
    let mut world = World::new();
    let index = world.arrive(1, "a.example", START);
    assert_eq!(world.state(index), State::Resolving);
    assert_eq!(
        world.why(index),
        Why::Dns {
            until: START + LOOK_SECS
        }
    );
    world.resolve_all();
    let queues = world.board.take_stirred();
    assert_eq!((world.state(index), queues.len()), (State::Ready, 1));
    assert!(matches!(world.why(index), Why::Turn { ready: 1, .. }));
    assert_eq!(world.take(queues[0]), [index]);
    assert!(matches!(world.why(index), Why::Reply { .. }));
    world.board.defer(index, START + 60, world.now);
    assert_eq!(world.why(index), Why::Retry { at: START + 60 });
    world.advance(59);
    assert_eq!(world.state(index), State::Timed);
    world.advance(1);
    assert_eq!(world.state(index), State::Ready);
    let again = world.board.take_stirred();
    assert_eq!(world.take(again[0]), [index]);
    world.board.end(index);
    assert_eq!(world.board.nodes.live(), 0);
    assert_eq!(world.board.queues().count(), 0, "nobody needs the queue");
}

#[test]
fn domains_of_one_site_share_a_queue() {
    let mut world = World::new();
    for item in 0..10 {
        world.arrive(item, &format!("d{item}.shared"), START);
    }
    world.arrive(10, "d.other", START);
    world.resolve_all();
    let mut ready: Vec<usize> = world
        .board
        .queues()
        .map(|(_, queue)| queue.ready())
        .collect();
    ready.sort_unstable();
    assert_eq!(ready, [1, 10]);
}

#[test]
fn an_answer_of_dns_that_is_old_is_asked_for_again() {
    let mut world = World::new();
    let first = world.arrive(1, "a.example", START + 400);
    world.arrive(2, "a.example", START);
    world.resolve_all();
    assert!(world.board.take_questions().is_empty());
    world.now += 400;
    world.board.advance(world.now);
    assert_eq!(world.state(first), State::Resolving);
    assert_eq!(world.board.take_questions().len(), 1);
    world.board.doubt_all();
}

/// Wherever a recipient waits, it goes the other way; who waits for a time still waits for it.
#[test]
fn a_redirected_recipient_goes_the_other_way() {
    let mut world = World::new();
    let ready = world.arrive(1, "a.old", START);
    let timed = world.arrive(2, "a.old", START + 60);
    world.resolve_all();
    let asking = world.arrive(3, "b.old", START);
    let old = world.board.take_stirred();
    for (index, name) in [
        (ready, "a.old\t\t\tx.new"),
        (timed, "a.old\t\t\tx.new"),
        (asking, "b.new"),
    ] {
        world.board.redirect(index, name, world.now);
    }
    assert_eq!(world.state(timed), State::Timed);
    assert!(
        world.take(old[0]).is_empty(),
        "nobody is ready there any more"
    );
    world.board.prune(old[0]);
    world.resolve_all();
    let new = world.board.take_stirred();
    assert_eq!(new.len(), 1, "both go to the same site: {new:?}");
    let first = world.take(new[0]);
    let second = world.take(new[0]);
    let names: Vec<&str> = [first[0], second[0]]
        .map(|index| world.board.domain_of(index))
        .into();
    assert_eq!(
        names,
        ["a.old", "b.new"],
        "the domain of mail stays what it is"
    );
    world.advance(60);
    let due = world.board.take_stirred();
    assert_eq!(world.take(due[0]), [timed]);
    for index in [first[0], second[0], timed] {
        world.board.end(index);
    }
    assert_eq!(world.board.nodes.live(), 0);
    assert_eq!(world.board.queues().count(), 0, "no queue is left behind");
}

#[test]
fn nobody_knows_the_domain() {
    let mut world = World::new();
    let all: Vec<Index> = (0..3)
        .map(|item| world.arrive(item, "a.example", START))
        .collect();
    let asked = world.board.take_questions();
    let (number, domain) = &asked[0];
    assert!(
        world
            .board
            .unresolved((*number, "b.example"), world.now)
            .is_empty()
    );
    let waited = world.board.unresolved((*number, domain), world.now);
    assert_eq!(waited, all);
    for index in waited {
        world.board.defer(index, START + 60, world.now);
    }
    world.now += 60;
    world.board.advance(world.now);
    assert_eq!(
        world.board.take_questions().len(),
        1,
        "asked once for all three"
    );
}

#[test]
fn orders_take_out_of_any_list() {
    let mut world = World::new();
    let timed = world.arrive(1, "a.example", START + 1_000);
    let ready = world.arrive(2, "a.example", START);
    world.resolve_all();
    for index in [timed, ready] {
        let out = world.board.take_out(index).unwrap();
        world.board.hold(out, world.now);
        assert!(matches!(world.why(out), Why::Held { .. }));
    }
    world.advance(2_000);
    let (late, _) = world.board.late(0, 1_000, world.now);
    let items: Vec<u64> = late
        .iter()
        .map(|index| world.board.nodes.node(*index).item)
        .collect();
    assert_eq!(items, [1, 2], "the watchdog looks at what is held");
    for index in late {
        world.board.look_later(index, world.now);
        let out = world.board.take_out(index).unwrap();
        world.board.defer(out, world.now, world.now);
    }
    world.resolve_all();
    assert_eq!(
        world.board.queues().map(|(_, queue)| queue.ready()).max(),
        Some(3)
    );
    let queue = world.board.take_stirred()[0];
    assert_eq!((world.take(queue).len(), world.take(queue).len()), (1, 1));
    assert!(
        world.take(queue).is_empty(),
        "what was taken out is not there twice"
    );
}

#[test]
fn what_is_suspended_waits_and_says_so() {
    let mut world = World::new();
    let field = Field::Domain("a.example".to_owned());
    assert!(world.board.suspensions.add(Suspension {
        field: field.clone(),
        until: Some(START + 100),
    }));
    let kept = world.arrive(1, "a.example", START);
    let other = world.arrive(2, "b.example", START);
    world.resolve_all();
    assert_eq!(
        (world.state(kept), world.state(other)),
        (State::Timed, State::Ready)
    );
    assert!(world.why(kept).to_string().contains("domain a.example"));
    world.advance(100);
    assert_eq!(world.state(kept), State::Ready);
}

/// A recipient that is broken on purpose, in any state, is found and brought back into its life.
#[test]
fn what_is_broken_is_found_and_mended() {
    let mut world = World::new();
    let expires = Some(START + 100_000);
    let lost = world.arrive(1, "a.example", START + 1_000);
    let sending = world.arrive(2, "b.example", START);
    world.resolve_all();
    let queue = world.board.take_stirred()[0];
    assert_eq!(world.take(queue), [sending]);
    // The wheel forgets one: as if it had fired, and nobody had heard.
    world.board.nodes.node_mut(lost).due = START + 1;
    world.now = START + 1 + SLACK_SECS + 1;
    let (late, _) = world.board.survey(0, u32::MAX, world.now);
    assert_eq!(late, [lost]);
    let verdict = world.board.judge(lost, expires, world.now);
    assert_eq!(verdict, Verdict::Overdue(State::Timed));
    world.resolve_all();
    let items = |world: &World, state: State| -> Vec<u64> {
        let (all, _) = world.board.nodes.walk(0, u32::MAX);
        let found = all.filter(|index| world.state(*index) == state);
        found
            .map(|index| world.board.nodes.node(index).item)
            .collect()
    };
    assert_eq!(items(&world, State::Ready), [1], "it starts again");
    // A courier that never comes back: said, and left to it.
    world.now = START + SENDING_SECS_MAX + SLACK_SECS + 1;
    let (late, _) = world.board.survey(0, u32::MAX, world.now);
    assert!(late.contains(&sending), "{late:?}");
    let verdict = world.board.judge(sending, expires, world.now);
    assert_eq!(verdict, Verdict::Overdue(State::Sending));
    // What waits for others may, until its message expires.
    let ready = late
        .into_iter()
        .find(|index| world.state(*index) == State::Ready)
        .unwrap();
    assert_eq!(world.board.judge(ready, expires, world.now), Verdict::Later);
    let verdict = world.board.judge(ready, Some(world.now), world.now);
    assert!(matches!(verdict, Verdict::Expired(_)), "{verdict:?}");
    // One whose item has ended is let go.
    let ended = world.arrive(3, "c.example", START + 90_000);
    assert_eq!(world.board.judge(ended, None, world.now), Verdict::Ended);
    assert!(!items(&world, State::Timed).contains(&3));
}

/// Tallies of sites and tenants are what one gets by counting, whatever has happened.
fn assert_tallied(world: &mut World) {
    let mut counted: BTreeMap<&str, u32> = BTreeMap::new();
    let (all, _) = world.board.nodes.walk(0, u32::MAX);
    for index in all {
        *counted
            .entry(world.board.nodes.node(index).state().name())
            .or_default() += 1;
    }
    let mut tallied: BTreeMap<&str, u32> = BTreeMap::new();
    let tallies: Vec<Tally> = world
        .board
        .parts(world.now)
        .iter()
        .map(|one| one.tally)
        .collect();
    let of_tenants: Vec<Tally> = world.board.tenants().map(|(_, tally)| *tally).collect();
    for tallies in [tallies, of_tenants] {
        tallied.clear();
        for tally in tallies {
            for (state, count) in [
                (State::Timed, tally.timed),
                (State::Resolving, tally.resolving),
                (State::Ready, tally.ready),
                (State::Sending, tally.sending),
                (State::Held, tally.held),
            ] {
                *tallied.entry(state.name()).or_default() += count;
            }
        }
        tallied.retain(|_, count| *count > 0);
        assert_eq!(tallied, counted);
    }
}

/// Two sources of one pool, and what rules order of a site.
struct Ruled {
    world: World,
    site: Arc<Site>,
    sources: [Arc<Source>; 2],
}

impl Ruled {
    fn new() -> Ruled {
        let (mut world, sources) = (World::new(), Sources::default());
        world.board.pools = pools(&sources, &["main", "second"]);
        Ruled {
            site: world.sites.site("far"),
            world,
            sources: sources.all().try_into().unwrap(),
        }
    }

    /// Mail of the site by both sources, ready.
    fn arrive(&mut self, items: std::ops::Range<u64>) -> Vec<Index> {
        let world = &mut self.world;
        let all: Vec<Index> = items
            .map(|item| world.arrive(item, "d.far", world.now))
            .collect();
        world.resolve_all();
        all
    }

    fn suspend(&self, name: &str) {
        let suspended = Suspended {
            mail: Mail::Source(name.into()),
            until: START + 100,
            by: "listed".into(),
        };
        self.site.effects.suspend(suspended, START);
    }

    fn switch(&self, pool: &str) {
        self.site.effects.switch(Switched {
            pool: pool.into(),
            until: START + 100,
            by: "blocked".into(),
        });
    }

    /// What each queue looks for after a second.
    fn part(&mut self) {
        let board = &mut self.world.board;
        let all: Vec<QueueIndex> = board.queues().map(|(index, _)| index).collect();
        all.into_iter()
            .for_each(|index| board.part(index, self.world.now));
    }

    fn ready(&self) -> [usize; 2] {
        self.sources.each_ref().map(|source| {
            let mut queues = self.world.board.queues();
            let found = queues.find(|(_, queue)| queue.source.id == source.id);
            found.map_or(0, |(_, queue)| Queue::ready(queue))
        })
    }
}

#[test]
fn what_a_suspended_source_had_leaves_by_another() {
    let mut ruled = Ruled::new();
    ruled.arrive(1..101);
    let [main, second] = ruled.ready();
    assert!(main > 20 && second > 20, "{main} and {second}");
    ruled.suspend("main");
    ruled.part();
    assert_eq!(ruled.ready(), [0, 100]);
    ruled.arrive(101..151);
    assert_eq!(ruled.ready(), [0, 150], "what comes now goes there at once");
    ruled.world.now = START + 100;
    ruled.arrive(151..251);
    assert!(ruled.ready()[0] > 20, "the suspension is over");
}

#[test]
fn a_rule_about_one_site_leaves_a_source_to_the_others() {
    let mut ruled = Ruled::new();
    ruled.suspend("main");
    for item in 0..100 {
        ruled.world.arrive(item, "d.near", START);
    }
    ruled.world.resolve_all();
    assert!(ruled.ready()[0] > 20, "{:?}", ruled.ready());
}

#[test]
fn mail_of_a_switched_site_leaves_by_the_other_source() {
    let mut ruled = Ruled::new();
    ruled.arrive(1..51);
    ruled.switch("main");
    ruled.part();
    ruled.arrive(51..101);
    assert_eq!(ruled.ready(), [100, 0]);
    ruled.switch("default");
    ruled.arrive(101..201);
    assert!(ruled.ready()[1] > 20, "the last order holds");
}

#[test]
fn where_all_sources_are_suspended_mail_waits_and_says_why() {
    let mut ruled = Ruled::new();
    ruled.suspend("main");
    ruled.suspend("second");
    let all = ruled.arrive(1..11);
    let before = ruled.ready();
    assert_eq!(before.iter().sum::<usize>(), 10);
    ruled.part();
    assert_eq!(ruled.ready(), before, "nowhere is better");
    let why = ruled.world.why(all[0]);
    assert_eq!(why.until(), Some(START + 100));
    assert!(why.to_string().contains("by rule listed"), "{why}");
}

#[test]
fn a_tenant_that_a_rule_suspended_is_told_why_it_waits() {
    let mut world = World::new();
    let index = world.arrive(1, "d.far", START);
    world.resolve_all();
    let mail = Mail::Tenant("alice@example.test".into());
    let suspended = Suspended {
        mail,
        until: START + 100,
        by: "noisy".into(),
    };
    world.sites.site("far").effects.suspend(suspended, START);
    let queue = world.board.take_stirred()[0];
    assert_eq!(world.take(queue), [index]);
    world.board.defer(index, START + 100, START);
    let why = world.why(index).to_string();
    assert!(
        why.contains("tenant alice@example.test at far by rule noisy"),
        "{why}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever happens, everybody is in a state with a moment and a reason, nobody is lost, and
    /// the watchdog finds nobody late but those whom only a look can move.
    #[test]
    fn nobody_is_forgotten(steps in prop::collection::vec((0u8..6, 0u32..1_000), 1..200)) {
        let mut world = World::new();
        let mut alive: BTreeMap<u64, Index> = BTreeMap::new();
        let mut sending: Vec<Index> = Vec::new();
        let mut next = 0;
        for (kind, value) in steps {
            match kind {
                0 | 1 => {
                    let domain = format!("d{}.s{}", value % 13, value % 3);
                    let due = world.now + if kind == 0 { 0 } else { value };
                    alive.insert(next, world.arrive(next, &domain, due));
                    next += 1;
                }
                2 => {
                    world.advance(value % 120);
                    let (late, _) = world.board.late(0, u32::MAX, world.now);
                    for index in late {
                        prop_assert!(world.state(index) != State::Timed);
                        world.board.look_later(index, world.now);
                    }
                }
                3 => {
                    let ready: Vec<QueueIndex> =
                        world.board.queues().map(|(index, _)| index).collect();
                    for queue in ready {
                        sending.extend(world.take(queue));
                    }
                }
                4 => for index in sending.drain(..) {
                    world.board.defer(index, world.now + value, world.now);
                },
                _ => for index in sending.drain(..) {
                    alive.remove(&world.board.nodes.node(index).item);
                    world.board.end(index);
                },
            }
            world.resolve_all();
        }
        for index in alive.values() {
            let state = world.state(*index);
            prop_assert!(state != State::Gone);
            let until = world.why(*index).until();
            prop_assert!(until.is_some_and(|until| until + SLACK_SECS >= world.now));
        }
        let (late, _) = world.board.late(0, u32::MAX, world.now);
        prop_assert!(late.is_empty(), "{} late within {SLACK_SECS} s", late.len());
        let (all, _) = world.board.nodes.walk(0, u32::MAX);
        prop_assert_eq!(all.count(), alive.len());
        assert_tallied(&mut world);
    }
}
