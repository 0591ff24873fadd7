//! How every connection begins, whatever it speaks: connect, shake hands, insist on a yes.

use super::NotOpened;
use super::tls::{Stream, TlsClient};
use crate::measure::answer::Answer;
use crate::measure::histogram::Step;
use engine::reactor::clock::monotonic_micros;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// How long the steps took since somebody looked.
pub(super) type Marks = Vec<(Step, u64)>;

/// A connection whose answers may take `patience`, and how long it took.
pub(super) async fn connect(
    source: Option<SocketAddr>,
    target: SocketAddr,
    patience: Duration,
) -> Result<(Stream, Marks), NotOpened> {
    let began = monotonic_micros();
    let stream = Stream::connect(source, target, patience).await;
    let stream = stream.map_err(|error| NotOpened::lost("connect", &error))?;
    stream.set_patience(patience);
    let took = monotonic_micros().saturating_sub(began);
    Ok((stream, vec![(Step::Connect, took)]))
}

/// Begins TLS; a resumed handshake is a step of its own.
pub(super) async fn shake_hands(
    stream: &mut Stream,
    client: &TlsClient,
    marks: &mut Marks,
) -> Result<(), NotOpened> {
    let began = monotonic_micros();
    let shaken = stream.start_tls(client).await;
    let is_resumed = shaken.map_err(|error| NotOpened::in_handshake(&error))?;
    let step = match is_resumed {
        true => Step::Resumed,
        false => Step::Tls,
    };
    marks.push((step, monotonic_micros().saturating_sub(began)));
    Ok(())
}

/// Without a positive answer there is no session.
pub(super) fn expect(at: &'static str, heard: io::Result<Answer>) -> Result<(), NotOpened> {
    match heard {
        Ok(answer) if answer.is_positive() => Ok(()),
        Ok(answer) => Err(NotOpened {
            answer,
            at,
            detail: format!("the server answers {answer}"),
        }),
        Err(error) => Err(NotOpened::lost(at, &error)),
    }
}
