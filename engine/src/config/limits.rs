//! The bounds that an operator may move: the table `[limits]`, each with its default and its range.
//!
//! Sizes are octets, times are seconds. Bounds that nobody needs to move are constants of the room
//! that they protect.

use super::quantity::show_size;
use super::raw::{Notes, Section};
use store::limit::{
    CHECKPOINT_LOG_BYTES, CHECKPOINT_SECS_MAX, LOG_KEPT_BYTES, SEGMENT_BYTES, STORY_BYTES_MAX,
    STORY_SECS_MAX,
};

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $kind:ident($default:expr, $from:expr, $to:expr),)*) => {
        /// Named maxima; see each for its unit.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct Limits {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Default for Limits {
            fn default() -> Limits {
                Limits { $($name: $default,)* }
            }
        }

        impl Limits {
            pub(super) fn read(section: &mut Section<'_, '_>, notes: &mut Notes) -> Limits {
                Limits {
                    $($name: section
                        .$kind(notes, stringify!($name), $from, $to)
                        .map_or($default, |found| found.value),)*
                }
            }

            /// Name and value of every limit, as text, in the order of this page.
            #[must_use]
            pub fn each(&self) -> Vec<(&'static str, String)> {
                vec![$((stringify!($name), limits!(@show $kind self.$name)),)*]
            }
        }

        $(const _: () = assert!(is_within($from, $default, $to));)*
    };
    (@show size $value:expr) => { show_size($value) };
    (@show number $value:expr) => { $value.to_string() };
}

limits! {
    /// Octets of one message; announced as SIZE (RFC 1870) and APPENDLIMIT (RFC 7889).
    message_bytes_max: size(50 << 20, 64 << 10, store::limit::MESSAGE_BYTES_MAX),
    /// RCPT TO in one transaction. RFC 5321 §4.5.3.1.8: at least 100.
    recipients_max: number(1_000, 100, store::limit::RECIPIENTS_MAX as u64),
    /// Received headers that a message may carry. RFC 5321 §6.3: normally at least 100.
    hops_max: number(100, 10, 1_000),

    /// Connections open at one time, all listeners of one shard together.
    connections_max: number(20_000, 10, 10_000_000),
    /// Connections of one IPv4 address or one IPv6 /64 to one shard; loopback is not counted.
    connections_per_address_max: number(256, 1, 10_000_000),

    /// Connections of one account, of each protocol, all shards together.
    connections_per_account_max: number(200, 1, 1_000_000),

    /// The PROXY header, where a listener has `proxy`.
    proxy_header_secs_max: number(10, 1, 300),
    /// Silence before a command, SMTP and LMTP. RFC 5321 §4.5.3.2.7: at least 5 minutes.
    smtp_idle_secs_max: number(300, 5, 3_600),
    /// Silence within DATA and BDAT. RFC 5321 §4.5.3.2.5: 3 minutes.
    smtp_data_idle_secs_max: number(180, 5, 3_600),
    /// One whole SMTP or LMTP connection, so that nobody keeps one by a drop of octets a minute.
    smtp_connection_secs_max: number(7_200, 60, 86_400),
    /// From the first octet to the end of login, submission.
    submission_login_secs_max: number(300, 5, 7_200),
    /// From the first octet to the end of login, IMAP.
    imap_login_secs_max: number(60, 5, 3_600),
    /// Silence of a logged-in client. RFC 9051 §5.4: at least 30 minutes.
    imap_idle_secs_max: number(1_800, 60, 86_400),
    /// From the first octet to the end of login, POP3.
    pop3_login_secs_max: number(60, 5, 3_600),
    /// Silence of a logged-in client, which has the maildrop for itself. RFC 1939 §3: at least 10
    /// minutes.
    pop3_idle_secs_max: number(600, 60, 86_400),
    /// Messages that one IMAP command works on; announced as MESSAGELIMIT (RFC 9738) where it is
    /// lower than what a mailbox can hold.
    imap_messages_max: number(u32::MAX as u64, 1_000, u32::MAX as u64),
    /// The TLS handshake.
    tls_handshake_secs_max: number(30, 1, 600),
    /// How long a peer may refuse to read what we send.
    write_secs_max: number(120, 5, 3_600),
    /// From SIGTERM to the end, for dialogues that are under way.
    drain_secs_max: number(30, 1, 3_600),

    /// Wrong commands in one connection before it is closed.
    wrong_commands_max: number(20, 1, 10_000),
    /// Failed logins in one connection before it is closed.
    login_failures_max: number(5, 1, 1_000),
    /// Failed logins remembered of one address before it is refused for a while.
    login_failures_per_address_max: number(30, 5, 100_000),
    /// Failed logins remembered of one IPv4 /24 or IPv6 /48 before it is refused for a while.
    login_failures_per_network_max: number(500, 50, 1_000_000),
    /// Threads that check passwords.
    login_threads: number(2, 1, 64),
    /// Password checks that wait for a thread; the next one gets a temporary failure.
    login_queue_max: number(1_024, 1, 100_000),

    /// From one checkpoint of a shard to the next while mail comes in; a start replays what came
    /// after the last one.
    checkpoint_secs_max: number(CHECKPOINT_SECS_MAX, 1, 3_600),
    /// What is written to a shard's log before the next checkpoint, whatever the time.
    checkpoint_log_bytes_max: size(CHECKPOINT_LOG_BYTES, 1 << 20, 1 << 30),
    /// The newest mail that a shard keeps in its log, where it is read without unpacking; what is
    /// older is moved to compressed packs. Up to four times as much waits for a quieter time while
    /// the shard is busy and sixteen times as much is free on its disk.
    log_kept_bytes_max: size(LOG_KEPT_BYTES, 1 << 20, 1 << 50),
    /// What a shard keeps on disk of the stories of mail that left its log, for `ringpostctl
    /// trace`; 0: nothing.
    story_bytes_max: size(STORY_BYTES_MAX, 0, 1 << 50),
    /// How long it keeps them.
    story_secs_max: number(STORY_SECS_MAX, 0, 10 * 366 * 86_400),
    /// One segment of a log, written with zeros before use; a shard has two at least. Read at the
    /// start, for segments that are made from then on.
    log_segment_bytes: size(SEGMENT_BYTES, 16 << 20, 4 << 30),
}

const fn is_within(from: u64, value: u64, to: u64) -> bool {
    from <= value && value <= to
}

#[cfg(test)]
mod tests {
    use super::Limits;

    #[test]
    fn shows_each_limit_with_its_unit() {
        let shown = Limits::default().each();
        assert!(shown.contains(&("message_bytes_max", "50 MiB".to_owned())));
        assert!(shown.contains(&("recipients_max", "1000".to_owned())));
    }
}
