//! Which mechanisms a connection, as it is now, allows: announced are those, and no others work.

use super::{Exchange, Mechanism, State, plain, scram, token};

/// What the connection below an exchange vouches for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Channel {
    /// Nobody reads along.
    pub is_private: bool,
    /// `tls-exporter` (RFC 9266).
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929).
    pub end_point: Option<EndPoint>,
    /// The client has shown a certificate, and it is that of an account.
    pub is_certified: bool,
}

/// The hash of our certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndPoint {
    octets: [u8; EndPoint::OCTETS_MAX],
    length: u8,
}

/// What a client may log in with, on one connection at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    mechanisms: Vec<Mechanism>,
    channel: Channel,
}

impl Channel {
    /// TLS that vouches for nothing else.
    #[must_use]
    pub fn private() -> Channel {
        Channel {
            is_private: true,
            ..Channel::default()
        }
    }

    /// The octets of a channel binding that we can vouch for, by its registered name.
    pub(super) fn binding(&self, name: &str) -> Option<&[u8]> {
        match name {
            "tls-exporter" => self.exporter.as_ref().map(|octets| &octets[..]),
            "tls-server-end-point" => self.end_point.as_ref().map(EndPoint::octets),
            _ => None,
        }
    }

    fn is_bindable(&self) -> bool {
        self.exporter.is_some() || self.end_point.is_some()
    }

    fn allows(&self, mechanism: Mechanism, in_clear: bool) -> bool {
        match mechanism {
            Mechanism::ScramSha1Plus | Mechanism::ScramSha256Plus => self.is_bindable(),
            Mechanism::External => self.is_certified,
            Mechanism::ScramSha1 | Mechanism::ScramSha256 => true,
            _ => self.is_private || in_clear,
        }
    }
}

impl EndPoint {
    /// SHA-512 has as many.
    const OCTETS_MAX: usize = 64;

    /// `None` where no hash is so long.
    #[must_use]
    pub fn new(hash: &[u8]) -> Option<EndPoint> {
        let mut octets = [0; EndPoint::OCTETS_MAX];
        octets.get_mut(..hash.len())?.copy_from_slice(hash);
        let length = u8::try_from(hash.len()).ok()?;
        Some(EndPoint { octets, length })
    }

    fn octets(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

impl Offer {
    /// Of what the house offers, what this channel allows; `in_clear`: passwords may be read along.
    #[must_use]
    pub fn new(house: &[Mechanism], channel: Channel, in_clear: bool) -> Offer {
        let allowed = |mechanism: &&Mechanism| channel.allows(**mechanism, in_clear);
        Offer {
            mechanisms: house.iter().filter(allowed).copied().collect(),
            channel,
        }
    }

    /// In the order of the announcement.
    pub fn mechanisms(&self) -> impl Iterator<Item = Mechanism> {
        self.mechanisms.iter().copied()
    }

    /// The mechanism of that name, if it is offered.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<Mechanism> {
        Mechanism::from_name(name).filter(|known| self.mechanisms.contains(known))
    }

    /// May a password come without SASL, by LOGIN of IMAP or PASS of POP3?
    #[must_use]
    pub fn takes_passwords(&self) -> bool {
        let shown = [Mechanism::Plain, Mechanism::Login];
        self.mechanisms
            .iter()
            .any(|offered| shown.contains(offered))
    }

    /// Begins an exchange of a mechanism that was found here.
    #[must_use]
    pub fn start<A>(&self, mechanism: Mechanism) -> Exchange<A> {
        let state = match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Login => State::Login(plain::Login::AwaitIdentity),
            Mechanism::ScramSha1 => self.scram(scram::Hash::Sha1, false),
            Mechanism::ScramSha1Plus => self.scram(scram::Hash::Sha1, true),
            Mechanism::ScramSha256 => self.scram(scram::Hash::Sha256, false),
            Mechanism::ScramSha256Plus => self.scram(scram::Hash::Sha256, true),
            Mechanism::External => State::External,
            Mechanism::OAuthBearer => State::Token(token::Form::OAuthBearer),
            Mechanism::XOAuth2 => State::Token(token::Form::XOAuth2),
        };
        Exchange { state }
    }

    fn scram<A>(&self, hash: scram::Hash, is_bound: bool) -> State<A> {
        let binds = |mechanism: &Mechanism| matches!(mechanism.scram(), Some((_, true)));
        let bindings = match (is_bound, self.mechanisms.iter().any(binds)) {
            (true, _) => scram::Bindings::Demanded(self.channel),
            (false, true) => scram::Bindings::Announced,
            (false, false) => scram::Bindings::None,
        };
        State::Scram(Box::new(scram::Server::new(hash, bindings)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(channel: Channel, in_clear: bool) -> Vec<&'static str> {
        let offer = Offer::new(&Mechanism::ALL, channel, in_clear);
        offer.mechanisms().map(Mechanism::name).collect()
    }

    #[test]
    fn only_what_can_work_is_offered() {
        let clear = Channel::default();
        assert_eq!(names(clear, false), ["SCRAM-SHA-256", "SCRAM-SHA-1"]);
        assert!(names(clear, true).contains(&"PLAIN"));
        assert!(!names(clear, true).contains(&"EXTERNAL"));
        let private = names(Channel::private(), false);
        assert!(private.contains(&"OAUTHBEARER") && private.contains(&"LOGIN"));
        assert!(!private.contains(&"SCRAM-SHA-256-PLUS"));
        let bound = Channel {
            exporter: Some([1; 32]),
            is_certified: true,
            ..Channel::private()
        };
        assert_eq!(names(bound, false).len(), Mechanism::ALL.len());
    }

    #[test]
    fn what_is_not_offered_is_not_found() {
        let offer = Offer::new(&Mechanism::ALL, Channel::default(), false);
        assert_eq!(offer.find(b"PLAIN"), None);
        assert_eq!(offer.find(b"scram-sha-256"), Some(Mechanism::ScramSha256));
        assert!(!offer.takes_passwords());
        let house = [Mechanism::ScramSha256, Mechanism::OAuthBearer];
        assert!(!Offer::new(&house, Channel::private(), false).takes_passwords());
    }
}
