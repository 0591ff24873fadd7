//! Whatever octets come, in whatever pieces: no panic, and the same answer.

use proptest::prelude::*;

use super::fuzz_mime;
use super::part::Structure;
use super::scan::Scanner;

/// Fragments that make structure likely.
const FRAGMENTS: [&str; 26] = [
    "\r\n",
    "\n",
    "\r",
    "--",
    "--b",
    "--b--",
    "--bb\r\n",
    "\r\n--b\r\n",
    "\r\n\r\n",
    " ",
    "\t",
    "x",
    "é",
    "Content-Type: multipart/mixed; boundary=b\r\n",
    "Content-Type: message/rfc822\r\n\r\n",
    "content-type: multipart/digest; boundary=\"bb\"\n",
    "Subject: =?utf-8?q?=C3=A9?=\r\n",
    "To: \"a\" <b@c>, G: d@e;\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    "=3D=\r\n",
    "aGFsbG8=",
    "Content-Disposition: attachment; f*0*=utf-8''%41; f*1=b; f*3=c\r\n",
    "(",
    "\"",
    "<",
    ":",
];

fn message() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        20 => proptest::sample::select(&FRAGMENTS[..]).prop_map(|f| f.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => (1..700_usize).prop_map(|n| vec![b'-'; n]),
    ];
    proptest::collection::vec(fragment, 0..40).prop_map(|f| f.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_octets_hold_what_fuzz_mime_asks(step in any::<u8>(), mut message in message()) {
        message.insert(0, step);
        fuzz_mime(&message);
    }

    #[test]
    fn every_split_in_two_gives_the_same_structure(message in message()) {
        let whole = Structure::of(&message);
        for at in 0..=message.len().min(400) {
            let mut scanner = Scanner::new();
            scanner.feed(&message[..at]);
            scanner.feed(&message[at..]);
            prop_assert_eq!(&scanner.finish(), &whole, "cut at {}", at);
        }
    }
}
