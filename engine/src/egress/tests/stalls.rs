//! A peer that falls silent behind any octet, or breaks a connection with TLS behind any: bounded
//! time, and nothing is taken for delivered that is not.

use super::secure::Realm;
use super::*;
use futures_util::future::join_all;

/// What became of one letter at each of these servers, all of them at once.
fn at_once(servers: Vec<Server>, demand: Demand) -> Vec<(Result<Fate, Stage>, Ledger)> {
    let (addresses, ledgers): (Vec<_>, Vec<_>) = servers.into_iter().map(Server::serve).unzip();
    let fates = on_shard(move || async move {
        let tools = tools();
        let letters = addresses.into_iter().map(|address| {
            let target = Target {
                demand: demand.clone(),
                ..hasty(address)
            };
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

/// More than all replies to one letter have.
const REPLIES_OCTETS: usize = 330;

/// About where TLS is there, and behind the last octet of everything.
const HANDSHAKE_OCTETS: usize = 900;
const SECRET_OCTETS: usize = 2_600;
const HANDSHAKE_STEP: usize = 9;

/// Handshakes of one shard at one time, so that none of them is too late.
const TOGETHER: usize = 40;
