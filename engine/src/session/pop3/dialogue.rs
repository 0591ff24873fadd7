//! Dialogues with the machine: what goes in, what comes out, however it was cut.

use super::maildrop::{Entry, Maildrop};
use super::{Action, Answer, Output, Session, Settings, Update};
use crate::config::Expire;
use crate::wire::pop3::reply;
use crate::wire::sasl::scram::{Decoy, Known};
use crate::wire::sasl::{self, Channel, Mechanism, Question, Refusal};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use store::mail::id::{Uid, UidValidity};
use store::mail::uidset::UidSet;

fn settings() -> Settings {
    Settings {
        starttls: true,
        login_in_clear: true,
        mechanisms: vec![Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login],
        errors_max: 4,
        failed_logins_max: 2,
        expire: Expire::Never,
        login_delay_secs: 0,
    }
}

/// A driver that knows alice, and three messages of hers.
struct Driver {
    settings: Settings,
    session: Session,
    out: Output,
    said: String,
    update: Option<Update>,
    closed: bool,
}

impl Driver {
    fn new(settings: Settings) -> Driver {
        Driver {
            session: Session::new(Arc::new(settings.clone()), Channel::default()),
            settings,
            out: Output::default(),
            said: String::new(),
            update: None,
            closed: false,
        }
    }

    fn logged_in(settings: Settings) -> Driver {
        let mut driver = Driver::new(settings);
        driver.send(b"USER alice\r\nPASS secret\r\n", 100);
        assert!(driver.session.is_logged_in(), "{}", driver.said);
        driver.said.clear();
        driver
    }

    fn send(&mut self, input: &[u8], step: usize) {
        for piece in input.chunks(step) {
            let mut taken = 0;
            while taken < piece.len() && !self.closed {
                taken += self.session.handle(&piece[taken..], &mut self.out);
                self.settle();
                // What a listing has left.
                while !self.session.is_idle() && !self.closed {
                    self.session.handle(b"", &mut self.out);
                    self.settle();
                }
            }
        }
    }

    fn settle(&mut self) {
        while let Some(action) = self.out.action.take() {
            let answer = match action {
                Action::Close => {
                    self.closed = true;
                    break;
                }
                Action::StartTls => Answer::Tls(Channel::private()),
                Action::Ask(question) => Answer::Login(answer(question)),
                Action::Move { .. } => {
                    let settings = Arc::new(self.settings.clone());
                    let utf8 = self.session.utf8();
                    self.session = Session::resume(settings, utf8, &mut self.out);
                    continue;
                }
                Action::Open => Answer::Opened(Ok(Box::new(maildrop()))),
                Action::Send(retrieval) => {
                    let uid = retrieval.uid;
                    let text = format!("+OK\r\nmessage {uid}\r\n.\r\n");
                    self.out.reply.extend_from_slice(text.as_bytes());
                    Answer::Sent(Ok(()))
                }
                Action::Update(update) => {
                    self.update = Some(*update);
                    Answer::Updated(true)
                }
            };
            self.session.answer(answer, &mut self.out);
        }
        self.said += str::from_utf8(&self.out.reply).unwrap();
        self.out.reply.clear();
    }
}

fn answer(question: Question) -> sasl::Answer<Rc<str>> {
    sasl::Answer::Verdict(match question {
        Question::Keys { hash, user } => {
            return sasl::Answer::Keys(Box::new(Known {
                keys: Decoy::new([2; 32]).keys(hash, &user),
                is_real: false,
                nonce: "nonce".into(),
            }));
        }
        Question::Password(asked) if asked.identity == "alice" => {
            let fits = asked.password.as_str() == "secret";
            fits.then(|| "alice".into()).ok_or(Refusal::Wrong)
        }
        _ => Err(Refusal::Wrong),
    })
}

fn maildrop() -> Maildrop {
    let entry = |(uid, octets)| Entry {
        uid: Uid(uid),
        octets,
    };
    let messages = [(3, 120), (4, 200), (9, 5)].map(entry).to_vec();
    let brought = BTreeMap::from([(Uid(4), "whqtswO00WBw418f9t5JxYwZ".into())]);
    Maildrop::new(messages, UidValidity(255), brought)
}

const DAY: &[u8] = b"NOOP\r\nSTAT\r\nLIST\r\nLIST 2\r\nUIDL\r\nUIDL 2\r\nRETR 1\r\nTOP 3 1\r\n\
    DELE 1\r\nDELE 1\r\nRETR 1\r\nSTAT\r\nLIST\r\nRSET\r\nDELE 3\r\nRETR 4\r\nSTAT\r\n\
    QUIT\r\nX\r\n";

const ANSWERS: &str = "+OK\r\n+OK 3 325\r\n\
    +OK 3 messages (325 octets)\r\n1 120\r\n2 200\r\n3 5\r\n.\r\n+OK 2 200\r\n\
    +OK 3 messages (325 octets)\r\n1 00000003000000ff\r\n2 whqtswO00WBw418f9t5JxYwZ\r\n\
    3 00000009000000ff\r\n.\r\n+OK 2 whqtswO00WBw418f9t5JxYwZ\r\n\
    +OK\r\nmessage 3\r\n.\r\n+OK\r\nmessage 9\r\n.\r\n\
    +OK Marked as deleted\r\n-ERR The message is marked as deleted\r\n\
    -ERR The message is marked as deleted\r\n+OK 2 205\r\n\
    +OK 2 messages (205 octets)\r\n2 200\r\n3 5\r\n.\r\n\
    +OK No message is marked as deleted any more\r\n+OK Marked as deleted\r\n\
    -ERR No such message\r\n+OK 2 320\r\n+OK Bye\r\n";

/// RFC 1939 §5 and §10, cut at each octet.
#[test]
fn a_session_is_the_same_however_it_is_cut() {
    for step in 1..=DAY.len() {
        let mut driver = Driver::logged_in(settings());
        driver.send(DAY, step);
        assert_eq!(driver.said, ANSWERS, "in steps of {step}");
        assert!(driver.closed);
        let update = driver.update.unwrap();
        assert_eq!(update.deleted, UidSet::from_ascending([Uid(9)]));
        assert_eq!(update.retrieved, UidSet::from_ascending([Uid(3)]));
    }
}

#[test]
fn nothing_is_changed_without_quit() {
    let mut driver = Driver::logged_in(settings());
    driver.send(b"RETR 1\r\nDELE 2\r\n", 100);
    driver.session.timed_out(&mut driver.out);
    driver.settle();
    assert!(driver.closed && driver.update.is_none());
    let mut driver = Driver::logged_in(settings());
    driver.send(b"DELE 2\r\n", 100);
    driver.session.shutting_down(&mut driver.out);
    driver.settle();
    assert!(driver.said.ends_with("Shutting down, try again later\r\n"));
    assert!(driver.closed && driver.update.is_none());
}

#[test]
fn what_was_retrieved_goes_where_it_does_not_stay() {
    let expire = Expire::Retrieved;
    let mut driver = Driver::logged_in(Settings {
        expire,
        ..settings()
    });
    driver.send(b"RETR 1\r\nTOP 2 0\r\nRSET\r\nDELE 3\r\nQUIT\r\n", 100);
    let deleted = UidSet::from_ascending([Uid(3), Uid(9)]);
    let retrieved = UidSet::new();
    assert_eq!(driver.update, Some(Update { deleted, retrieved }));
}

#[test]
fn passwords_do_not_cross_in_clear() {
    let login_in_clear = false;
    let mut driver = Driver::new(Settings {
        login_in_clear,
        ..settings()
    });
    driver.send(b"CAPA\r\n", 100);
    assert!(driver.said.contains("\r\nSTLS\r\nSASL SCRAM-SHA-256"));
    assert!(!driver.said.contains("USER\r\nSTLS") && !driver.said.contains("PLAIN"));
    driver.said.clear();
    driver.send(b"USER alice\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", 100);
    let refused = str::from_utf8(reply::TLS_FIRST.as_bytes()).unwrap();
    assert_eq!(driver.said, refused.repeat(2));
    driver.said.clear();
    // Behind STLS nothing in clear is heard.
    driver.send(b"STLS\r\nUSER alice\r\nPASS secret\r\n", 100);
    assert_eq!(driver.said, "+OK Begin TLS negotiation\r\n");
    driver.send(b"PASS secret\r\nUSER alice\r\nPASS secret\r\n", 100);
    assert!(driver.said.contains("Send USER first") && driver.session.is_logged_in());
}

#[test]
fn logins_fail_alike_and_not_for_ever() {
    let mut driver = Driver::new(settings());
    driver.send(
        b"USER nobody\r\nPASS secret\r\nUSER alice\r\nPASS wrong\r\n",
        1,
    );
    assert_eq!(
        driver.said,
        "+OK Send PASS\r\n-ERR [AUTH] Authentication failed\r\n+OK Send PASS\r\n\
         -ERR [AUTH] Too many failed logins, closing the connection\r\n"
    );
    assert!(driver.closed);
}

#[test]
fn exchanges_of_sasl_go_to_their_end_or_are_given_up() {
    let mut driver = Driver::new(settings());
    driver.send(b"AUTH\r\n", 100);
    assert!(
        driver.said.ends_with("PLAIN\r\nLOGIN\r\n.\r\n"),
        "{}",
        driver.said
    );
    for (input, answer) in [
        (&b"AUTH X\r\n"[..], "-ERR Unknown mechanism, see CAPA\r\n"),
        (
            b"AUTH PLAIN\r\n*\r\n",
            "+ \r\n-ERR Authentication cancelled\r\n",
        ),
        (b"AUTH PLAIN !\r\n", "-ERR The response is malformed\r\n"),
    ] {
        let mut driver = Driver::new(settings());
        driver.send(input, 3);
        assert_eq!(driver.said, answer);
    }
    driver.said.clear();
    driver.send(b"AUTH LOGIN\r\nYWxpY2U=\r\nc2VjcmV0\r\n", 1);
    assert_eq!(
        driver.said,
        "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n+OK 3 messages (325 octets)\r\n"
    );
}

#[test]
fn wrong_commands_end_a_connection() {
    let mut driver = Driver::new(settings());
    driver.send(b"STAT\r\nX\r\nNOOP\n", 100);
    assert!(!driver.closed);
    driver.send(b"APOP a b\r\nQUIT\r\n", 100);
    assert!(
        driver
            .said
            .ends_with("Too many wrong commands, closing the connection\r\n")
    );
    assert!(driver.closed);
}

/// RFC 6856 §2 and §3.
#[test]
fn languages_and_utf8_are_answered() {
    let mut driver = Driver::new(settings());
    driver.send(b"LANG\r\nLANG de\r\nLANG *\r\nUTF8\r\nSTLS\r\n", 100);
    assert_eq!(
        driver.said,
        "+OK Language listing follows\r\nen English\r\n.\r\n\
         -ERR Unknown language, see LANG\r\n+OK en Language is English\r\n+OK UTF8 enabled\r\n\
         -ERR UTF8 comes before login and after STLS\r\n"
    );
    driver.send(b"USER alice\r\nPASS secret\r\n", 100);
    assert!(driver.session.is_logged_in() && driver.session.utf8());
}
