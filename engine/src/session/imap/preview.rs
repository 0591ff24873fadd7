//! PREVIEW: the first words of a message (RFC 8970).
//!
//! Made when it is asked for, from the beginning of one part: what LAZY wants to be spared is not
//! more than BODYSTRUCTURE costs, so that LAZY is answered alike.

use super::dialogue::Dialogue;
use super::io::Io;
use super::item::{Fault, Opened};
use super::mailstore::Mailstore;
use super::section::{Filter, Source};
use crate::wire::mime::part::Structure;
use crate::wire::mime::preview;
use crate::wire::mime::transfer::Decoder;

/// The text; empty where a message has none, which is no failure (RFC 8970 §3.2).
pub(super) async fn of<S: Mailstore, I: Io>(
    dialogue: &mut Dialogue<I>,
    store: &S,
    opened: &Opened<S>,
    structure: &Structure,
) -> Result<String, Fault> {
    let (Some(part), Some(message)) = (preview::part_of(structure), opened.message()) else {
        return Ok(String::new());
    };
    let filter = match Decoder::new(&part.content.encoding) {
        Ok(decoder) => Filter::Decode(decoder),
        // RFC 2045 §6.4: nobody can read it.
        Err(_) => return Ok(String::new()),
    };
    let window = Some((0, preview::RAW_BYTES_MAX));
    let source = Source::new(part.body.clone(), filter, window);
    let mut room = preview::RAW_BYTES_MAX as usize;
    let measured = source.measure(dialogue, store, message, &mut room).await?;
    Ok(preview::of(measured.kept(), &part.content))
}
