//! A connection that is reset behind any octet: nothing is taken for delivered that is not, and
//! what may have been is called unknown.

use super::*;

/// What became of one letter when the connection breaks, and what the server had of it.
fn cut(server: Server) -> (Result<Fate, Stage>, Ledger) {
    let (address, ledgers) = server.serve();
    let fate = on_shard(move || async move {
        let target = Target {
            demand: Demand::Clear,
            ..hasty(address)
        };
        let told = deliver(&target, &tools(), &text(200)).await;
        told.map(|told| told.fate).map_err(|why| why.stage)
    });
    (fate, ledgers.recv().unwrap())
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
