//! Whoever shares this thread takes turns: a shard's log and who uses it, futures that share
//! commits.

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use store::disk::Disk;
use store::shard::Shard;

/// Lets `work` have the shard to the end, and closes it.
pub(crate) fn drive<D: Disk, T>(shard: &Rc<Shard<D>>, work: impl Future<Output = T>) -> T {
    let mut log = pin!(shard.run(|_| {}));
    let mut work = pin!(async {
        let done = work.await;
        shard.close();
        done
    });
    // The disk never lets anybody wait.
    let mut context = Context::from_waker(Waker::noop());
    let mut done = None;
    loop {
        if done.is_none()
            && let Poll::Ready(ended) = work.as_mut().poll(&mut context)
        {
            done = Some(ended);
        }
        let has_closed = log.as_mut().poll(&mut context).is_ready();
        if let Some(done) = done.take_if(|_| has_closed) {
            return done;
        }
    }
}

/// Ends when all of them have; what each came to, in the order in which they ended.
pub(crate) async fn together<F: Future>(all: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut left: Vec<Pin<Box<F>>> = all.into_iter().map(Box::pin).collect();
    let mut ended = Vec::with_capacity(left.len());
    std::future::poll_fn(|context| {
        left.retain_mut(|one| match one.as_mut().poll(context) {
            Poll::Ready(outcome) => {
                ended.push(outcome);
                false
            }
            Poll::Pending => true,
        });
        match left.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    ended
}
