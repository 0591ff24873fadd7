//! Suspensions as memos of the store: written before they hold, read before anything is sent.
//!
//! Each shard keeps its own: an order goes to all of them, and a start needs nobody else.

use super::dispatch::Dispatcher;
use super::suspend::{Field, NAME_BYTES_MAX, SUSPENSIONS_MAX, Suspension};
use crate::event;
use store::shard::{Memo, MemoChange, Space};

impl Dispatcher {
    /// Takes up the suspensions that an earlier life was ordered.
    pub(super) fn recall_suspensions(&self) {
        let kept = self
            .store
            .memos(Space::SUSPENSION, b"", None, SUSPENSIONS_MAX);
        let kept = kept.unwrap_or_else(|error| {
            let why = error.to_string();
            event!(Error, "suspensions lost", shard = self.shard, why = why);
            Vec::new()
        });
        let mut board = self.board.borrow_mut();
        for suspension in kept.iter().filter_map(recalled) {
            // The store gave no more than there is room for.
            let _ = board.suspensions.add(suspension);
        }
    }

    /// Makes a suspension durable; a sentence where that cannot be.
    pub(super) async fn keep_suspension(&self, suspension: &Suspension) -> Result<(), String> {
        let key = suspension.field.to_string().into_bytes();
        if key.len() > NAME_BYTES_MAX {
            return Err(format!("a name may have {NAME_BYTES_MAX} octets"));
        }
        let memo = Memo {
            space: Space::SUSPENSION,
            key,
            value: Vec::new(),
            expiry_secs: suspension.until.map_or(0, i64::from),
        };
        self.write(MemoChange::Put(memo)).await
    }

    pub(super) async fn forget_suspension(&self, field: &Field) -> Result<(), String> {
        let key = field.to_string().into_bytes();
        self.write(MemoChange::Remove(Space::SUSPENSION, key)).await
    }

    async fn write(&self, change: MemoChange) -> Result<(), String> {
        let written = self.store.write_memos(vec![change]).await;
        written.map_err(|error| format!("it cannot be written down: {error}"))
    }
}

/// `None`: a later build wrote it, and knows what it means.
fn recalled(memo: &Memo) -> Option<Suspension> {
    let field = Field::parse(std::str::from_utf8(&memo.key).ok()?)?;
    let until =
        (memo.expiry_secs != 0).then(|| u32::try_from(memo.expiry_secs).unwrap_or(u32::MAX));
    Some(Suspension { field, until })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memo_of_another_build_is_passed_over() {
        let memo = |key: &[u8], expiry_secs| Memo {
            space: Space::SUSPENSION,
            key: key.to_vec(),
            value: Vec::new(),
            expiry_secs,
        };
        assert_eq!(
            recalled(&memo(b"domain a.example", 0)),
            Some(Suspension {
                field: Field::Domain("a.example".to_owned()),
                until: None,
            })
        );
        let limited = recalled(&memo(b"tenant t", 99)).unwrap();
        assert_eq!(limited.until, Some(99));
        assert_eq!(recalled(&memo(b"planet mars", 0)), None);
        assert_eq!(recalled(&memo(b"\xff", 0)), None);
    }
}
