//! RFC 9208: what is used, what may be, and who sets it.

use super::*;

#[test]
fn an_account_is_one_quota_root() {
    let village = Village::new();
    village.store.deliver(ALICE, "INBOX", &[b'a'; 1500]);
    village.store.set_quota(ALICE, 2 << 20);
    village.client(ALICE_NAME).play(
        "C: a1 GETQUOTAROOT INBOX
         S: * QUOTAROOT INBOX alice@example.test
         S: * QUOTA alice@example.test (STORAGE 2 2048 MAILBOX 1 10000)
         S: a1 OK Done
         C: a2 GETQUOTA Alice@Example.test
         S: * QUOTA alice@example.test (STORAGE 2 2048 MAILBOX 1 10000)
         S: a2 OK Done
         C: a3 GETQUOTA bob@example.test
         S: a3 NO [NONEXISTENT] No such quota root
         C: a4 GETQUOTAROOT nowhere
         S: a4 NO [NONEXISTENT] No such mailbox
         C: a5 SETQUOTA alice@example.test (STORAGE 1)
         S: a5 NO [NOPERM] …
         C: a6 SETQUOTA \"\" (STORAGE
         S: a6 BAD …
         C: a7 GETQUOTA
         S: a7 BAD …",
    );
}

#[test]
fn an_administrator_sets_quotas_of_everybody() {
    let village = Village {
        administrator: ALICE_NAME,
        ..Village::new()
    };
    village.store.deliver(BOB, "INBOX", b"a");
    village.client(ALICE_NAME).play(
        "C: a1 SETQUOTA bob@example.test (STORAGE 512 MESSAGE 10 MAILBOX 5)
         S: * QUOTA bob@example.test (STORAGE 1 512 MESSAGE 1 10 MAILBOX 1 5)
         S: a1 OK Done
         C: a2 GETQUOTA bob@example.test
         S: * QUOTA bob@example.test (STORAGE 1 512 MESSAGE 1 10 MAILBOX 1 5)
         S: a2 OK Done
         C: a3 SETQUOTA bob@example.test (MESSAGE 20)
         S: * QUOTA bob@example.test (MESSAGE 1 20 MAILBOX 1 10000)
         S: a3 OK Done
         C: a4 SETQUOTA bob@example.test (COFFEE 1)
         S: a4 NO [CANNOT] …
         C: a5 SETQUOTA carol@example.test (STORAGE 1)
         S: a5 NO [NONEXISTENT] …
         C: a6 SETQUOTA alice@example.test ()
         S: * QUOTA alice@example.test (MAILBOX 1 10000)
         S: a6 OK Done",
    );
}

#[test]
fn what_would_come_free_is_told() {
    let village = Village::new();
    for octets in [100, 200] {
        village.store.deliver(ALICE, "INBOX", &vec![b'a'; octets]);
    }
    village.client(ALICE_NAME).play(
        "C: a1 STATUS INBOX (DELETED DELETED-STORAGE)
         S: * STATUS INBOX (DELETED 0 DELETED-STORAGE 0)
         S: a1 OK Done
         C: a2 SELECT INBOX
         S: * FLAGS …
         S: * OK [PERMANENTFLAGS …
         S: * 2 EXISTS
         S: * 2 RECENT
         S: * OK [UNSEEN 1] …
         S: * OK [UIDVALIDITY …
         S: * OK [UIDNEXT …
         S: * OK [HIGHESTMODSEQ …
         S: * OK [MAILBOXID …
         S: a2 OK [READ-WRITE] …
         C: a3 STORE 2 +FLAGS.SILENT (\\Deleted)
         S: a3 OK Store completed
         C: a4 STATUS INBOX (DELETED DELETED-STORAGE)
         S: * STATUS INBOX (DELETED 1 DELETED-STORAGE 200)
         S: a4 OK Done",
    );
}
