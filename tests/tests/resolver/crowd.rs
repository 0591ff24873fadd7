//! Many questions at once: the same one is asked once, dead domains do not delay living ones, and
//! no shard waits for room.

use super::{Scene, names};
use engine::resolver::DnsFailure;
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tests::dns::{Fault, Kind};

#[test]
fn the_same_question_is_asked_once() {
    let scene = Scene::start();
    scene
        .dns
        .zone("busy.test 0 MX 10 mx.busy.test\nmx.busy.test 0 A 198.51.100.1");
    scene.dns.fault("busy.test", Fault::Silent);
    let threads: Vec<_> = (0..20)
        .map(|_| {
            let resolver = scene.resolver.clone();
            std::thread::spawn(move || pollster::block_on(resolver.hosts("busy.test")))
        })
        .collect();
    scene.dns.wait_for("busy.test", Kind::Mx);
    scene.dns.mend("busy.test");
    for thread in threads {
        assert_eq!(names(&thread.join().unwrap().unwrap()), ["mx.busy.test"]);
    }
    // Asked until it was mended, and at most once more by a thread that came late.
    let answered = scene.dns.count("mx.busy.test", Kind::A);
    assert!((1..=3).contains(&answered), "{answered} questions");
}

#[test]
fn dead_domains_do_not_delay_living_ones() {
    let scene = Scene::with(|props| props.config.timeout_secs = 5);
    for n in 0..CROWD {
        scene.dns.fault(&format!("dead{n}.test"), Fault::Silent);
        let living = format!("live{n}.test");
        scene.dns.zone(&format!(
            "{living} 300 MX 10 mx.{living}\nmx.{living} 300 A 198.51.100.1"
        ));
    }
    let buried = Arc::new(AtomicUsize::new(0));
    let (resolver, count) = (scene.resolver.clone(), Arc::clone(&buried));
    let dead = std::thread::spawn(move || {
        let ask = async |n: usize| {
            let failure = resolver.hosts(&format!("dead{n}.test")).await.unwrap_err();
            assert_eq!(failure, DnsFailure::Silent);
            count.fetch_add(1, Ordering::Relaxed);
        };
        pollster::block_on(join_all((0..CROWD).map(ask)));
    });
    scene.dns.wait_for("dead0.test", Kind::Mx);
    let living = (0..CROWD).map(async |n| {
        let ways = scene
            .resolver
            .hosts(&format!("live{n}.test"))
            .await
            .unwrap();
        assert_eq!(names(&ways), [format!("mx.live{n}.test")]);
    });
    pollster::block_on(join_all(living));
    assert_eq!(
        buried.load(Ordering::Relaxed),
        0,
        "the living waited for the dead"
    );
    dead.join().unwrap();
    assert_eq!(buried.load(Ordering::Relaxed), CROWD);
}

#[test]
fn who_forgets_his_question_takes_nothing_from_others() {
    let scene = Scene::start();
    scene
        .dns
        .zone("slow.test 300 MX 10 mx.slow.test\nmx.slow.test 300 A 198.51.100.1");
    scene.dns.fault("slow.test", Fault::Silent);
    let resolver = scene.resolver.clone();
    let mut forgotten = Box::pin(resolver.hosts("slow.test"));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(forgotten.as_mut().poll(&mut context).is_pending());
    scene.dns.wait_for("slow.test", Kind::Mx);
    drop(forgotten);
    scene.dns.mend("slow.test");
    assert_eq!(names(&scene.hosts("slow.test").unwrap()), ["mx.slow.test"]);
}

#[test]
fn without_the_service_there_is_an_answer() {
    let scene = Scene::start();
    let Scene { dns, resolver, .. } = scene;
    drop(dns);
    let failure = pollster::block_on(resolver.hosts("any.test")).unwrap_err();
    assert!(!failure.is_permanent(), "{failure}");
}

/// Fewer than may be under way at once.
const CROWD: usize = 400;
