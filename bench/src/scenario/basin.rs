//! The threads of a sink, and what they have taken when they are stopped.

use super::run::seat;
use crate::client::sink::record::Record;
use crate::client::sink::{Settings, Sink};
use crate::peer::await_silence;
use anyhow::{Context, anyhow};
use engine::reactor::net::{BACKLOG, Bound};
use engine::reactor::runtime::start_shard;
use engine::reactor::sleep;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// A running sink.
pub(crate) struct Basin {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    settings: Arc<Settings>,
    harvest: mpsc::Receiver<Record>,
    threads: u32,
}

impl Basin {
    /// Listens and begins to take mail.
    pub(crate) fn open(
        address: SocketAddr,
        threads: u32,
        settings: Settings,
    ) -> anyhow::Result<Basin> {
        let bounds = Bound::share(address, threads as usize, BACKLOG)?;
        let address = bounds.first().map_or(address, Bound::local_addr);
        let (stop, settings) = (Arc::new(AtomicBool::new(false)), Arc::new(settings));
        let (records, harvest) = mpsc::channel();
        for (index, bound) in bounds.into_iter().enumerate() {
            let (stop, settings, records) = (stop.clone(), settings.clone(), records.clone());
            start_shard(index, seat(), move || async move {
                let sink = Sink::new(settings, index as u32);
                // Nobody connects then, and whoever waits for a record notices.
                let Ok(listening) = sink.listen(bound) else {
                    return;
                };
                while !stop.load(Ordering::Relaxed) {
                    sleep(LOOK).await;
                }
                drop(listening);
                // The listener is closed in a turn of its own, and so is each connection.
                sleep(LOOK).await;
                sink.hang_up();
                sleep(LOOK).await;
                // The receiver has gone only when the process ends.
                let _ = records.send(sink.harvest());
            })
            .context("cannot start a thread of the sink")?;
        }
        Ok(Basin {
            address,
            stop,
            settings,
            harvest,
            threads,
        })
    }

    /// Copies recorded so far.
    pub(crate) fn recorded(&self) -> u64 {
        self.settings.recorded.load(Ordering::Relaxed)
    }

    /// Recipients of all mail acknowledged so far.
    pub(crate) fn taken(&self) -> u64 {
        self.settings.taken.load(Ordering::Relaxed)
    }

    /// Ends it; everything that it took.
    pub(crate) fn close(self) -> anyhow::Result<Record> {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = Record::new();
        for _ in 0..self.threads {
            let record = self.harvest.recv_timeout(CLOSE_MAX);
            sum.merge(record.map_err(|_| anyhow!("a thread of the sink does not end"))?);
        }
        await_silence(self.address, CLOSE_MAX)?;
        Ok(sum)
    }
}

/// How often a thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(60);

/// Longer than any turn of a thread.
const CLOSE_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::sink::Behaviour;
    use std::collections::HashMap;
    use std::io::Read;
    use std::net::TcpStream;

    /// A relay that keeps its connection to a sink that has gone would send its next mail there.
    #[test]
    fn a_sink_that_is_closed_keeps_no_connection() {
        let settings = Behaviour::takes_all().settings(HashMap::new(), 1).unwrap();
        let basin = Basin::open(SocketAddr::from(([127, 0, 0, 1], 0)), 1, settings).unwrap();
        let mut kept = TcpStream::connect(basin.address).unwrap();
        kept.set_read_timeout(Some(CLOSE_MAX)).unwrap();
        let mut banner = [0; 4];
        kept.read_exact(&mut banner).unwrap();
        assert_eq!(&banner, b"220 ");
        basin.close().unwrap();
        let mut rest = Vec::new();
        kept.read_to_end(&mut rest).unwrap();
        assert!(rest.ends_with(b"\r\n"));
    }
}
