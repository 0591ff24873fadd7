//! Whatever a peer says, however it is cut: no panic, the same end, a fate for everybody.

use super::*;
use proptest::prelude::*;

/// How far a dialogue came, in words, when the peer says these segments; each is cut into pieces of
/// `step` octets, and the driver acts between them.
fn played(target: &Target, segments: &[Vec<u8>], step: usize) -> Vec<String> {
    let mut play = Play::new(target, StartTls::IfOffered);
    let mut log = Vec::new();
    let (mut is_begun, mut next) = (false, None);
    for segment in segments.iter().map(Some).chain([None]) {
        match segment {
            Some(segment) => segment
                .chunks(step.max(1))
                .for_each(|piece| play.input(Input::Octets(piece))),
            None => play.input(Input::Lost),
        }
        log.push(String::from_utf8_lossy(&std::mem::take(&mut play.out.octets)).into_owned());
        match play.out.wish.take() {
            None => {}
            Some(Wish::StartTls) => play.input(Input::Secured { is_verified: false }),
            Some(Wish::Derive(_)) => play.input(Input::Lost),
            Some(Wish::SendBody(_)) => {
                let letter = letter(2);
                play.input(Input::Next {
                    letter: &letter,
                    octets: 100,
                });
                next = Some(letter);
                play.input(Input::BodySent);
            }
            Some(Wish::Open) => {
                is_begun = true;
                assert!(play.dialogue.is_ready(), "an opening is open");
                play.begin(&letter(2));
            }
            Some(Wish::Settled(outcome)) => {
                assert_eq!(outcome.recipients.len(), 2);
                is_begun = play.dialogue.is_ready();
                log.extend(outcome.recipients.iter().map(shown));
                play.out = Output::default();
                if is_begun {
                    play.begin(&next.take().unwrap_or_else(|| letter(2)));
                }
            }
            Some(Wish::Failed(failure)) => log.push(failure.to_string()),
            Some(Wish::Close) => log.push(String::from("closed")),
        }
    }
    // The end of the stream settled what was open.
    if is_begun && let Some(Wish::Settled(outcome)) = play.out.wish.take() {
        log.extend(outcome.recipients.iter().map(shown));
    }
    assert!(play.dialogue.is_closed() || play.dialogue.transaction.is_some());
    log
}

fn words() -> impl Strategy<Value = Vec<u8>> {
    let known = prop_oneof![
        Just("220 x\r\n"),
        Just("250-x\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 STARTTLS\r\n"),
        Just("250-x\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=1\r\n"),
        Just("250 ok\r\n"),
        Just("250-2.0.0 ok\r\n"),
        Just("354 go\r\n"),
        Just("334 !\r\n"),
        Just("550 5.1.1 no\r\n"),
        Just("452 4.5.3 many\r\n"),
        Just("421 bye\r\n"),
        Just("235 in\r\n"),
        Just("250"),
        Just("\r\n"),
        Just("\0"),
    ];
    let random = proptest::collection::vec(any::<u8>(), 0..6);
    prop_oneof![8 => known.prop_map(|text| text.as_bytes().to_vec()), 1 => random]
}

proptest! {
    #[test]
    fn any_peer_is_survived_and_any_split_is_the_same(
        segments in proptest::collection::vec(
            proptest::collection::vec(words(), 1..4).prop_map(|words| words.concat()),
            1..14,
        ),
        is_lmtp in any::<bool>(),
        step in 1usize..12,
    ) {
        let target = if is_lmtp { lmtp() } else { target() };
        let whole = played(&target, &segments, usize::MAX);
        prop_assert_eq!(played(&target, &segments, step), whole);
    }
}

/// A good dialogue up to its end; the stream ends behind each of its octets.
#[test]
fn the_stream_may_end_behind_any_octet() {
    let segments = [
        "220 x\r\n",
        "250-x\r\n250 PIPELINING\r\n",
        "250 a\r\n250 b\r\n550 c\r\n354 d\r\n",
        "250 e\r\n",
    ];
    let octets: Vec<u8> = segments.concat().into_bytes();
    for end in 0..octets.len() {
        let mut left = end;
        let cut: Vec<Vec<u8>> = segments
            .iter()
            .map(|segment| {
                let piece = &segment.as_bytes()[..left.min(segment.len())];
                left -= piece.len();
                piece.to_vec()
            })
            .filter(|piece| !piece.is_empty())
            .collect();
        let log = played(&target(), &cut, usize::MAX).join("\n");
        assert!(!log.contains("Delivered"), "after {end} octets: {log}");
        let is_sent = end >= octets.len() - "250 e\r\n".len();
        assert_eq!(
            log.contains("Unknown"),
            is_sent,
            "after {end} octets: {log}"
        );
    }
}
