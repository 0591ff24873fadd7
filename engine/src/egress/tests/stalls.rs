//! A peer that falls silent behind any octet, or breaks a connection with TLS behind any: bounded
//! time, and nothing is taken for delivered that is not.

use super::secure::Realm;
use super::*;
use crate::wire::sasl::Password;
use futures_util::future::join_all;
use std::time::Instant;

/// What became of one letter at each of these servers, all of them at once.
fn at_once(servers: Vec<Server>, demand: Demand) -> Vec<(Result<Fate, Stage>, Ledger)> {
    let to = move |address| Target {
        demand: demand.clone(),
        ..hasty(address)
    };
    each_at_once(servers, to)
}

/// The same, with terms of its own for each.
fn each_at_once(
    servers: Vec<Server>,
    to: impl Fn(SocketAddr) -> Target + Send + 'static,
) -> Vec<(Result<Fate, Stage>, Ledger)> {
    let (addresses, ledgers): (Vec<_>, Vec<_>) = servers.into_iter().map(Server::serve).unzip();
    let fates = on_shard(move || async move {
        let tools = tools();
        let letters = addresses.into_iter().map(|address| {
            let target = to(address);
            let tools = &tools;
            async move {
                let told = deliver(&target, tools, &text(100)).await;
                told.map(|told| told.fate).map_err(|why| why.stage)
            }
        });
        join_all(letters).await
    });
    let ledgers = ledgers.iter().map(|ledger| ledger.recv().unwrap());
    fates.into_iter().zip(ledgers).collect()
}

fn assert_sound(all: &[(Result<Fate, Stage>, Ledger)]) {
    for (place, (fate, ledger)) in all.iter().enumerate() {
        let is_taken = !ledger.messages.is_empty();
        match fate {
            Ok(Fate::Delivered) => assert!(is_taken, "place {place}"),
            // A duplicate comes only of what is called unknown.
            Ok(Fate::Unknown) => {}
            other => assert!(!is_taken, "place {place}: {other:?}, and taken"),
        }
    }
    for wanted in [Ok(Fate::Unknown), Ok(Fate::Delivered)] {
        let came = all.iter().any(|(fate, _)| *fate == wanted);
        assert!(came, "{wanted:?} never came");
    }
}

#[test]
fn silence_behind_any_octet() {
    for keyword in ["PIPELINING", "CHUNKING"] {
        let silent = |octets| Server {
            sends_max: Some(octets),
            goes_silent: true,
            ..Server::offering(&[keyword])
        };
        let all = at_once((0..REPLIES_OCTETS).map(silent).collect(), Demand::Clear);
        assert_sound(&all);
        let early = all.iter().filter(|(fate, _)| *fate == Err(Stage::Banner));
        assert!(early.count() > 10, "a banner that never ends is none");
    }
}

/// Who drips gets as much time for a reply as who is silent, wherever he begins with it.
#[test]
fn dripping_behind_any_octet() {
    let realm = Realm::new();
    for keyword in ["PIPELINING", "CHUNKING"] {
        let dripping = |octets| Server {
            drips_from: Some(octets),
            ..Server::offering(&[keyword])
        };
        let begun = Instant::now();
        let all = at_once((0..REPLIES_OCTETS).map(dripping).collect(), Demand::Clear);
        assert!(begun.elapsed() < DRIPS_MAX, "{:?}", begun.elapsed());
        assert_sound(&all);
        let late = |stage| all.iter().any(|(fate, _)| *fate == Err(stage));
        assert!(late(Stage::Banner) && late(Stage::Hello));
    }
    let places = (0..HANDSHAKE_OCTETS).step_by(10 * HANDSHAKE_STEP);
    let dripping = |octets| Server {
        drips_from: Some(octets),
        ..realm.server()
    };
    let all = at_once(
        places.map(dripping).collect(),
        Demand::Required(Proof::Nothing),
    );
    let late = |stage| all.iter().any(|(fate, _)| *fate == Err(stage));
    assert!(late(Stage::Handshake), "a handshake that drips");
    assert!(
        all.iter()
            .all(|(_, ledger)| ledger.messages.is_empty() || ledger.is_encrypted)
    );
}

/// A login that breaks off, falls silent, or drips at any octet sends no mail without it.
#[test]
fn a_login_that_breaks_behind_any_octet() {
    let server = || Server {
        answers: vec![("AUTH", "235 2.7.0 welcome\r\n")],
        ..Server::offering(&["AUTH PLAIN"])
    };
    let breaks: [fn(&mut Server, usize); 4] = [
        |server, octets| server.sends_max = Some(octets),
        |server, octets| server.receives_max = Some(octets),
        |server, octets| {
            (server.sends_max, server.goes_silent) = (Some(octets), true);
        },
        |server, octets| server.drips_from = Some(octets),
    ];
    for (number, breaks_at) in breaks.into_iter().enumerate() {
        let broken = |octets| {
            let mut server = server();
            breaks_at(&mut server, octets);
            server
        };
        let all = each_at_once((0..LOGIN_OCTETS).map(broken).collect(), with_login);
        let at_login = |(fate, _): &&(Result<Fate, Stage>, Ledger)| *fate == Err(Stage::Login);
        assert!(all.iter().filter(at_login).count() > 5, "way {number}");
        for (place, (fate, ledger)) in all.iter().enumerate() {
            let logged_in = ledger
                .commands
                .iter()
                .position(|line| line.starts_with("AUTH"));
            let mail = ledger
                .commands
                .iter()
                .position(|line| line.starts_with("MAIL"));
            assert!(
                mail.is_none() || logged_in < mail,
                "place {place}: {fate:?}"
            );
        }
    }
}

fn with_login(address: SocketAddr) -> Target {
    Target {
        demand: Demand::Clear,
        login: Some(Rc::new(Login {
            user: "us".to_owned(),
            password: Password::new("secret".to_owned()),
            in_clear: true,
        })),
        ..hasty(address)
    }
}

/// With TLS the octets of replies cannot be told apart on the wire, so every place counts: the
/// handshake by steps, everything behind it octet by octet.
#[test]
fn a_reset_behind_any_octet_with_tls() {
    let realm = Realm::new();
    for sends in [true, false] {
        let cut = |octets| Server {
            sends_max: sends.then_some(octets),
            receives_max: (!sends).then_some(octets),
            ..realm.server()
        };
        let places = (0..HANDSHAKE_OCTETS).step_by(HANDSHAKE_STEP);
        let places = places.chain(HANDSHAKE_OCTETS..SECRET_OCTETS);
        let servers: Vec<Server> = places.map(cut).collect();
        let mut all = Vec::new();
        for some in servers.chunks(TOGETHER) {
            all.extend(at_once(some.to_vec(), Demand::Required(Proof::Nothing)));
        }
        // The end of the message is not seen by who is cut before it.
        match sends {
            true => assert_sound(&all),
            false => {
                let taken = all.iter().filter(|(_, ledger)| !ledger.messages.is_empty());
                let delivered = |(fate, _): &&(Result<Fate, Stage>, Ledger)| {
                    matches!(fate, Ok(Fate::Delivered | Fate::Unknown))
                };
                assert!(taken.clone().count() > 0 && taken.clone().all(|one| delivered(&one)));
            }
        }
        let in_handshake = all
            .iter()
            .filter(|(fate, _)| *fate == Err(Stage::Handshake));
        assert!(in_handshake.count() > 10);
        assert!(
            all.iter()
                .all(|(_, ledger)| ledger.messages.is_empty() || ledger.is_encrypted)
        );
    }
}

/// More than all that is said before MAIL is answered, in either direction.
const LOGIN_OCTETS: usize = 120;

/// For all who drip together: a few replies, each of them as long as it may take.
const DRIPS_MAX: Duration = Duration::from_secs(60);

/// More than all replies to one letter have.
const REPLIES_OCTETS: usize = 330;

/// About where TLS is there, and behind the last octet of everything.
const HANDSHAKE_OCTETS: usize = 900;
const SECRET_OCTETS: usize = 2_600;
const HANDSHAKE_STEP: usize = 9;

/// Handshakes of one shard at one time, so that none of them is too late.
const TOGETHER: usize = 40;
