//! The compressed form of a connection's octets (COMPRESS=DEFLATE, RFC 4978).
//!
//! What we say is compressed piece by piece, no piece leaning on another: so nothing is held for
//! it between two of them. What the client says may lean on the 32 KiB before, of which as much is
//! held as it has said; the tables of a block are held only within one. A client that waits costs
//! what it has said, at most [`WINDOW_BYTES_MAX`].

use miniz_oxide::deflate::core::create_comp_flags_from_zip_params;
use miniz_oxide::deflate::core::{CompressorOxide, TDEFLFlush, TDEFLStatus, compress};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY,
};
use miniz_oxide::inflate::core::{BlockBoundaryState, DecompressorOxide, decompress};

/// How far back a reference can reach (RFC 1951 §2).
const WINDOW_BYTES_MAX: usize = 32 << 10;

/// What a client is given to begin with.
const WINDOW_BYTES_MIN: usize = 1 << 10;

/// Octets that are taken out of what arrived before they are looked at: a few octets can stand for
/// a thousand times as many.
const INFLATED_BYTES_MAX: usize = 64 << 10;

/// Shorter pieces are sent as they are, in a stored block.
const STORED_BYTES_MAX: usize = 160;

/// Half the work of zlib's usual level for nearly its result on mail.
const LEVEL: i32 = 3;

/// What the client sends is no deflate stream, or has come to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken;

/// Both directions of one connection.
pub struct Layer {
    /// Arrived and not yet taken apart; begins at `taken`.
    packed: Vec<u8>,
    taken: usize,
    window: Vec<u8>,
    /// Where the next octet goes in the window.
    at: usize,
    inside: Inside,
    /// More may come out of what was taken in.
    has_more: bool,
}

/// Where in the client's stream we are.
enum Inside {
    Block(Box<DecompressorOxide>),
    /// Between two blocks: what is left of the last octet.
    Between(BlockBoundaryState),
}

impl Layer {
    /// `packed` came behind the command that began the compression.
    #[must_use]
    pub fn new(packed: Vec<u8>) -> Layer {
        Layer {
            has_more: !packed.is_empty(),
            packed,
            taken: 0,
            window: Vec::new(),
            at: 0,
            inside: Inside::Between(BlockBoundaryState::default()),
        }
    }

    /// Where what arrives goes.
    pub fn packed(&mut self) -> &mut Vec<u8> {
        self.has_more = true;
        &mut self.packed
    }

    /// Whether [`inflate`](Self::inflate) may have something to say without more from the client.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    /// Appends the next octets to `out`, some [`INFLATED_BYTES_MAX`] at most.
    pub fn inflate(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        let end = out.len() + INFLATED_BYTES_MAX;
        let between = Inside::Between(BlockBoundaryState::default());
        let mut inflater = match std::mem::replace(&mut self.inside, between) {
            Inside::Block(inflater) => inflater,
            Inside::Between(state) => {
                Box::new(DecompressorOxide::from_block_boundary_state(&state))
            }
        };
        let mut status = TINFLStatus::HasMoreOutput;
        while out.len() < end {
            self.make_room();
            let input = self.packed.get(self.taken..).unwrap_or_default();
            let flags = TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;
            let (came_to, used, made) =
                decompress(&mut inflater, input, &mut self.window, self.at, flags);
            status = came_to;
            self.taken += used;
            let made = self.window.get(self.at..self.at + made).ok_or(Broken)?;
            out.extend_from_slice(made);
            self.at += made.len();
            match status {
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::BlockBoundary if self.taken < self.packed.len() => {}
                TINFLStatus::BlockBoundary | TINFLStatus::NeedsMoreInput => break,
                // RFC 4978 §3: the stream has no end but that of the connection.
                _ => return Err(Broken),
            }
        }
        self.has_more = out.len() >= end;
        self.inside = match (status, inflater.block_boundary_state()) {
            (TINFLStatus::BlockBoundary, Some(state)) => Inside::Between(state),
            _ => Inside::Block(inflater),
        };
        if self.taken == self.packed.len() {
            (self.packed, self.taken) = (Vec::new(), 0);
        }
        Ok(())
    }

    /// A window grows with what was said until it is as large as it may be, and then turns round.
    fn make_room(&mut self) {
        if self.at < self.window.len() {
            return;
        }
        if self.window.len() < WINDOW_BYTES_MAX {
            let doubled = (2 * self.window.len()).max(WINDOW_BYTES_MIN);
            self.window.resize(doubled, 0);
        } else {
            self.at = 0;
        }
    }
}

/// `octets` as blocks of a deflate stream that end with an octet and lean on nothing before.
#[must_use]
pub fn deflated(octets: &[u8]) -> Vec<u8> {
    match u16::try_from(octets.len()) {
        Ok(length) if octets.len() <= STORED_BYTES_MAX => stored(octets, length),
        _ => squeezed(octets),
    }
}

/// RFC 1951 §3.2.4.
fn stored(octets: &[u8], length: u16) -> Vec<u8> {
    let mut packed = Vec::with_capacity(octets.len() + 5);
    packed.push(0);
    packed.extend_from_slice(&length.to_le_bytes());
    packed.extend_from_slice(&(!length).to_le_bytes());
    packed.extend_from_slice(octets);
    packed
}

fn squeezed(octets: &[u8]) -> Vec<u8> {
    // Negative: no zlib header (RFC 4978 §3).
    let flags = create_comp_flags_from_zip_params(LEVEL, -15, 0);
    let mut compressor = Box::new(CompressorOxide::new(flags));
    let mut packed = vec![0; octets.len() / 2 + 64];
    let (mut taken, mut at) = (0, 0);
    loop {
        let input = octets.get(taken..).unwrap_or_default();
        let room = packed.get_mut(at..).unwrap_or_default();
        let (status, used, made) = compress(&mut compressor, input, room, TDEFLFlush::Full);
        assert!(
            status == TDEFLStatus::Okay,
            "a buffer is all that it is given"
        );
        taken += used;
        at += made;
        // A flush is whole when it leaves room.
        if taken == octets.len() && at < packed.len() {
            packed.truncate(at);
            return packed;
        }
        packed.resize(packed.len() + octets.len() / 2 + 64, 0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn read(layer: &mut Layer, packed: &[u8], piece: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in packed.chunks(piece) {
            layer.packed().extend_from_slice(piece);
            while layer.has_more() {
                layer.inflate(&mut out).unwrap();
            }
        }
        out
    }

    /// A client that keeps one window for all it says, as zlib does.
    fn said(parts: &[&[u8]], flush: TDEFLFlush) -> Vec<Vec<u8>> {
        let flags = create_comp_flags_from_zip_params(6, -15, 0);
        let mut compressor = CompressorOxide::new(flags);
        let one = |part: &&[u8]| {
            let mut packed = vec![0; part.len() + 1000];
            let (_, _, made) = compress(&mut compressor, part, &mut packed, flush);
            packed.truncate(made);
            packed
        };
        parts.iter().map(one).collect()
    }

    #[test]
    fn what_we_say_is_read_whatever_its_length() {
        let text = b"* 1 FETCH (FLAGS (\\Seen) UID 1)\r\n".repeat(9000);
        let mut layer = Layer::new(Vec::new());
        for length in [0, 1, 159, 160, 161, 5000, 65_535, 65_536, 200_000] {
            let packed = deflated(&text[..length]);
            assert_eq!(read(&mut layer, &packed, 7), text[..length], "{length}");
        }
        assert!(deflated(&text).len() < text.len() / 20);
    }

    #[test]
    fn a_client_that_waits_holds_what_it_said_and_no_tables() {
        let parts: Vec<&[u8]> = vec![b"a NOOP\r\n"; 3];
        let mut layer = Layer::new(Vec::new());
        for packed in said(&parts, TDEFLFlush::Sync) {
            assert_eq!(read(&mut layer, &packed, 3), b"a NOOP\r\n");
            assert!(matches!(layer.inside, Inside::Between(_)));
            assert_eq!(
                (layer.packed.capacity(), layer.window.len()),
                (0, WINDOW_BYTES_MIN)
            );
        }
    }

    #[test]
    fn a_few_octets_that_stand_for_many_come_out_in_turns() {
        let bomb = vec![b'x'; 8 << 20];
        let mut layer = Layer::new(said(&[&bomb], TDEFLFlush::Sync).concat());
        let mut octets = 0;
        while layer.has_more() {
            let mut out = Vec::new();
            layer.inflate(&mut out).unwrap();
            assert!(out.len() <= INFLATED_BYTES_MAX + WINDOW_BYTES_MAX);
            octets += out.len();
        }
        assert_eq!(octets, bomb.len());
        assert_eq!(layer.window.len(), WINDOW_BYTES_MAX);
    }

    #[test]
    fn what_is_no_deflate_ends() {
        let mut layer = Layer::new(b"a LOGOUT\r\n".to_vec());
        let mut out = Vec::new();
        let mut end = Ok(());
        while layer.has_more() && end.is_ok() {
            end = layer.inflate(&mut out);
        }
        assert_eq!(end, Err(Broken));
        // A last block: nothing may follow, and an end is not foreseen.
        let mut layer = Layer::new(vec![3, 0]);
        assert_eq!(layer.inflate(&mut out), Err(Broken));
    }

    proptest! {
        #[test]
        fn whatever_a_client_says_in_whatever_pieces(
            words in proptest::collection::vec("[a-d]{1,9}", 1..2000),
            cut in 1usize..500,
            piece in 1usize..600,
        ) {
            let text = words.concat().into_bytes();
            let parts: Vec<&[u8]> = text.chunks(cut).collect();
            let mut layer = Layer::new(Vec::new());
            let packed = said(&parts, TDEFLFlush::Sync).concat();
            prop_assert_eq!(read(&mut layer, &packed, piece), text);
        }

        #[test]
        fn garbage_never_panics(garbage in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut layer = Layer::new(garbage);
            let mut out = Vec::new();
            while layer.has_more() && layer.inflate(&mut out).is_ok() {}
        }
    }
}
