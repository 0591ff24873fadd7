//! What a class of refusal means to a person, and what the person can do.

use super::class::Class;

impl Class {
    /// One sentence for the sender.
    #[must_use]
    pub fn explained(self) -> &'static str {
        match self {
            Class::BadMailbox => "There is no mailbox of this name there.",
            Class::InactiveMailbox => "The mailbox is there but is switched off.",
            Class::BadDomain => "There is no mail system for the part behind the @.",
            Class::Quota => "The mailbox is full.",
            Class::Greylisted => "The other mail system asks to come again later.",
            Class::RateLimited => "The other mail system takes no more mail for now.",
            Class::Reputation => "The other mail system does not trust this mail server.",
            Class::Spam => "The other mail system takes the message for spam.",
            Class::Authentication => {
                "The other mail system does not believe that the message comes from its sender."
            }
            Class::Policy => "A rule of the other mail system forbids the message.",
            Class::Content => "The other mail system does not take such content.",
            Class::Size => "The message is too large for the other mail system.",
            Class::Protocol => "The two mail systems did not understand each other.",
            Class::Tls => "The message could not be handed over in the privacy it needs.",
            Class::Dns => "The name service does not say where the mail has to go.",
            Class::Network => "The other mail system could not be reached.",
            Class::Loop => "The message goes in circles between mail systems.",
            Class::System => "The other mail system is out of order.",
            Class::Expired => "The message could not be handed over in the time it has.",
            Class::Suppressed => "This mail system sends nothing more to the address.",
            Class::Other => "The other mail system did not take the message.",
        }
    }

    /// What the sender can do about a failure.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Class::BadMailbox | Class::BadDomain => {
                "Look for a slip in the address, or ask the recipient for the right one."
            }
            Class::InactiveMailbox | Class::Quota => {
                "Reach the recipient in another way; only they can change this."
            }
            Class::Greylisted | Class::RateLimited | Class::System | Class::Expired => {
                "Send the message again later."
            }
            Class::Reputation | Class::Authentication | Class::Tls | Class::Protocol => {
                "Show this notice to those who look after your mail."
            }
            Class::Dns | Class::Network => {
                "Look at the part behind the @. If it is right, send the message again later."
            }
            Class::Spam => "Write it in other words, or reach the recipient in another way.",
            Class::Policy | Class::Other => {
                "Ask the recipient, or those who look after the other mail system."
            }
            Class::Content => "Leave attachments out, or pass them on in another way.",
            Class::Size => "Send it in parts, or pass the large files on in another way.",
            Class::Loop => "Show this notice to the recipient: a forwarding points back.",
            Class::Suppressed => {
                "Those who look after your mail can say why, and take the address off the list."
            }
        }
    }
}
