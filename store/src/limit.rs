//! Every upper bound of the store, related to each other by assertions at compile time.

/// Alignment of frames, segments and direct I/O, in bytes.
pub const BLOCK_BYTES: usize = 4096;

/// Size of a segment file, in bytes.
pub const SEGMENT_BYTES: u64 = 256 << 20;

/// Largest frame, header and padding included, in bytes.
pub const FRAME_BYTES_MAX: usize = 4 << 20;

/// Largest record, header included, in bytes.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// A message up to this size lies inline in its MESSAGE record; a larger one is cut into BODY
/// records of this size while it arrives, in bytes.
pub const CHUNK_BYTES: usize = 128 << 10;

/// Largest message that the format holds, in bytes.
pub const MESSAGE_BYTES_MAX: u64 = 1 << 30;

/// Of what is pre-written for the log of a shard, kept for records that give space back when the
/// disk is full, in bytes.
pub const LOG_RESERVE_BYTES: u64 = 8 << 20;

/// Frames written but not yet durable at one time (FORMAT.md, recovery).
pub const FRAMES_IN_FLIGHT_MAX: u64 = 1;

/// Durable frames that stay in memory so that fresh mail is read without the disk, in bytes a
/// shard.
pub const HOT_TAIL_BYTES: usize = 32 << 20;

/// Log that is written at most between two checkpoints of a busy shard, in bytes.
pub const CHECKPOINT_LOG_BYTES: u64 = 64 << 20;

/// Time between two checkpoints of a shard that is written to at all.
pub const CHECKPOINT_SECS_MAX: u64 = 60;

/// The newest mail that a shard keeps in its log, in bytes.
pub const LOG_KEPT_BYTES: u64 = 1 << 30;

/// What a shard keeps of the stories of mail that left its log, in bytes, and for how long.
pub const STORY_BYTES_MAX: u64 = 256 << 20;
pub const STORY_SECS_MAX: u64 = 14 * 86_400;

/// Keywords a mailbox can hold: the width of [`crate::mail::flags::Keywords`].
pub const KEYWORDS_MAX: usize = 64;

/// Length of one keyword, in octets.
pub const KEYWORD_BYTES_MAX: usize = 128;

/// Length of a mailbox name, in octets of UTF-8.
pub const MAILBOX_NAME_BYTES_MAX: usize = 1024;

/// Levels of hierarchy in a mailbox name.
pub const MAILBOX_DEPTH_MAX: usize = 32;

/// Mailboxes an account can hold, deleted ones not counted.
pub const MAILBOXES_MAX: usize = 10_000;

/// Largest UID and UIDVALIDITY taken over from another server: the numbers above it are left for
/// what comes later here.
pub const IMPORTED_NUMBER_MAX: u32 = 0xf000_0000;

/// Ranges of expunged UIDs that a mailbox remembers with their MODSEQ. A session that is further
/// behind is told by comparing its UIDs with those that are there.
pub const VANISHED_RANGES_MAX: usize = 16_384;

/// Messages that one command can append.
pub const APPENDED_TOGETHER_MAX: usize = 10_000;

/// Recipients one delivery can name.
pub const RECIPIENTS_MAX: usize = 5_000;

/// Headers put before a body for one recipient, in bytes.
pub const PREFIX_BYTES_MAX: usize = 4096;

/// What is kept of a reply of another host, in octets.
pub const REPLY_BYTES_MAX: usize = 512;

/// Length of the name of another host, in octets.
pub const HOST_BYTES_MAX: usize = 255;

/// What is kept of each end of a connection to another host, and of its TLS, in octets.
pub const WAY_BYTES_MAX: usize = 96;

/// What an index run keeps of an account for every start, in bytes.
pub const CARD_BYTES_MAX: usize = 64 << 10;

/// Key of a memo, in octets.
pub const MEMO_KEY_BYTES_MAX: usize = 512;

/// Value of a memo, in octets.
pub const MEMO_VALUE_BYTES_MAX: usize = 4096;

/// Memos that can be changed together, or ride with one message.
pub const MEMOS_TOGETHER_MAX: usize = 4096;

/// Text of a manifest, some hundred thousand files, in bytes.
pub const MANIFEST_BYTES_MAX: usize = 16 << 20;

/// Shards a store can have.
pub const SHARDS_MAX: usize = 256;

const _: () = assert!(FRAME_BYTES_MAX.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(SEGMENT_BYTES.is_multiple_of(BLOCK_BYTES as u64));
const _: () = assert!(RECORD_BYTES_MAX * 2 <= FRAME_BYTES_MAX);
const _: () = assert!(CHUNK_BYTES * 2 <= RECORD_BYTES_MAX);
const _: () = assert!(FRAME_BYTES_MAX as u64 * 4 <= SEGMENT_BYTES);
