//! Connections over real sockets, to servers by script.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod cuts;
mod secure;
mod server;
mod slow;
mod sound;
mod stalls;

use super::*;
use crate::reactor::runtime::run_shard;
use crate::reactor::{Backend, Clock, Seat};
use crate::tls::{Authorities, Proof, TlsClient, TlsFault};
use server::{Ledger, Server};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use store::mail::address::Address;
use store::mail::envelope::{Envelope, Recipient};

/// Runs a future on a shard of its own, and waits for its end.
fn on_shard<M, F>(make: M) -> F::Output
where
    M: FnOnce() -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    let seat = Seat {
        backend: Backend::probe().0,
        core: None,
        on_panic: Arc::new(|_| {}),
        clock: Clock::Kernel,
    };
    let thread = std::thread::spawn(move || run_shard(seat, make).unwrap());
    thread.join().unwrap()
}

fn tools() -> Tools {
    Tools {
        tls: TlsClient::load(&Authorities::Nobody, None).unwrap(),
        pool: None,
    }
}

fn target(address: SocketAddr) -> Target {
    Target::new(address, "mx.test", "us.test")
}

/// A server that is silent is so on purpose; everything else is as fast as a test.
fn hasty(address: SocketAddr) -> Target {
    let mut target = target(address);
    let patience = &mut target.patience;
    for time in [
        &mut patience.banner,
        &mut patience.command,
        &mut patience.handshake,
        &mut patience.mail,
        &mut patience.rcpt,
        &mut patience.data,
        &mut patience.block,
        &mut patience.end,
        &mut patience.quit,
    ] {
        *time = HASTE;
    }
    target
}

const HASTE: Duration = Duration::from_secs(1);

fn letter(recipients: usize) -> Letter {
    let recipient = |at: usize| Recipient::new(Address::new(format!("r{at}"), "b.test"));
    let envelope = Envelope {
        reverse_path: Some(Address::new("s", "us.test")),
        recipients: (0..recipients).map(recipient).collect(),
        ..Envelope::default()
    };
    Letter::new(Rc::new(envelope), Rc::from(PREFIX.as_bytes()))
}

const PREFIX: &str = "Received: from here; now\r\n";

/// Lines with dots, up to this size and ended.
fn text(octets: usize) -> Vec<u8> {
    let mut text = b"Subject: dots\r\n\r\n.\r\n..x\r\n".to_vec();
    while text.len() + 20 < octets {
        text.extend_from_slice(b"a line of the text\r\n");
    }
    text.extend_from_slice(b".end\r\n");
    text
}

fn whole(body: &[u8]) -> Vec<u8> {
    [PREFIX.as_bytes(), body].concat()
}

/// A [`Disposition`] that leaves its shard.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Told {
    fate: Fate,
    stage: Stage,
    reply: String,
}

/// A [`Failure`] that does.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Why {
    stage: Stage,
    reply: String,
    tls: Option<TlsFault>,
    is_temporary: bool,
}

impl From<&Disposition> for Told {
    fn from(disposition: &Disposition) -> Told {
        Told {
            fate: disposition.fate,
            stage: disposition.stage,
            reply: disposition.reply.to_string(),
        }
    }
}

impl From<Failure> for Why {
    fn from(failure: Failure) -> Why {
        Why {
            stage: failure.stage,
            reply: failure.reply.to_string(),
            is_temporary: failure.is_temporary(),
            tls: failure.tls,
        }
    }
}

/// Opens a connection and sends one letter to one recipient on it.
async fn deliver(target: &Target, tools: &Tools, body: &[u8]) -> Result<Told, Why> {
    let mut connection = Connection::open(target, tools).await?;
    let outcome = connection.send(&letter(1), &mut Pieces::from(body)).await;
    connection.quit().await;
    Ok(Told::from(&outcome.recipients[0]))
}
