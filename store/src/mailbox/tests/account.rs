//! An account that is written to the index and loaded again is the same account.

use super::row;
use crate::mail::id::{AccountId, MailboxId, ModSeq, Uid, UidValidity};
use crate::mail::uidset::UidSet;
use crate::mailbox::account::Account;
use crate::mailbox::card::Card;
use crate::mailbox::contents::Contents;
use crate::mailbox::layer::Layer;
use crate::mailbox::meta::AccountMeta;
use crate::mailbox::shelf::Fetch;
use crate::mailbox::tree::SpecialUse;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// The layers of every mailbox, as a run would have them.
#[derive(Clone, Default)]
struct Index(Rc<RefCell<HashMap<MailboxId, Vec<Vec<u8>>>>>);

impl Index {
    fn take(&self, account: &mut Account) {
        for (mailbox, layer) in account.take_deltas() {
            let mut bytes = Vec::new();
            layer.encode(&mut bytes);
            self.0.borrow_mut().entry(mailbox).or_default().push(bytes);
        }
    }

    fn fetch(&self, mailbox: MailboxId) -> Fetch {
        let layers = Rc::clone(&self.0);
        Rc::new(move || {
            let layers = layers.borrow();
            let bytes = layers.get(&mailbox).into_iter().flatten();
            let layers: Result<Vec<Layer>, _> = bytes.map(|bytes| Layer::decode(bytes)).collect();
            Layer::compose_all(layers?)
        })
    }
}

fn deliver(account: &mut Account, mailbox: MailboxId, uid: u32) {
    let modseq = account.next_modseq();
    let row = row(Uid(uid), modseq);
    account.contents_mut(mailbox).unwrap().arrive(row);
    account.grow(u64::from(row.octets));
}

fn expunge(account: &mut Account, mailbox: MailboxId, uid: u32) {
    let (modseq, uids) = (account.next_modseq(), UidSet::from_ranges([(uid, uid)]));
    let octets = account
        .contents_mut(mailbox)
        .unwrap()
        .expunge(&uids, modseq);
    account.shrink(octets);
}

fn account() -> Account {
    let mut account = Account::new(AccountId(7), "a@example.test".into());
    account.quota = Some(1 << 30);
    for name in ["INBOX", "Sent", "Gone"] {
        let (id, modseq) = (account.next_mailbox(), account.next_modseq());
        let uid_validity = account.next_uid_validity(1000);
        let contents = Contents::new(id, name.into(), uid_validity, SpecialUse::NONE, modseq);
        account.create(contents);
        account.subscribe(name.into(), true);
    }
    account
}

#[test]
fn an_account_comes_back_from_card_metadata_and_layers() {
    let (mut account, index) = (account(), Index::default());
    for uid in 1..=5 {
        deliver(&mut account, MailboxId(1), uid);
        deliver(&mut account, MailboxId(3), uid);
    }
    index.take(&mut account);
    account.rebase(|mailbox| index.fetch(mailbox));
    expunge(&mut account, MailboxId(1), 2);
    deliver(&mut account, MailboxId(1), 9);
    account.delete(MailboxId(3));
    let keyword = "$Forwarded".to_owned();
    account
        .contents_mut(MailboxId(1))
        .unwrap()
        .name_keyword(0, keyword);
    index.take(&mut account);

    let (mut card, mut meta) = (Vec::new(), Vec::new());
    account.card().encode(&mut card);
    account.meta().encode(&mut meta);
    let card = Card::decode(AccountId(7), &card).unwrap();
    let meta = AccountMeta::decode(&meta).unwrap();
    assert_eq!(meta.octets(), Ok(card.octets));
    let mut again = Account::from_meta(&card, meta, |mailbox| index.fetch(mailbox));

    assert_eq!(again.heap_bytes(), 0);
    assert_eq!(again.card(), account.card());
    assert_eq!(again.meta(), account.meta());
    assert_eq!(again.list(), account.list());
    assert_eq!(again.subscriptions(), account.subscriptions());
    let inbox = again.contents(MailboxId(1)).unwrap();
    assert_eq!(inbox.rows().uids(), [1, 3, 4, 5, 9]);
    assert_eq!(inbox.keywords(), ["$Forwarded"]);
    assert_eq!(
        inbox.vanished_since(ModSeq(0)),
        Some(UidSet::from_ranges([(2, 2)]))
    );
    assert!(again.take_deltas().is_empty());
    // Numbers are never given out twice, those of a mailbox that is gone included.
    assert_eq!(again.next_mailbox(), MailboxId(4));
    assert_eq!(again.next_uid_validity(0), UidValidity(1003));
    assert_eq!(again.next_modseq(), account.next_modseq());
}
