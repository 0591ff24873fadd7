//! Signals as calls: a thread that waits for them and tells a callback.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;

/// What the operator asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM or SIGINT: finish what is in hand and end.
    Stop,
    /// SIGHUP: read configuration and certificates again.
    Reload,
}

/// Starts the thread `signals`; `on_signal` is called there, once for each signal.
pub fn start_signals(on_signal: impl Fn(Signal) + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let wait = move || {
        for number in signals.forever() {
            on_signal(match number {
                SIGHUP => Signal::Reload,
                _ => Signal::Stop,
            });
        }
    };
    std::thread::Builder::new()
        .name(String::from("signals"))
        .spawn(wait)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn signals_arrive_as_calls() {
        let (sender, receiver) = std::sync::mpsc::channel();
        start_signals(move |signal| sender.send(signal).unwrap()).unwrap();
        signal_hook::low_level::raise(SIGHUP).unwrap();
        assert_eq!(receiver.recv().unwrap(), Signal::Reload);
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert_eq!(receiver.recv().unwrap(), Signal::Stop);
    }
}
