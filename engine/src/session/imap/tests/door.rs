//! The way in: a gate that knows alice, and connections that go from login to login, as the driver
//! serves them.

use super::pipe::{Pipe, Wire};
use super::*;
use crate::session::imap::dialogue::Dialogue;
use crate::session::imap::io::Ended;
use crate::session::imap::login::{Gate, LoggedIn, Login, Rules};
use crate::session::imap::{Session, Terms};
use crate::wire::imap::receive::Receiver;
use crate::wire::sasl::scram::{Decoy, Known};
use crate::wire::sasl::{Answer, Channel, Credentials, Mechanism, Offer, Question, Refusal};
use ::store::mail::date::InternalDate;
use ::store::mail::id::AccountId;
use std::rc::Rc;
use std::time::Duration;

/// How a connection is taken.
#[derive(Clone, Copy)]
pub(super) struct Way {
    /// Passwords are taken without TLS.
    pub(super) in_clear: bool,
    pub(super) append_bytes_max: u64,
}

impl Way {
    /// A connection that begins before login; nothing of it was heard yet.
    pub(super) fn connect(self, store: &Fake) -> Client {
        let store = store.clone();
        let client = Client::serve(move |wire: Wire| Box::pin(serve(wire, store, self)));
        client.pipe.certificate.set(true);
        client
    }
}

/// Knows alice, and that some passwords cannot be looked up.
struct Door {
    pipe: Rc<Pipe>,
    in_clear: bool,
}

impl Gate for Door {
    type Account = AccountId;

    fn offer(&self) -> Offer {
        let house = [
            Mechanism::ScramSha256,
            Mechanism::OAuthBearer,
            Mechanism::Plain,
            Mechanism::Login,
        ];
        let channel = Channel {
            is_private: self.pipe.tls.get(),
            ..Channel::default()
        };
        Offer::new(&house, channel, self.in_clear)
    }

    async fn answer(&mut self, question: Question) -> Answer<AccountId> {
        Answer::Verdict(match question {
            Question::Keys { hash, user } => {
                return Answer::Keys(Box::new(Known {
                    keys: Decoy::new([7; 32]).keys(hash, &user),
                    is_real: false,
                    nonce: "servernonce".into(),
                }));
            }
            Question::Password(Credentials { identity, password }) => {
                match (identity.as_str(), password.as_str()) {
                    ("alice", "secret") => Ok(ALICE),
                    ("nobody-knows", _) => Err(Refusal::Unavailable),
                    ("everywhere", _) => Err(Refusal::Crowded),
                    _ => Err(Refusal::Wrong),
                }
            }
            Question::Token { token, .. } if token.as_str() == "good" => Ok(ALICE),
            _ => Err(Refusal::Wrong),
        })
    }
}

async fn serve(wire: Wire, store: Fake, way: Way) -> Ended {
    let mut door = Door {
        pipe: Rc::clone(&wire.0),
        in_clear: way.in_clear,
    };
    let mut dialogue = Dialogue::new(wire);
    let mut is_greeted = false;
    loop {
        let rules = Rules {
            patience: Duration::from_secs(60),
            append_bytes_max: way.append_bytes_max,
        };
        let login = Login::new(&mut dialogue, &mut door, rules);
        let logged_in = match std::mem::replace(&mut is_greeted, true) {
            false => login.run().await,
            true => login.resume().await,
        };
        let LoggedIn { tag, account } = match logged_in {
            Ok(logged_in) => logged_in,
            Err(ended) => return ended,
        };
        dialogue = moved(dialogue, None);
        let mut session = Session::new(store.clone(), account, way.terms());
        let ended = session.run(&mut dialogue, &tag).await;
        if ended != Ended::Unauthenticated {
            return ended;
        }
        dialogue = moved(dialogue, Some(Receiver::new()));
    }
}

impl Way {
    fn terms(self) -> Terms {
        Terms {
            ascii_headers: true,
            autologout: Duration::from_secs(1800),
            append_bytes_max: self.append_bytes_max,
            converters: None,
            messages_max: None,
            now: Rc::new(|| InternalDate::utc(0)),
        }
    }
}

/// The connection goes on at another shard.
fn moved(mut dialogue: Dialogue<Wire>, fresh: Option<Receiver>) -> Dialogue<Wire> {
    let layer = dialogue.take_layer();
    let (wire, receiver, input) = dialogue.into_parts();
    Dialogue::resume(wire, fresh.unwrap_or(receiver), input).compressed_by(layer)
}
