//! A layer ↔ its bytes (FORMAT.md, "Layer").

use super::{Layer, Overlay};
use crate::codec::{Fields, Put, Short};
use crate::mail::flags::{Flags, Keywords};
use crate::mail::id::{ModSeq, Uid};
use crate::mail::uidset::UidSet;
use crate::mailbox::column::Column;
use crate::mailbox::rows::Rows;
use crate::mailbox::vanished::Vanished;
use crate::record::Broken;

impl Layer {
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(FORM);
        self.arrivals.encode(out);
        let blocks = self.overlays.chunks(BLOCK_OVERLAYS_MAX);
        out.put_u32(u32::try_from(blocks.len()).expect("UIDs have 32 bits"));
        blocks.for_each(|block| encode_overlays(block, out));
        self.expunged.encode(out);
        self.vanished.encode(out);
    }

    /// Reads what [`encode`](Self::encode) has written, and checks that it is in order.
    pub fn decode(octets: &[u8]) -> Result<Layer, Broken> {
        let mut fields = Fields::new(octets);
        if fields.u8() != Ok(FORM) {
            return Err(Broken("a layer of an unknown form"));
        }
        let layer = Layer {
            arrivals: Rows::decode(&mut fields).map_err(|_| Broken("arrivals out of order"))?,
            overlays: decode_overlays(&mut fields).map_err(|_| Broken("overlays out of order"))?,
            expunged: UidSet::decode(&mut fields).map_err(|_| Broken("expunges out of order"))?,
            vanished: Vanished::decode(&mut fields).map_err(|_| Broken("history out of order"))?,
        };
        if fields.is_empty() {
            Ok(layer)
        } else {
            Err(Broken("octets behind the last field"))
        }
    }
}

fn encode_overlays(block: &[Overlay], out: &mut Vec<u8>) {
    out.put_u16(block.len() as u16);
    let mut columns: [Column; COLUMNS] = Default::default();
    for overlay in block {
        let numbers = [
            u64::from(overlay.uid.0),
            overlay.modseq.0,
            u64::from(overlay.flags.0),
            overlay.keywords.0,
        ];
        for (column, number) in columns.iter_mut().zip(numbers) {
            column.push(number);
        }
    }
    columns.iter().for_each(|column| column.encode(out));
}

fn decode_overlays(fields: &mut Fields<'_>) -> Result<Vec<Overlay>, Short> {
    let mut overlays: Vec<Overlay> = Vec::new();
    for _ in 0..fields.u32()? {
        let len = usize::from(fields.u16()?);
        if !(1..=BLOCK_OVERLAYS_MAX).contains(&len) {
            return Err(Short);
        }
        let mut columns: [Column; COLUMNS] = Default::default();
        for (column, highest) in columns.iter_mut().zip(HIGHEST) {
            *column = Column::decode(fields, len, highest)?;
        }
        let [uids, modseqs, flags, keywords] = &columns;
        let before = overlays.last().map_or(0, |overlay| overlay.uid.0);
        if uids.at(0) <= u64::from(before) || !uids.ascends() {
            return Err(Short);
        }
        overlays.extend((0..len).map(|at| Overlay {
            uid: Uid(uids.at(at) as u32),
            modseq: ModSeq(modseqs.at(at)),
            flags: Flags(flags.at(at) as u16),
            keywords: Keywords(keywords.at(at)),
        }));
    }
    Ok(overlays)
}

/// The first octet of a layer.
const FORM: u8 = 1;

const COLUMNS: usize = 4;

/// The highest number of each column that an overlay can hold.
const HIGHEST: [u64; COLUMNS] = [u32::MAX as u64, u64::MAX >> 1, u16::MAX as u64, u64::MAX];

/// Overlays that share their columns.
const BLOCK_OVERLAYS_MAX: usize = 4096;

const _: () = assert!(BLOCK_OVERLAYS_MAX <= u16::MAX as usize);
