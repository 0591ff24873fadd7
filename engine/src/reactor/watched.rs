//! A descriptor whose readiness the shard's runtime waits for: socket, timerfd or eventfd.
//!
//! Waiting is one poll in the ring (or in epoll), which owns no buffer. Its future may be dropped
//! at any time: the poll is cancelled by the kernel and keeps the descriptor open until it ended.

use monoio::net::TcpStream;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

pub(super) struct Watched {
    /// Monoio's only public owner of a descriptor that can be polled; it asks nothing of it that
    /// only a socket has.
    stream: TcpStream,
}

impl Watched {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Watched> {
        let stream = TcpStream::from_std(std::net::TcpStream::from(fd))?;
        Ok(Watched { stream })
    }

    /// Ready when a read would not block: data, end of file or an error.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.stream.readable(false).await
    }

    /// Ready when a write would not block.
    pub(super) async fn writable(&self) -> io::Result<()> {
        self.stream.writable(false).await
    }
}

impl AsFd for Watched {
    #[expect(unsafe_code, reason = "monoio 0.2 gives raw descriptors only")]
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: `stream` owns the descriptor and closes it only when dropped, and the result
        // borrows `self`.
        unsafe { BorrowedFd::borrow_raw(self.stream.as_raw_fd()) }
    }
}
