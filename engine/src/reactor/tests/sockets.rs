//! Connections: echo, hand-over, deadlines, dropped waits.

use super::super::Alarm;
use super::super::clock::monotonic_micros;
use super::super::net::{BACKLOG, Bound, Listener, connect};
use super::super::oneshot::oneshot;
use super::super::socket::{Side, Socket, SocketParts};
use super::super::{buffer, spawn, yield_now};
use super::{backends, on_each_backend, shard};
use std::io::{BufRead, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(100);
const LATE: Duration = Duration::from_secs(20);

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A connected pair on this shard.
async fn pair() -> (Socket, Socket) {
    let listener = Listener::bind(loopback(), BACKLOG).unwrap();
    let client = connect(None, listener.local_addr(), LATE).await.unwrap();
    let server = listener.accept(|_| {}).await.unwrap();
    assert_eq!(server.peer_addr(), client.local_addr().unwrap());
    (client, server)
}

async fn echo(socket: Socket) {
    while let Ok(received) = socket.recv_lent().await {
        if received.is_empty() {
            return;
        }
        let (sent, buffer) = socket.send(received).await;
        buffer::give_back(buffer);
        if sent.is_err() {
            return;
        }
    }
}

async fn recv_exactly(socket: &Socket, bytes: usize) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(bytes);
    while buffer.len() < bytes {
        let (received, back) = socket.recv(buffer).await;
        assert_ne!(received.unwrap(), 0, "the stream ended early");
        buffer = back;
    }
    buffer
}

#[test]
fn slices_arrive_as_one_stream_from_the_named_source() {
    on_each_backend(|_| async {
        let listener = Listener::bind(loopback(), BACKLOG).unwrap();
        let source = "127.0.0.9:0".parse().unwrap();
        let client = connect(Some(source), listener.local_addr(), LATE).await;
        let client = client.unwrap();
        let server = listener.accept(|_| {}).await.unwrap();
        assert_eq!(server.peer_addr().ip(), source.ip());
        let large = vec![b'x'; 3 << 20];
        let whole = [b"head", &large[..], b"", b"tail"].concat();
        let bytes = whole.len();
        spawn(async move {
            let mut slices = [b"", &b"head"[..], &large, b"", b"tail"].map(IoSlice::new);
            client.send_slices(&mut slices).await.unwrap();
            client.send_slices(&mut []).await.unwrap();
        });
        assert!(recv_exactly(&server, bytes).await == whole);
    });
}

#[test]
fn a_reset_is_felt_by_the_peer() {
    on_each_backend(|_| async {
        let (client, server) = pair().await;
        server.reset_on_close().unwrap();
        drop(server);
        let felt = client.recv_lent().await.unwrap_err();
        assert_eq!(felt.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn an_alarm_rings_at_its_moment_and_at_once_when_that_has_passed() {
    on_each_backend(|_| async {
        let alarm = Alarm::new().unwrap();
        let began = monotonic_micros();
        alarm.at(began.saturating_sub(1)).await.unwrap();
        alarm.at(0).await.unwrap();
        assert!(monotonic_micros() - began < 1_000_000);
        let moment = monotonic_micros() + 3_000;
        {
            let mut dropped = pin!(alarm.at(moment + 3_600_000_000));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(dropped.as_mut().poll(&mut cx).is_pending());
        }
        alarm.at(moment).await.unwrap();
        // Not before, and by far not as late as the wheel ticks in its hour.
        let rang = monotonic_micros();
        assert!(rang >= moment && rang < moment + 1_000_000);
    });
}

#[test]
fn two_shards_share_a_port_and_echo() {
    for backend in backends() {
        let shared = Bound::share(loopback(), 2, BACKLOG).unwrap();
        let address = shared[0].local_addr();
        for bound in shared {
            shard(backend, || async {
                let listener = Listener::new(bound).unwrap();
                loop {
                    spawn(echo(listener.accept(|_| {}).await.unwrap()));
                }
            });
        }
        let clients = (0..8u8).map(|seed| {
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                for round in 0..200u32 {
                    let sent: Vec<u8> = (0..round * 37).map(|i| seed ^ (i as u8)).collect();
                    stream.write_all(&sent).unwrap();
                    let mut back = vec![0; sent.len()];
                    stream.read_exact(&mut back).unwrap();
                    assert_eq!(sent, back);
                }
            })
        });
        clients
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|client| client.join().unwrap());
    }
}

#[test]
fn a_taken_port_is_explained_even_where_it_could_be_shared() {
    let mut first = Bound::share(loopback(), 1, BACKLOG).unwrap();
    let address = first.pop().unwrap();
    let taken = address.local_addr();
    for error in [
        Bound::bind(taken, false, BACKLOG).unwrap_err(),
        Bound::share(taken, 2, BACKLOG).unwrap_err(),
    ] {
        let sentence = error.to_string();
        assert!(sentence.contains("another program"), "{sentence}");
        assert!(sentence.contains(&taken.to_string()), "{sentence}");
    }
}

#[test]
fn a_connection_moves_to_another_shard_with_octets_pending_both_ways() {
    for backend in backends() {
        let (sender, receiver) = oneshot::<SocketParts>();
        let owner = shard(backend, || async move {
            let socket = Socket::from_parts(receiver.await.unwrap()).unwrap();
            let got = recv_exactly(&socket, 9).await;
            socket.send(b"from owner".to_vec()).await.0.unwrap();
            (got, socket.peer_addr())
        });
        let (bound_sender, bound) = std::sync::mpsc::channel();
        let front = shard(backend, move || async move {
            let listener = Listener::bind(loopback(), BACKLOG).unwrap();
            bound_sender.send(listener.local_addr()).unwrap();
            let socket = listener.accept(|_| {}).await.unwrap();
            assert_eq!(recv_exactly(&socket, 6).await, b"login\n");
            socket.set_deadline(Side::Read, SOON);
            socket.send(b"moving ".to_vec()).await.0.unwrap();
            // A wait that was begun and dropped must not hold the connection back.
            let mut wait = Box::pin(socket.readable());
            let _ = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            drop(wait);
            sender.send(socket.into_parts().unwrap()).unwrap();
        });
        let mut client = TcpStream::connect(bound.recv().unwrap()).unwrap();
        client.write_all(b"login\npipelined").unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        front.join().unwrap();
        let (got, peer) = owner.join().unwrap();
        assert_eq!(got, b"pipelined");
        assert_eq!(text, "moving from owner");
        assert_eq!(peer, client.local_addr().unwrap());
    }
}

#[test]
fn a_read_deadline_ends_the_wait_and_leaves_the_farewell() {
    on_each_backend(|_| async {
        let (client, server) = pair().await;
        server.set_deadline(Side::Read, LATE);
        server.set_deadline(Side::Read, SOON);
        let begun = Instant::now();
        let error = server.recv_lent().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(begun.elapsed() >= SOON);
        assert!(server.has_timed_out());
        server.send(b"421 bye".to_vec()).await.0.unwrap();
        assert_eq!(recv_exactly(&client, 7).await, b"421 bye");
    });
}

#[test]
fn a_deadline_that_was_cleared_does_nothing() {
    on_each_backend(|_| async {
        let (client, server) = pair().await;
        server.set_deadline(Side::Read, SOON);
        server.clear_deadline(Side::Read);
        let (_other, later) = pair().await;
        later.set_deadline(Side::Read, SOON * 3);
        later.recv_lent().await.unwrap_err();
        client.send(b"still here".to_vec()).await.0.unwrap();
        assert_eq!(recv_exactly(&server, 10).await, b"still here");
        assert!(!server.has_timed_out());
    });
}

#[test]
fn a_read_deadline_holds_for_a_peer_that_never_stops_sending() {
    on_each_backend(|_| async {
        let listener = Listener::bind(loopback(), BACKLOG).unwrap();
        let address = listener.local_addr();
        std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            while stream.write_all(&[0; 1 << 16]).is_ok() {}
        });
        let server = listener.accept(|_| {}).await.unwrap();
        server.set_deadline(Side::Read, SOON);
        let error = loop {
            match server.recv_lent().await {
                Ok(received) => buffer::give_back(received),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_peer_that_does_not_read_ends_the_send() {
    on_each_backend(|_| async {
        let (_client, server) = pair().await;
        server.set_send_time_max(SOON);
        let (sent, octets) = server.send(vec![7; 64 << 20]).await;
        assert_eq!(sent.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(octets.len(), 64 << 20);
    });
}

#[test]
fn a_flood_on_one_connection_leaves_turns_to_the_others() {
    on_each_backend(|_| async {
        let listener = Listener::bind(loopback(), BACKLOG).unwrap();
        let address = listener.local_addr();
        std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            while stream.write_all(&[0; 1 << 16]).is_ok() {}
        });
        let flooded = listener.accept(|_| {}).await.unwrap();
        // The flood has begun when a buffer comes full.
        let mut full = false;
        while !full {
            let received = flooded.recv_lent().await.unwrap();
            full = received.len() == received.capacity();
        }
        let ended = std::rc::Rc::new(std::cell::Cell::new(false));
        let end = ended.clone();
        spawn(async move {
            for _ in 0..10 {
                yield_now().await;
            }
            end.set(true);
        });
        let mut octets = 0;
        while !ended.get() {
            let received = flooded.recv_lent().await.unwrap();
            octets += received.len();
            buffer::give_back(received);
            // Slower than the client, so that there is always more.
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_micros(300) {}
            assert!(octets < 4 << 20, "the other task had no turn");
        }
    });
}

#[test]
fn a_slow_reader_gets_every_octet() {
    on_each_backend(|_| async {
        let (client, server) = pair().await;
        let octets: Vec<u8> = (0..20_000_000u32).map(|i| (i / 7) as u8).collect();
        let sent = octets.clone();
        spawn(async move { server.send(sent).await.0.unwrap() });
        let received = recv_exactly(&client, octets.len()).await;
        assert!(received == octets);
    });
}

#[test]
fn dropped_waits_lose_nothing() {
    on_each_backend(|_| async {
        let (client, server) = pair().await;
        let mut cx = Context::from_waker(Waker::noop());
        for round in 0..300u32 {
            for _ in 0..3 {
                let mut wait = Box::pin(server.recv(Vec::with_capacity(64)));
                assert!(wait.as_mut().poll(&mut cx).is_pending());
            }
            client.send(round.to_le_bytes().to_vec()).await.0.unwrap();
            if round % 2 == 0 {
                // Now the octets are there while a wait is dropped unfinished.
                let mut wait = Box::pin(server.readable());
                let _ = wait.as_mut().poll(&mut cx);
                yield_now().await;
            }
            assert_eq!(recv_exactly(&server, 4).await, round.to_le_bytes());
        }
    });
}

#[test]
fn a_wait_is_held_while_another_event_comes_and_goes() {
    on_each_backend(|_| async {
        let (client, server) = pair().await;
        let mut ticks = 0;
        {
            let mut readable = std::pin::pin!(server.readable());
            loop {
                let tick = std::pin::pin!(yield_now());
                match futures_util::future::select(readable.as_mut(), tick).await {
                    futures_util::future::Either::Left((ready, _)) => break ready.unwrap(),
                    futures_util::future::Either::Right(_) => ticks += 1,
                }
                if ticks == 50 {
                    client.send(b"DONE".to_vec()).await.0.unwrap();
                }
            }
        }
        assert!(ticks >= 50);
        assert_eq!(recv_exactly(&server, 4).await, b"DONE");
    });
}

#[test]
fn connections_that_come_and_go_leak_no_descriptor() {
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    on_each_backend(|_| async {
        let listener = Listener::bind(loopback(), BACKLOG).unwrap();
        for _ in 0..2000 {
            let client = connect(None, listener.local_addr(), LATE).await.unwrap();
            let mut wait = Box::pin(listener.accept(|_| {}));
            let _ = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            drop(wait);
            let mut wait = Box::pin(client.readable());
            let _ = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            drop(wait);
            drop(client);
            yield_now().await;
        }
    });
    // Other tests run beside this one.
    assert!(open() < before + 1000);
}

#[test]
fn a_refused_and_an_endless_connect_end() {
    on_each_backend(|_| async {
        let free = Bound::bind(loopback(), false, BACKLOG)
            .unwrap()
            .local_addr();
        let refused = connect(None, free, LATE).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        // A full backlog of a listener that never accepts.
        let deaf = Bound::bind(loopback(), false, 0).unwrap();
        let mut kept = Vec::new();
        let error = loop {
            match connect(None, deaf.local_addr(), SOON).await {
                Ok(socket) => kept.push(socket),
                Err(error) => break error,
            }
            assert!(kept.len() < 100);
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    });
}

/// Descriptors are the process's, so this runs in a process of its own.
#[test]
fn a_listener_without_descriptors_rests_and_recovers() {
    const CHILD: &str = "RINGPOST_TEST_DESCRIPTORS";
    if std::env::var_os(CHILD).is_some() {
        return accept_with_few_descriptors();
    }
    let name = "reactor::tests::sockets::a_listener_without_descriptors_rests_and_recovers";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.find_map(|line| line.unwrap().strip_prefix("at ").map(String::from));
    let address: SocketAddr = address.unwrap().parse().unwrap();
    let clients: Vec<_> = (0..100)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
    drop(clients);
}

/// Accepts until there are no descriptors, rests three times, gives up what it has and goes on.
fn accept_with_few_descriptors() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    use rustix::time::{ClockId, clock_gettime};
    let cpu_millis = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    };
    shard(backends()[0], move || async move {
        let listener = Listener::bind(loopback(), BACKLOG).unwrap();
        let few = Some(40);
        let limit = Rlimit {
            current: few,
            maximum: few,
        };
        setrlimit(Resource::Nofile, limit).unwrap();
        println!("\nat {}", listener.local_addr());
        let (begun, busy) = (std::cell::Cell::new(None), std::cell::Cell::new(0));
        let held = std::cell::RefCell::new(Vec::new());
        let rests = std::cell::Cell::new(0);
        let on_error = |_: &std::io::Error| {
            rests.set(rests.get() + 1);
            if rests.get() == 1 {
                begun.set(Some((Instant::now(), cpu_millis())));
            }
            if rests.get() == 4 {
                busy.set(cpu_millis() - begun.get().unwrap().1);
                held.borrow_mut().clear();
            }
        };
        for _ in 0..100 {
            let socket = listener.accept(on_error).await.unwrap();
            held.borrow_mut().push(socket);
            if rests.get() >= 4 {
                held.borrow_mut().clear();
            }
        }
        let rested = begun.get().unwrap().0.elapsed().as_millis() as i64;
        assert!(
            busy.get() * 20 < rested,
            "{} of {rested} ms busy",
            busy.get()
        );
    })
    .join()
    .unwrap();
}
