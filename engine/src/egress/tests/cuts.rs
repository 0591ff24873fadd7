//! A connection that is reset behind any octet: nothing is taken for delivered that is not, and
//! what may have been is called unknown.

use super::*;

/// What became of one letter when the connection breaks, and what the server had of it.
fn cut(server: Server) -> (Result<Fate, Stage>, Ledger) {
    let (address, ledgers) = server.serve();
    let fate = on_shard(move || async move {
        let told = deliver(&in_clear(address), &tools(), &text(200)).await;
        told.map(|told| told.fate).map_err(|why| why.stage)
    });
    (fate, ledgers.recv().unwrap())
}

fn in_clear(address: SocketAddr) -> Target {
    Target {
        demand: Demand::Clear,
        ..hasty(address)
    }
}

fn every_cut(keywords: &[&'static str], cut_at: fn(&mut Server, usize)) {
    let mut seen = Vec::new();
    for octets in 0.. {
        let mut server = Server::offering(keywords);
        cut_at(&mut server, octets);
        let (fate, ledger) = cut(server);
        let is_taken = !ledger.messages.is_empty();
        match fate {
            Ok(Fate::Delivered) => assert!(is_taken, "behind {octets} octets"),
            // A duplicate comes only of what is called unknown.
            Ok(Fate::Unknown) => {}
            other => assert!(!is_taken, "behind {octets} octets: {other:?}, and taken"),
        }
        seen.push(fate);
        let is_whole = ledger.commands.last().is_some_and(|last| last == "QUIT");
        if is_whole && fate == Ok(Fate::Delivered) {
            break;
        }
        assert!(octets < 2000, "it ends");
    }
    for fate in [
        Err(Stage::Hello),
        Ok(Fate::Deferred),
        Ok(Fate::Unknown),
        Ok(Fate::Delivered),
    ] {
        assert!(seen.contains(&fate), "{fate:?} never came");
    }
}

/// The fates of two letters on one connection that breaks, the second right behind the first, and
/// how many messages the server has.
fn cut_between(server: Server) -> (Vec<Fate>, usize) {
    let (address, ledgers) = server.serve();
    let fates = on_shard(move || async move {
        let opened = Connection::open(&in_clear(address), &tools()).await;
        let Ok(mut connection) = opened else {
            return Vec::new();
        };
        let (letters, text) = ([letter(1), letter(1)], text(200));
        let next = [Some((&letters[1], text.len() as u64)), None];
        let mut fates = Vec::new();
        for (letter, next) in letters.iter().zip(next) {
            let mut body = Pieces::from(&text[..]);
            let outcome = connection.send_before(letter, &mut body, next).await;
            fates.push(outcome.recipients[0].fate);
        }
        connection.quit().await;
        fates
    });
    (fates, ledgers.recv().unwrap().messages.len())
}

#[test]
fn reset_behind_any_octet_of_two_letters() {
    for keywords in [&["PIPELINING"][..], &["PIPELINING", "CHUNKING"]] {
        for octets in 0.. {
            let (fates, messages) = cut_between(Server {
                sends_max: Some(octets),
                ..Server::offering(keywords)
            });
            let of = |fate| fates.iter().filter(|one| **one == fate).count();
            assert!(
                of(Fate::Delivered) <= messages
                    && messages <= of(Fate::Delivered) + of(Fate::Unknown),
                "behind {octets} octets: {fates:?}, and {messages} taken"
            );
            if of(Fate::Delivered) == 2 {
                break;
            }
            assert!(octets < 2000, "it ends");
        }
    }
}

#[test]
fn reset_behind_any_octet_of_the_server() {
    every_cut(&["PIPELINING"], |server, octets| {
        server.sends_max = Some(octets)
    });
    every_cut(&["CHUNKING"], |server, octets| {
        server.sends_max = Some(octets)
    });
}

#[test]
fn reset_behind_any_octet_of_the_client() {
    every_cut(&["PIPELINING"], |server, octets| {
        server.receives_max = Some(octets)
    });
    every_cut(&["CHUNKING"], |server, octets| {
        server.receives_max = Some(octets)
    });
}
