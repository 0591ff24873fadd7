//! Hands over from each shard to the other as the engine does, several at a time.

use crate::ledger::{Ledger, is_damage_told};
use crate::weather::Climate;
use crate::world::{ACCOUNTS, Sim, World, pass_turn};
use std::cell::RefCell;
use std::rc::Rc;
use store::disk::executor::Executor;
use store::disk::sim::SimDisk;
use store::error::ReadError;
use store::shard::{Custody, Offer, Source, Window};

pub(crate) fn start_feeding(executor: &mut Executor, shards: &[Sim], world: &World) {
    for (source, target) in [(0, 1), (1, 0)] {
        let pair = Rc::new(Pair {
            from: Rc::clone(&shards[source]),
            to: Rc::clone(&shards[target]),
            ids: (source as u16, target as u16),
            window: RefCell::new(Window::new(IN_FLIGHT)),
            disk: world.disk.clone(),
            ledger: Rc::clone(&world.ledger),
            is_lied_to: world.climate == Climate::Lying,
        });
        for _ in 0..IN_FLIGHT {
            let pair = Rc::clone(&pair);
            executor.spawn(async move { pair.carry().await });
        }
    }
}

/// What one shard owes the other, on its way.
struct Pair {
    from: Sim,
    to: Sim,
    ids: (u16, u16),
    window: RefCell<Window>,
    disk: SimDisk,
    ledger: Rc<RefCell<Ledger>>,
    is_lied_to: bool,
}

impl Pair {
    /// One of those that hand over.
    async fn carry(&self) {
        let mut arrivals = self.from.watch_offers();
        loop {
            while let Some(offer) = self.begin() {
                while self.hand_over(&offer).await.is_none() {
                    pass_turn().await;
                }
                self.window.borrow_mut().durable(offer.sequence);
                // Two may settle at once, and settle the same: that is harmless.
                let settled = self.window.borrow().to_settle();
                if let Some(sequence) = settled
                    && self.from.settle_offers(self.ids.1, sequence).await.is_ok()
                {
                    self.window.borrow_mut().settled(sequence);
                }
            }
            arrivals.changed().await;
        }
    }

    fn begin(&self) -> Option<Rc<Offer>> {
        let mut window = self.window.borrow_mut();
        let most = window.room().min(1);
        let offer = self.from.offers(self.ids.1, window.begun(), most).pop()?;
        window.begin(offer.sequence);
        Some(offer)
    }

    /// `None`: to be tried again.
    async fn hand_over(&self, offer: &Offer) -> Option<()> {
        let custody = match self.read(offer).await {
            Ok(custody) => custody?,
            Err(ReadError::Io { .. }) => return None,
            Err(error) => return self.give_up(offer, &error).await,
        };
        let taken = self.to.take_offered(self.ids.0, offer.sequence, custody);
        let delivered = taken.await.ok()?;
        assert!(delivered.iter().flat_map(|d| &d.shares).all(Result::is_ok));
        Some(())
    }

    /// The inner `None`: the other shard takes no body now.
    async fn read(&self, offer: &Offer) -> Result<Option<Custody>, ReadError> {
        let message = self.from.offered_body(offer.message).await?;
        let head = self.from.message_head(offer.message).await?;
        let octets = self.from.read(&message, 0, u64::MAX).await?;
        let mut body = self.to.body();
        if self.to.body_write(&mut body, &octets).await.is_err() {
            return Ok(None);
        }
        Ok(Some(Custody {
            queue: head.queue,
            source: head.source,
            received_secs: head.received_secs,
            body,
            each_alone: false,
            shares: offer.recipients.clone(),
            outbound: offer.outbound.clone(),
            ..Custody::default()
        }))
    }

    /// A message that can never be read again is not waited for: it is named.
    async fn give_up(&self, offer: &Offer, error: &ReadError) -> Option<()> {
        let is_told = self.is_lied_to || is_damage_told(&self.disk);
        assert!(is_told, "an offered message: {error}");
        let nothing = Custody {
            queue: store::mail::id::QueueId(0),
            source: Source::default(),
            received_secs: 0,
            body: self.to.body(),
            each_alone: false,
            shares: Vec::new(),
            ..Custody::default()
        };
        let taken = self.to.take_offered(self.ids.0, offer.sequence, nothing);
        taken.await.ok()?;
        self.ledger.borrow_mut().queue.undelivered += offer.outbound.len();
        for share in &offer.recipients {
            let owner = ACCOUNTS.iter().position(|known| *known == share.account);
            let mut ledger = self.ledger.borrow_mut();
            *ledger.undelivered.entry(owner.unwrap()).or_default() += 1;
        }
        Some(())
    }
}

/// Offers of one shard to the other that are under way at a time.
const IN_FLIGHT: usize = 5;
