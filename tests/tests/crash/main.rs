//! What the world below breaks: processes killed, disks full or failing, copies taken of a running
//! server, memory and clocks that are not what they should be. What was acknowledged is there
//! afterwards, and the server says the truth meanwhile.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod backup;
mod bit_flips;
mod broken_device;
mod clock;
mod full_disk;
mod kept;
mod kill;
mod live_copy;
mod memory;
mod pop3;
mod storm;

use kept::Kept;

const ALICE: &str = "alice@example.test";
