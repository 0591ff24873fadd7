//! Lives of recipients on the board, second by second, with a clock of the test's own.

use super::board::{
    Arrival, Board, LOOK_SECS, Queue, QueueIndex, SENDING_SECS_MAX, SLACK_SECS, Share,
};
use super::hop::Hop;
use super::nodes::{Band, Index, Nodes, State};
use super::rules::{Mail, Suspended, Switched};
use super::site::{Site, Sites};
use super::suspend::{Field, Suspension};
use super::tally::Tally;
use super::watch::Verdict;
use super::why::Why;
use crate::config::outbound::{Pace, Route, TlsDemand, Via};
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
            board: Board::new(START),
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
            let queue = self
                .board
                .queue_for((0, "default"), &hop, &self.sites.site(&site));
            let shares = [Share { queue, weight: 1 }].into();
            self.board
                .resolved((number, &domain), shares, self.now + 300, self.now);
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
            tls: TlsDemand::default(),
            pace: Pace::default(),
        }),
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

/// Two sources of one site, and what rules order of it.
struct Sources {
    world: World,
    site: Arc<Site>,
    main: QueueIndex,
    second: QueueIndex,
}

impl Sources {
    fn new() -> Sources {
        let mut world = World::new();
        world.arrive(0, "d.far", START + 100_000);
        let site = world.sites.site("far");
        let hop = Rc::new(hop("far"));
        let mut queue = |at: u32, name: &str| {
            let board = &mut world.board;
            board.queue_for((at, name), &hop, &site)
        };
        let (main, second) = (queue(0, "main"), queue(1, "second"));
        Sources {
            world,
            site,
            main,
            second,
        }
    }

    /// Mail of the site by both sources, ready.
    fn arrive(&mut self, items: std::ops::Range<u64>) -> Vec<Index> {
        let world = &mut self.world;
        let all = items.map(|item| world.arrive(item, "d.far", START));
        let all: Vec<Index> = all.collect();
        for (number, domain) in world.board.take_questions() {
            let share = |queue| Share { queue, weight: 1 };
            let shares = [share(self.main), share(self.second)].into();
            let until = world.now + 300;
            world
                .board
                .resolved((number, &domain), shares, until, world.now);
        }
        all
    }

    fn ready(&self) -> (usize, usize) {
        let of = |queue| self.world.board.queue(queue).map_or(0, Queue::ready);
        (of(self.main), of(self.second))
    }
}

#[test]
fn what_a_suspended_source_had_leaves_by_another() {
    let mut sources = Sources::new();
    sources.arrive(1..101);
    let (main, second) = sources.ready();
    assert!(main > 20 && second > 20, "{main} and {second}");
    let suspended = Suspended {
        mail: Mail::Source("main".into()),
        until: START + 100,
        by: "listed".into(),
    };
    sources.site.effects.suspend(suspended, START);
    let board = &mut sources.world.board;
    board.move_on(sources.main, 1_000, START);
    board.move_on(sources.second, 1_000, START);
    assert_eq!(sources.ready(), (0, 100));
    sources.arrive(101..151);
    assert_eq!(
        sources.ready(),
        (0, 150),
        "what comes now goes there at once"
    );
    sources.world.now = START + 100;
    sources.arrive(151..251);
    assert!(sources.ready().0 > 20, "the suspension is over");
}

#[test]
fn mail_of_a_switched_site_leaves_by_the_other_source() {
    let mut sources = Sources::new();
    sources.site.effects.switch(Switched {
        pool: "main".into(),
        until: START + 100,
        by: "blocked".into(),
    });
    sources.arrive(1..51);
    assert_eq!(sources.ready(), (50, 0));
}

#[test]
fn where_all_sources_are_suspended_mail_waits_and_says_why() {
    let mut sources = Sources::new();
    for name in ["main", "second"] {
        let suspended = Suspended {
            mail: Mail::Source(name.into()),
            until: START + 100,
            by: "listed".into(),
        };
        sources.site.effects.suspend(suspended, START);
    }
    let all = sources.arrive(1..11);
    let (main, second) = sources.ready();
    assert_eq!(main + second, 10);
    sources.world.board.move_on(sources.main, 100, START);
    assert_eq!(sources.ready(), (main, second), "nowhere is better");
    let why = sources.world.why(all[0]);
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
