//! io_uring denied, as container runtimes do it.

use super::super::{Backend, Clock, Seat, runtime::run_shard, yield_now};
use std::sync::Arc;

/// Makes `io_uring_setup` fail with EPERM on this thread and those it starts.
#[expect(unsafe_code, reason = "seccomp has no safe interface here")]
fn deny_io_uring() {
    let load_number = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let if_equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    let setup = u32::try_from(libc::SYS_io_uring_setup).unwrap();
    let denied = libc::SECCOMP_RET_ERRNO | u32::try_from(libc::EPERM).unwrap();
    // SAFETY: builds plain structs, and the kernel copies the program before `prctl` returns.
    unsafe {
        let mut program = [
            libc::BPF_STMT(load_number as u16, 0),
            libc::BPF_JUMP(if_equal as u16, setup, 0, 1),
            libc::BPF_STMT(answer as u16, denied),
            libc::BPF_STMT(answer as u16, libc::SECCOMP_RET_ALLOW),
        ];
        let filter = libc::sock_fprog {
            len: program.len() as u16,
            filter: program.as_mut_ptr(),
        };
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &filter), 0);
    }
}

#[test]
fn where_io_uring_is_denied_shards_run_on_epoll_and_say_so() {
    std::thread::spawn(|| {
        deny_io_uring();
        let (backend, sentence) = Backend::probe();
        assert_eq!(backend, Backend::Epoll);
        assert!(sentence.contains("denied"), "{sentence}");
        assert!(sentence.contains("epoll"), "{sentence}");
        let seat = Seat {
            backend,
            core: None,
            on_panic: Arc::new(|_| {}),
            clock: Clock::Kernel,
        };
        run_shard(seat, yield_now).unwrap();
    })
    .join()
    .unwrap();
}
