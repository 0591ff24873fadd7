//! Inboxes between all threads of the engine: N shards and the service thread, each to each.

use super::inbox::{Limit, Receiver, Sender, inbox};

/// All endpoints, before they go to their threads.
pub struct Mesh<T> {
    endpoints: Vec<Endpoint<T>>,
}

/// What one thread holds: a lane to every other thread and its own inbox.
pub struct Endpoint<T> {
    pub me: usize,
    /// By the number of the thread; `None` at `me`.
    senders: Vec<Option<Sender<T>>>,
    pub inbox: Receiver<T>,
}

impl<T> Mesh<T> {
    /// A mesh of `threads` endpoints, numbered from 0; `limit` bounds each of the lanes.
    pub fn new(threads: usize, limit: Limit) -> Mesh<T> {
        let mut endpoints: Vec<Endpoint<T>> = Vec::with_capacity(threads);
        let mut lanes: Vec<Vec<Option<Sender<T>>>> = (0..threads).map(|_| Vec::new()).collect();
        for me in 0..threads {
            let (senders, inbox) = inbox(threads.saturating_sub(1), limit);
            let mut senders = senders.into_iter();
            for (from, lane) in lanes.iter_mut().enumerate() {
                lane.push(if from == me { None } else { senders.next() });
            }
            endpoints.push(Endpoint {
                me,
                senders: Vec::new(),
                inbox,
            });
        }
        for (endpoint, senders) in endpoints.iter_mut().zip(lanes) {
            endpoint.senders = senders;
        }
        Mesh { endpoints }
    }

    /// The endpoints in the order of their numbers.
    pub fn into_endpoints(self) -> Vec<Endpoint<T>> {
        self.endpoints
    }
}

impl<T> Endpoint<T> {
    /// The lane to another thread; `None` for this thread itself or a number beyond the mesh.
    pub fn to(&self, thread: usize) -> Option<&Sender<T>> {
        self.senders.get(thread)?.as_ref()
    }

    /// Takes sending and receiving apart, for a task each.
    pub fn split(self) -> (Vec<Option<Sender<T>>>, Receiver<T>) {
        (self.senders, self.inbox)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn every_endpoint_reaches_every_other_and_nobody_else() {
        let limit = Limit {
            items_max: 4,
            bytes_max: 100,
        };
        let mut ends = Mesh::new(4, limit).into_endpoints();
        for end in &ends {
            for to in (0..5).filter(|to| *to != end.me && *to < 4) {
                end.to(to).unwrap().try_send((end.me, to), 1).unwrap();
            }
            assert!(end.to(end.me).is_none());
            assert!(end.to(4).is_none());
        }
        for (me, end) in ends.iter_mut().enumerate() {
            let mut got: Vec<_> = std::iter::from_fn(|| end.inbox.try_recv()).collect();
            got.sort_unstable();
            let want: Vec<_> = (0..4)
                .filter(|from| *from != me)
                .map(|from| (from, me))
                .collect();
            assert_eq!(got, want);
        }
    }
}
