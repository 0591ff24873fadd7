//! The message on its way to the socket: prefix, blocks and their end, gathered and not copied.

use super::Body;
use super::dialogue::Framing;
use crate::tls::Stream;
use crate::wire::smtp::client::stuff::{SLICES_MAX, Stuffer};
use std::io::{self, IoSlice};

/// Octets of one system call, so that the patience for a block is for as many: a body of 64 KiB
/// with its header fields.
const CALL_BYTES: usize = 72 << 10;

/// Why a message was not sent to its end.
#[derive(Debug)]
pub(super) enum Unsent {
    /// The peer did not take it, or not in time.
    Stuck,
    /// It could not be read here.
    Unreadable(String),
}

/// What goes out with a message in the same writes.
#[derive(Clone, Copy, Default)]
pub(super) struct Around<'o> {
    /// BDAT.
    pub(super) command: &'o [u8],
    /// Header fields of ours: part of the message.
    pub(super) prefix: &'o [u8],
    /// What is said behind its end.
    pub(super) after: &'o [u8],
}

/// A message that is being sent.
pub(super) struct Sending<'a> {
    stream: &'a mut Stream,
    framing: Wire,
    /// Asked before each call: `false` when the time for all of it is over.
    has_time: &'a dyn Fn(&Stream) -> bool,
}

/// What becomes of octets on the wire.
enum Wire {
    Stuffed(Stuffer),
    Chunk,
}

impl<'a> Sending<'a> {
    pub(super) fn new(
        stream: &'a mut Stream,
        framing: Framing,
        has_time: &'a dyn Fn(&Stream) -> bool,
    ) -> Sending<'a> {
        Sending {
            stream,
            framing: match framing {
                Framing::Stuffed => Wire::Stuffed(Stuffer::default()),
                Framing::Chunk => Wire::Chunk,
            },
            has_time,
        }
    }

    /// Sends prefix and body, what ends them, and what goes around: a small message is one call,
    /// also where its header fields of ours are a block of their own.
    pub(super) async fn send<B: Body>(
        mut self,
        around: Around<'_>,
        body: &mut B,
    ) -> Result<(), Unsent> {
        let octets = body.octets();
        let (mut sent, mut gathered) = (0, Vec::<u8>::new());
        let mut before = [around.command, around.prefix];
        if octets == 0 {
            return self.put(before, [b"", b""], Some(around.after)).await;
        }
        while sent < octets {
            let block = body.next().await.map_err(unreadable)?;
            let block = block.ok_or_else(|| shorter(sent, octets))?;
            sent += block.len() as u64;
            if sent > octets {
                return Err(Unsent::Unreadable(format!("more than {octets} octets")));
            }
            if sent < octets && gathered.len() + block.len() <= GATHERED_BYTES_MAX {
                gathered.extend_from_slice(block);
                continue;
            }
            let after = (sent == octets).then_some(around.after);
            self.put(before, [&gathered, block], after).await?;
            before = [b"", b""];
            gathered.clear();
        }
        Ok(())
    }

    /// Sends blocks; `after` where the last one is among them.
    async fn put(
        &mut self,
        [command, prefix]: [&[u8]; 2],
        blocks: [&[u8]; 2],
        after: Option<&[u8]>,
    ) -> Result<(), Unsent> {
        let mut slices = Vec::with_capacity(SLICES_EXPECTED);
        if !command.is_empty() {
            slices.push(IoSlice::new(command));
        }
        let octets = [prefix].into_iter().chain(blocks);
        for part in octets.flat_map(|octets| octets.chunks(CALL_BYTES)) {
            let mut rest = part;
            loop {
                rest = self.framing.frame(rest, &mut slices);
                if rest.is_empty() && gathered(&slices) < CALL_BYTES {
                    break;
                }
                self.call(&mut slices).await?;
                if rest.is_empty() {
                    break;
                }
            }
        }
        if let Some(after) = after {
            slices.push(IoSlice::new(self.framing.end()));
            slices.push(IoSlice::new(after));
        }
        self.call(&mut slices).await
    }

    async fn call(&mut self, slices: &mut Vec<IoSlice<'_>>) -> Result<(), Unsent> {
        if !(self.has_time)(self.stream) {
            return Err(Unsent::Stuck);
        }
        let sent = self.stream.send_slices(slices).await;
        slices.clear();
        sent.map_err(|_| Unsent::Stuck)
    }
}

impl Wire {
    /// Adds what octets become to the slices; gives those that are left.
    fn frame<'o>(&mut self, octets: &'o [u8], slices: &mut Vec<IoSlice<'o>>) -> &'o [u8] {
        match self {
            Wire::Chunk => {
                slices.push(IoSlice::new(octets));
                &[]
            }
            Wire::Stuffed(stuffer) => {
                let taken = stuffer.stuff(octets, slices);
                octets.get(taken..).unwrap_or_default()
            }
        }
    }

    fn end(&self) -> &'static [u8] {
        match self {
            Wire::Chunk => b"",
            Wire::Stuffed(stuffer) => stuffer.end(),
        }
    }
}

/// Whether all of a message is 7-bit; the body is rewound afterwards. `Err`: it cannot be read.
pub(super) async fn is_seven_bit<B: Body>(prefix: &[u8], body: &mut B) -> Result<bool, String> {
    let mut is_ascii = prefix.is_ascii();
    while is_ascii && let Some(block) = body.next().await.map_err(|why| why.to_string())? {
        is_ascii = block.is_ascii();
    }
    body.rewind();
    Ok(is_ascii)
}

fn gathered(slices: &[IoSlice<'_>]) -> usize {
    match slices.len() >= SLICES_MAX {
        true => usize::MAX,
        false => slices.iter().map(|slice| slice.len()).sum(),
    }
}

fn unreadable(error: io::Error) -> Unsent {
    Unsent::Unreadable(error.to_string())
}

fn shorter(sent: u64, octets: u64) -> Unsent {
    Unsent::Unreadable(format!("it ends after {sent} of {octets} octets"))
}

/// Command, prefix, blocks, end and what is behind it.
const SLICES_EXPECTED: usize = 8;

/// Octets of small blocks that wait for the next one.
const GATHERED_BYTES_MAX: usize = 4 << 10;
