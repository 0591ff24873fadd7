//! Listening and connecting.
//!
//! A listener waits for readiness and then accepts without blocking, so no accept is ever in
//! flight: nothing to cancel, nothing to leak. When descriptors run out it rests instead of
//! spinning.

use super::socket::{Side, Socket};
use super::task::yield_now;
use super::timer;
use super::watched::Watched;
use rustix::io::Errno;
use rustix::net::sockopt::{
    set_ipv6_v6only, set_socket_reuseaddr, set_socket_reuseport, set_tcp_nodelay,
};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, acceptfrom_with, bind, getsockname,
    ipproto, listen, socket_with,
};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

/// Connections that wait in the kernel for `accept`.
pub const BACKLOG: i32 = 1024;

/// Connections accepted in one turn before other tasks run.
const ACCEPTS_PER_TURN_MAX: u32 = 64;

/// Rest after an accept failed for want of descriptors or memory.
const REST: Duration = Duration::from_millis(250);

/// What a peer on this host is called that comes through a socket in the file system.
pub const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A bound address on one shard.
pub struct Listener {
    watched: Watched,
    /// [`LOCAL`] for a socket in the file system.
    address: SocketAddr,
    accepted_in_turn: std::cell::Cell<u32>,
}

/// A bound socket on its way to its shard: made before threads start and privileges go.
#[derive(Debug)]
pub struct Bound {
    fd: OwnedFd,
    address: SocketAddr,
}

/// Why an address cannot be listened on, as a sentence that says what to do.
#[derive(Debug)]
pub struct BindError {
    pub address: SocketAddr,
    pub error: io::Error,
}

impl Bound {
    /// Binds and listens. With `reuse_port` other sockets of this user may do so too, each getting
    /// its share of the connections (`SO_REUSEPORT`). Port 0 takes any free one.
    pub fn bind(address: SocketAddr, reuse_port: bool, backlog: i32) -> Result<Bound, BindError> {
        bind_socket(address, reuse_port, backlog).map_err(|error| refused(address, error))
    }

    /// Binds and listens `count` times, for a shard each. Port 0 takes any free one, the same for
    /// all.
    pub fn share(address: SocketAddr, count: usize, backlog: i32) -> Result<Vec<Bound>, BindError> {
        // Another process of this user would share the port silently; it does not let us have it
        // alone, though.
        let alone =
            bind_socket(address, false, backlog).map_err(|error| refused(address, error))?;
        let address = alone.address;
        drop(alone);
        let bound = (0..count).map(|_| bind_socket(address, true, backlog));
        bound
            .collect::<Result<_, _>>()
            .map_err(|error| refused(address, error))
    }

    /// Binds and listens on the socket file `path`, which `mode` opens to others. A file that a
    /// killed server left behind is replaced; one where somebody listens, or that is no socket, is
    /// not.
    pub fn bind_file(path: &Path, mode: u32, backlog: i32) -> io::Result<Bound> {
        let address = SocketAddrUnix::new(path)?;
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = || socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let fd = socket()?;
        if let Err(error) = bind(&fd, &address) {
            let is_left_behind = error == Errno::ADDRINUSE
                && rustix::net::connect(socket()?, &address) == Err(Errno::CONNREFUSED)
                && std::fs::symlink_metadata(path)?.file_type().is_socket();
            if !is_left_behind {
                return Err(error.into());
            }
            std::fs::remove_file(path)?;
            bind(&fd, &address)?;
        }
        // Nobody can connect before it listens.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        listen(&fd, backlog)?;
        Ok(Bound { fd, address: LOCAL })
    }

    /// The same socket for another shard: whichever accepts first has the connection.
    pub fn duplicate(&self) -> io::Result<Bound> {
        Ok(Bound {
            fd: rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)?,
            address: self.address,
        })
    }

    /// The address, with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

impl Listener {
    /// Begins to listen on this shard.
    pub fn new(bound: Bound) -> io::Result<Listener> {
        Ok(Listener {
            watched: Watched::new(bound.fd)?,
            address: bound.address,
            accepted_in_turn: std::cell::Cell::new(0),
        })
    }

    /// [`Bound::bind`], not shared, and [`Listener::new`] in one.
    pub fn bind(address: SocketAddr, backlog: i32) -> Result<Listener, BindError> {
        let bound = Bound::bind(address, false, backlog)?;
        Listener::new(bound).map_err(|error| BindError { address, error })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The next connection, with `TCP_NODELAY` set. Cancel-safe.
    ///
    /// Running out of descriptors or memory is told to `on_error` once a rest and tried again; an
    /// `Err` means that the listener itself is broken.
    pub async fn accept(&self, on_error: impl Fn(&io::Error)) -> io::Result<Socket> {
        loop {
            match self.try_accept() {
                Ok(socket) => {
                    self.share_turn().await;
                    return Ok(socket);
                }
                Err(Errno::AGAIN) => {
                    self.accepted_in_turn.set(0);
                    self.watched.readable().await?;
                }
                Err(error) if is_of_the_connection(error) => {}
                Err(error) if is_exhaustion(error) => {
                    on_error(&error.into());
                    timer::sleep(REST).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn try_accept(&self) -> Result<Socket, Errno> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (fd, peer) = acceptfrom_with(&self.watched, flags)?;
        let peer = match self.address {
            LOCAL => LOCAL,
            // `None` or an error here: the peer has already gone.
            _ => peer
                .and_then(|peer| SocketAddr::try_from(peer).ok())
                .ok_or(Errno::CONNABORTED)?,
        };
        Socket::new(fd, peer).map_err(|_| Errno::NOMEM)
    }

    async fn share_turn(&self) {
        let accepted = self.accepted_in_turn.get() + 1;
        self.accepted_in_turn.set(accepted % ACCEPTS_PER_TURN_MAX);
        if accepted == ACCEPTS_PER_TURN_MAX {
            yield_now().await;
        }
    }
}

/// Connects within `time`; `TCP_NODELAY` is set and no deadline is left behind. A `source` without
/// a port gets one that is free for this target, though others may use it for other ones.
pub async fn connect(
    source: Option<SocketAddr>,
    target: SocketAddr,
    time: Duration,
) -> io::Result<Socket> {
    let fd = stream_socket(target)?;
    if let Some(source) = source {
        choose_port_late(&fd);
        bind(&fd, &source)?;
    }
    set_tcp_nodelay(&fd, true)?;
    let started = rustix::net::connect(&fd, &target);
    let socket = Socket::new(fd, target)?;
    match started {
        Ok(()) => return Ok(socket),
        Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    socket.set_deadline(Side::Write, time);
    socket.writable().await?;
    if socket.has_timed_out() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    socket.pending_error()?;
    socket.clear_deadline(Side::Write);
    Ok(socket)
}

/// Lets `connect` choose the port, which then only has to differ among connections to one target:
/// some 28,000 to each instead of in all.
#[expect(unsafe_code, reason = "rustix does not know the option")]
fn choose_port_late(fd: &OwnedFd) {
    let on: libc::c_int = 1;
    // SAFETY: the pointer and the length are those of `on`, which outlives the call.
    unsafe {
        // Where the kernel does not know it, `bind` chooses.
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        );
    }
}

fn bind_socket(address: SocketAddr, reuse_port: bool, backlog: i32) -> Result<Bound, Errno> {
    let fd = stream_socket(address)?;
    set_socket_reuseaddr(&fd, true)?;
    set_socket_reuseport(&fd, reuse_port)?;
    // Linux hands it down to every connection that is accepted.
    set_tcp_nodelay(&fd, true)?;
    if address.is_ipv6() {
        // `[::]:25` and `0.0.0.0:25` are two listeners, each said in the configuration.
        set_ipv6_v6only(&fd, true)?;
    }
    bind(&fd, &address)?;
    listen(&fd, backlog)?;
    let address = SocketAddr::try_from(getsockname(&fd)?)?;
    Ok(Bound { fd, address })
}

fn refused(address: SocketAddr, error: Errno) -> BindError {
    BindError {
        address,
        error: error.into(),
    }
}

fn stream_socket(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))
}

/// accept(2): errors already pending on the new connection, to be treated like a retry.
fn is_of_the_connection(error: Errno) -> bool {
    matches!(
        error,
        Errno::INTR
            | Errno::CONNABORTED
            | Errno::CONNRESET
            | Errno::NETDOWN
            | Errno::PROTO
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::NONET
            | Errno::HOSTUNREACH
            | Errno::OPNOTSUPP
            | Errno::NETUNREACH
            | Errno::TIMEDOUT
            | Errno::PERM
    )
}

fn is_exhaustion(error: Errno) -> bool {
    matches!(
        error,
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM
    )
}

impl BindError {
    /// Somebody has the address.
    pub fn is_in_use(&self) -> bool {
        self.error.kind() == io::ErrorKind::AddrInUse
    }
}

impl std::fmt::Display for BindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let BindError { address, error } = self;
        match error.kind() {
            io::ErrorKind::AddrInUse => write!(
                f,
                "cannot listen on {address}: another program (or another ringpost) has this port; \
                 stop it or choose another address"
            ),
            io::ErrorKind::PermissionDenied => write!(
                f,
                "cannot listen on {address}: ports below 1024 need CAP_NET_BIND_SERVICE or root"
            ),
            io::ErrorKind::AddrNotAvailable => write!(
                f,
                "cannot listen on {address}: no interface of this host has this address"
            ),
            _ => write!(f, "cannot listen on {address}: {error}"),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
