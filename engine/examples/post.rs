//! Sends a letter COUNT times on one connection: `time post ADDRESS COUNT OCTETS` tells what one
//! costs.

use anyhow::{Context, anyhow, ensure};
use engine::egress::{Connection, Demand, Fate, Letter, Pieces, Target, Tools};
use engine::reactor::runtime::run_shard;
use engine::reactor::{Backend, Clock, Seat};
use engine::tls::{Authorities, TlsClient};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use store::mail::address::Address;
use store::mail::envelope::{Envelope, Recipient};

#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().context("post ADDRESS COUNT OCTETS");
    let address: SocketAddr = word()?.parse()?;
    let (count, octets): (u32, usize) = (word()?.parse()?, word()?.parse()?);
    let seat = Seat {
        backend: Backend::probe().0,
        core: None,
        on_panic: Arc::new(|panic| eprintln!("{panic}")),
        clock: Clock::Kernel,
    };
    run_shard(seat, move || post(address, count, octets))?
}

async fn post(address: SocketAddr, count: u32, octets: usize) -> anyhow::Result<()> {
    let tools = Tools {
        tls: TlsClient::load(&Authorities::Nobody, None)?,
        pool: None,
    };
    let mut target = Target::new(address, "localhost", "us.test");
    target.demand = Demand::Clear;
    let envelope = Envelope {
        reverse_path: Some(Address::new("s", "us.test")),
        recipients: vec![Recipient::new(Address::new("r", "them.test"))],
        ..Envelope::default()
    };
    let prefix = b"Received: from a by b; Sun, 22 Nov 2026 12:00:00 +0000\r\n";
    let letter = Letter::new(Rc::new(envelope), Rc::from(&prefix[..]));
    let mut body = Pieces::from(text(octets).as_slice());
    let connection = Connection::open(&target, &tools).await;
    let mut connection = connection.map_err(|failure| anyhow!("{failure}"))?;
    for number in 0..count {
        engine::egress::Body::rewind(&mut body);
        let outcome = connection.send(&letter, &mut body).await;
        let one = outcome.recipients.first().context("one recipient")?;
        ensure!(one.fate == Fate::Delivered, "letter {number}: {:?}", one);
    }
    connection.quit().await;
    Ok(())
}

fn text(octets: usize) -> Vec<u8> {
    let mut text = b"From: s@us.test\r\nSubject: cost\r\n\r\n".to_vec();
    while text.len() < octets {
        text.extend_from_slice(&[b'x'; 76]);
        text.extend_from_slice(b"\r\n");
    }
    text
}
