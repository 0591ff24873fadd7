//! Telling what was found (RFC 9051 §7.3.4, RFC 3501 §7.2.5, RFC 4731, RFC 5267, RFC 9394).
//!
//! A result may name every message of a mailbox: it is written in pieces, each sent when the client
//! has taken the one before.

use super::super::dialogue::Dialogue;
use super::super::io::{Ended, Io};
use crate::wire::imap::command::SearchReturn;
use crate::wire::imap::response::CRLF;
use crate::wire::imap::response::esearch::{self, Correlator, Order};
use crate::wire::imap::response::number;
use ::store::mail::id::Uid;
use ::store::mail::uidset::UidSet;

/// Numbers written before the output is looked at.
const NUMBERS_A_PIECE: usize = 4096;

/// What is told of a result.
#[derive(Default)]
pub(super) struct Results {
    /// UIDs or sequence numbers in the order that was asked for.
    pub(super) order: Vec<u32>,
    /// In the same order; empty where nobody asked.
    pub(super) scores: Vec<u8>,
    /// Where MODSEQ was a criterion (RFC 7162 §3.1.5).
    pub(super) modseq: Option<u64>,
}

/// `* SEARCH 2 3 6` or `* SORT 5 3 4 1 2`.
pub(super) async fn plain<I: Io>(
    dialogue: &mut Dialogue<I>,
    word: &str,
    results: &Results,
) -> Result<(), Ended> {
    dialogue.out().extend_from_slice(b"* ");
    dialogue.out().extend_from_slice(word.as_bytes());
    for piece in results.order.chunks(NUMBERS_A_PIECE) {
        for found in piece {
            dialogue.out().push(b' ');
            number(dialogue.out(), u64::from(*found));
        }
        dialogue.flush_if_full().await?;
    }
    if let Some(modseq) = results.modseq.filter(|_| !results.order.is_empty()) {
        dialogue.out().extend_from_slice(b" (MODSEQ ");
        number(dialogue.out(), modseq);
        dialogue.out().push(b')');
    }
    dialogue.out().extend_from_slice(CRLF);
    Ok(())
}

/// `* ESEARCH …` with what `returns` asks for. SAVE alone returns nothing (RFC 9051 §6.4.4.1).
pub(super) async fn extended<I: Io>(
    dialogue: &mut Dialogue<I>,
    of: &Correlator<'_>,
    results: &Results,
    returns: SearchReturn,
) -> Result<(), Ended> {
    if is_silent(returns) {
        return Ok(());
    }
    let out = dialogue.out();
    esearch::open(out, of);
    if let Some(first) = results.order.first().filter(|_| returns.min) {
        esearch::labelled(out, "MIN", u64::from(*first));
    }
    if let Some(last) = results.order.last().filter(|_| returns.max) {
        esearch::labelled(out, "MAX", u64::from(*last));
    }
    if returns.all && !results.order.is_empty() {
        out.extend_from_slice(b" ALL ");
        ordered(dialogue, &results.order).await?;
    }
    if returns.count {
        esearch::labelled(dialogue.out(), "COUNT", results.order.len() as u64);
    }
    if let Some(partial) = returns.partial {
        esearch::open_partial(dialogue.out(), partial);
        let places = partial.places(results.order.len());
        let some = results.order.get(places).unwrap_or_default();
        if !ordered(dialogue, some).await? {
            dialogue.out().extend_from_slice(b"NIL");
        }
        dialogue.out().push(b')');
    }
    if let Some(modseq) = results.modseq.filter(|_| !results.order.is_empty()) {
        esearch::labelled(dialogue.out(), "MODSEQ", modseq);
    }
    if returns.relevancy {
        let places = returns.partial.map_or(0..results.scores.len(), |partial| {
            partial.places(results.scores.len())
        });
        let scores = results.scores.get(places).unwrap_or_default();
        esearch::relevancy(dialogue.out(), scores.iter().copied());
    }
    esearch::close(dialogue.out());
    dialogue.flush_if_full().await
}

/// Whether there was anything to write.
async fn ordered<I: Io>(dialogue: &mut Dialogue<I>, numbers: &[u32]) -> Result<bool, Ended> {
    let mut order = Order::default();
    for piece in numbers.chunks(NUMBERS_A_PIECE) {
        for number in piece {
            order.push(dialogue.out(), *number);
        }
        dialogue.flush_if_full().await?;
    }
    Ok(order.finish(dialogue.out()))
}

fn is_silent(returns: SearchReturn) -> bool {
    let only_saves = SearchReturn {
        save: true,
        context: returns.context,
        ..SearchReturn::default()
    };
    returns == only_saves
}

/// What `$` becomes: all, or only what was returned (RFC 5182 §2.1, RFC 9394 §3.2). `order` is of
/// UIDs.
pub(super) fn to_save(order: &[u32], returns: SearchReturn) -> UidSet {
    let mut saved: Vec<u32> = Vec::new();
    let some = returns.min || returns.max || returns.partial.is_some();
    if returns.all || returns.count || !some {
        saved.extend(order);
    } else {
        let partial = returns.partial.map(|partial| partial.places(order.len()));
        saved.extend(order.get(partial.unwrap_or(0..0)).unwrap_or_default());
        saved.extend(order.first().filter(|_| returns.min));
        saved.extend(order.last().filter(|_| returns.max));
    }
    saved.sort_unstable();
    UidSet::from_ascending(saved.into_iter().map(Uid))
}
