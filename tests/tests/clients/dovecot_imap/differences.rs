//! Where we answer otherwise than Dovecot and are right: each by name, with the clause for it.
//!
//! A difference either maps the lines of both, or explains a whole case.

/// One command and the lines that only one of the two answered.
pub(super) struct Case<'a> {
    /// In capitals.
    pub(super) command: &'a str,
    pub(super) ours: &'a [String],
    pub(super) theirs: &'a [String],
    pub(super) is_read_only: bool,
    /// The name of the message, where one after the other is described.
    pub(super) message: &'a str,
}

/// A difference that stands.
pub(super) struct Difference {
    pub(super) name: &'static str,
    pub(super) clause: &'static str,
    is_it: fn(&Case) -> bool,
}

/// A difference in how the same is said.
pub(super) struct Spelling {
    pub(super) name: &'static str,
    pub(super) clause: &'static str,
    plain: fn(&str) -> String,
}

/// What explains the case: one difference all of it, or one each its items.
pub(super) fn known(case: &Case) -> Option<&'static str> {
    whole(case).or_else(|| {
        let item = |line: &String| halves(line).map(|(item, _)| item.to_owned());
        let of_item = |ours: &String| {
            let mut theirs = case.theirs.iter();
            let theirs =
                theirs.find(|theirs| item(ours).is_some() && item(theirs) == item(ours))?;
            whole(&Case {
                ours: std::slice::from_ref(ours),
                theirs: std::slice::from_ref(theirs),
                ..*case
            })
        };
        let names: Option<Vec<_>> = case.ours.iter().map(of_item).collect();
        names
            .filter(|_| case.ours.len() == case.theirs.len())?
            .pop()
    })
}

/// A difference without a law behind it is a fault of ours.
#[test]
fn each_has_its_law() {
    let spelled = SPELLINGS.iter().map(|one| (one.name, one.clause));
    let standing = DIFFERENCES.iter().map(|one| (one.name, one.clause));
    let broken = BROKEN.iter().map(|one| (one.name, one.clause));
    for (name, clause) in spelled.chain(standing).chain(broken) {
        assert!(
            !name.is_empty() && clause.starts_with("RFC "),
            "{name}: {clause}"
        );
    }
}

fn whole(case: &Case) -> Option<&'static str> {
    let found = DIFFERENCES.iter().find(|one| (one.is_it)(case));
    let broken = || BROKEN.iter().find(|one| one.explains(case));
    found
        .map(|one| one.name)
        .or_else(|| broken().map(|one| one.name))
}

/// A line without what the two spell differently.
pub(super) fn plain(line: &str) -> String {
    let mut line = line.to_owned();
    for spelling in SPELLINGS {
        line = (spelling.plain)(&line);
    }
    line
}

impl Case<'_> {
    fn starts(&self, words: &[&str]) -> bool {
        let behind = self.command.strip_prefix("UID ").unwrap_or(self.command);
        words.iter().any(|word| behind.starts_with(word))
    }

    /// The tagged lines, where they differ.
    fn conditions(&self) -> (&str, &str) {
        fn of(lines: &[String]) -> &str {
            let is_tagged = |line: &&String| !line.starts_with('*');
            lines.iter().find(is_tagged).map_or("", String::as_str)
        }
        (of(self.ours), of(self.theirs))
    }

    /// Whether each line of ours has one of theirs for the same item, and all such pairs pass.
    fn pairs(&self, passes: fn(item: &str, ours: &str, theirs: &str) -> bool) -> bool {
        let same = |ours: &String, theirs: &String| {
            let (ours, theirs) = (halves(ours), halves(theirs));
            ours.is_some() && ours.map(|(item, _)| item) == theirs.map(|(item, _)| item)
        };
        self.ours.len() == self.theirs.len()
            && self.ours.iter().all(|ours| {
                let theirs = self.theirs.iter().find(|theirs| same(ours, theirs));
                let (Some((item, ours)), Some((_, theirs))) =
                    (halves(ours), theirs.and_then(|theirs| halves(theirs)))
                else {
                    return false;
                };
                passes(item, ours, theirs)
            })
    }
}

/// An ESEARCH without the first and the last of an order.
fn without_ends(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let is_end = |at: usize| ["MIN", "MAX"].contains(&words[at]);
    let kept = (0..words.len()).filter(|at| !(is_end(*at) || *at > 0 && is_end(at - 1)));
    let kept: Vec<&str> = kept.map(|at| words[at]).collect();
    kept.join(" ")
}

/// A quoted text without the line end at its end.
fn without_line_end(quoted: &str) -> String {
    match quoted.strip_suffix("\\r\\n\"") {
        Some(rest) => format!("{rest}\""),
        None => quoted.to_owned(),
    }
}

/// Whether the line of an item gives octets from an origin on.
fn item_is_partial(line: &str) -> bool {
    halves(line).is_some_and(|(item, _)| item.contains("]<"))
}

/// `* 3 ITEM` and its value; names of sections may hold spaces.
fn halves(line: &str) -> Option<(&str, &str)> {
    let behind = line.strip_prefix("* ")?;
    let space = behind.match_indices(' ').nth(1).map(|(at, _)| at)?;
    let start = match behind[..space].contains('[') {
        true => behind.find(']')?,
        false => space,
    };
    let end = start + behind[start..].find(' ')?;
    Some((&behind[..end], &behind[end + 1..]))
}

const SPELLINGS: &[Spelling] = &[
    Spelling {
        name: "a charset that the message does not name",
        clause: "RFC 6657 §3: the default depends on the subtype, and is not to be made up",
        plain: |line| match line.contains(" BODY") {
            true => line
                .replace(" \"charset\" \"us-ascii\"", "")
                .replace("(\"charset\" \"us-ascii\")", "nil"),
            false => line.to_owned(),
        },
    },
    Spelling {
        name: "one language, no description, and a tab where a line was folded",
        clause: "RFC 9051 §9: body-fld-lang is a string or a list, body-fld-desc a nstring",
        plain: |line| match line.contains(" BODY") && !line.contains(" BODY[") {
            true => line
                .replace("(\"en\")", "\"en\"")
                .replace("\"\"", "nil")
                .replace("\\t", " "),
            false => line.to_owned(),
        },
    },
    Spelling {
        name: "an address without a domain",
        clause: "RFC 9051 §7.5.2: only NIL as the host has a meaning; words made up have none",
        plain: |line| {
            line.replace("\"MISSING_DOMAIN\"", "\"\"")
                .replace("\"MISSING_MAILBOX\"", "\"\"")
                // In a structure, which is in small letters and knows no empty string.
                .replace("\"missing_domain\"", "nil")
                .replace("\"missing_mailbox\"", "nil")
        },
    },
    Spelling {
        name: "a field name in quotes that needs none",
        clause: "RFC 9051 §9: header-fld-name is an astring",
        plain: |line| match line.split_once(']') {
            Some((item, value)) if item.contains("HEADER.FIELDS") => {
                format!("{}]{value}", item.replace('"', ""))
            }
            _ => line.to_owned(),
        },
    },
];

/// Messages that break their standards, by what they break: only these items may differ.
pub(super) struct Broken {
    name: &'static str,
    clause: &'static str,
    messages: &'static [&'static str],
    /// Beginnings of item names.
    items: &'static [&'static str],
}

impl Broken {
    fn explains(&self, case: &Case) -> bool {
        let is_item = |line: &String| {
            let item = halves(line).and_then(|(item, _)| item.split(' ').nth(1));
            item.is_some_and(|item| self.items.iter().any(|known| item.starts_with(known)))
        };
        self.messages.contains(&case.message) && case.ours.iter().chain(case.theirs).all(is_item)
    }
}

const BROKEN: &[Broken] = &[
    Broken {
        name: "a field that is there twice: the last holds, to Dovecot the first",
        clause: "RFC 2045 §3: at most once; which of two holds is nobody's rule",
        messages: &[
            "mime-tools__04603dd8__double-content-type.msg",
            "mime-tools__11fed31f__double-content-id.msg",
            "mime-tools__1d6feb41__double-content-transfer-encoding.msg",
            "mime-tools__f75c1a21__double-content-disposition.msg",
        ],
        items: &["BODY"],
    },
    Broken {
        name: "a multipart without any of its boundaries is a text, to Dovecot one empty part",
        clause: "RFC 2046 §5.1.1: it has a part at least; RFC 2045 §5.2: what is not sound is text",
        messages: &[
            "cpython__2d14ccba__msg_25.txt",
            "cpython__3a7b332d__msg_42.txt",
            "cpython__6bb24647__msg_17.txt",
            "cpython__77c1aee5__msg_41.txt",
            "cpython__bc098c97__msg_31.txt",
        ],
        items: &["BODY", "BINARY"],
    },
    Broken {
        name: "a type that cannot be read is text/plain, to Dovecot none",
        clause: "RFC 2045 §5.2: the default, also where the field is not valid",
        messages: &[
            "cpython__8ffdf0eb__msg_14.txt",
            "mime-tools__93694a3e__malformed-content-type-zip.msg",
            "mime-tools__dd1eead6__multi-digest.msg",
        ],
        items: &["BODY", "BODYSTRUCTURE"],
    },
    Broken {
        name: "a boundary in the extended form, which Dovecot does not read",
        clause: "RFC 2231 §4: any parameter may be written so",
        messages: &["cpython__79e5f2b1__msg_33.txt"],
        items: &["BODY", "BINARY"],
    },
    Broken {
        name: "a line that goes on with no field is of no field, to Dovecot one without a name",
        clause: "RFC 5322 §2.2: a field begins with its name",
        messages: &["a space line first"],
        items: &["BODY[HEADER.FIELDS.NOT"],
    },
];

/// Commands that Dovecot takes and the grammar does not have: BAD (RFC 9051 §7.1.3), by the rule.
pub(super) const LAX: &[(&str, &[&str])] = &[
    (
        "RFC 9051 §9: no argument and no space where the grammar has none",
        &[
            "NOOP 1",
            "EXPUNGE 1",
            "NAMESPACE X",
            "CAPABILITY X",
            "CHECK X",
            "CLOSE X",
            "UNSELECT X",
            "COPY 1 INBOX INBOX",
            "CREATE A B",
            "FETCH  1 FLAGS",
            "FETCH 1  FLAGS",
            "FETCH 1 (FLAGS  UID)",
            "FETCH 1 (FLAGS UID )",
            "FETCH 1 ( FLAGS)",
        ],
    ),
    (
        "RFC 9051 §9, RFC 2971 §3.1: an argument where the grammar has one",
        &[
            "STORE 1 FLAGS",
            "SELECT INBOX ()",
            "ENABLE",
            "ID",
            "ID X",
            "ID (\"A\")",
            "LIST \"\" ()",
            "FETCH 1, FLAGS",
        ],
    ),
    (
        "RFC 9051 §9, partial and section: an origin and a count above zero, parts from 1",
        &[
            "FETCH 1 BODY[]<0>",
            "FETCH 1 BODY[]<0.0>",
            "FETCH 1 BODY[0]",
            "FETCH 1 BINARY[HEADER]",
            "FETCH 1 BINARY[1.MIME]",
            "FETCH 1 BINARY.SIZE[1]<0.1>",
        ],
    ),
    (
        "RFC 9051 §9, date, date-time, flag-keyword, quoted: what is none of these",
        &[
            "SEARCH BEFORE 32-JAN-2021",
            "APPEND INBOX \"32-JAN-2021 00:00:00 +0000\" {1+}\r\nA",
            "SEARCH KEYWORD \\SEEN",
            "SEARCH SUBJECT \"A\\B\"",
        ],
    ),
    (
        "RFC 9051 §5.1, §9: list wildcards are in no atom, and & begins modified UTF-7",
        &[
            "CREATE A*B",
            "CREATE &",
            "CREATE &AGE-",
            "CREATE &JJO-&JJO-",
        ],
    ),
];

/// Keys that set a limit.
const LIMITS: &[&str] = &[
    "BEFORE",
    "SINCE",
    "SENTBEFORE",
    "SENTSINCE",
    "LARGER",
    "SMALLER",
    "OLDER",
    "YOUNGER",
];

/// Criteria that are texts.
const TEXTS: &[&str] = &["CC", "FROM", "SUBJECT", "TO", "DISPLAY"];

const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "what changes nothing in a mailbox that cannot be changed says so",
        clause: "RFC 9051 §6.4.3, §6.4.6: NO where it cannot expunge or store; Dovecot ignores it",
        is_it: |case| {
            let is_change = case.starts(&["STORE ", "EXPUNGE", "MOVE "]);
            let (ours, theirs) = case.conditions();
            // Of two faults either may be told.
            let is_other = theirs.starts_with("OK") || theirs == "BAD";
            is_change && case.is_read_only && ours == "NO" && is_other
        },
    },
    Difference {
        name: "the root of a name that has none is nothing",
        clause: "RFC 9051 §6.3.9: the root may be empty if the reference is non-rooted",
        is_it: |case| {
            let of = |lines: &[String]| match lines {
                [line] => line
                    .strip_prefix("* LIST (\\Noselect) \"/\" ")
                    .map(str::to_owned),
                _ => None,
            };
            let is_question = case.command.starts_with("LIST ") && case.command.ends_with(" \"\"");
            let root = of(case.theirs).filter(|root| case.command.contains(&root.to_uppercase()));
            is_question
                && root.is_some()
                && of(case.ours).is_some_and(|root| root.trim().is_empty())
        },
    },
    Difference {
        name: "equal texts are equal, and what comes next decides",
        clause: "RFC 5256 §3: the next criterion; Dovecot keeps numbers for texts, and gives those \
                 that come later others now and then; what it has not kept is compared in `order`",
        is_it: |case| {
            let is_text = TEXTS.iter().any(|text| case.command.contains(text));
            let is_sort = case.starts(&["SORT "]) && is_text;
            let is_thread = case.starts(&["THREAD ORDEREDSUBJECT"]);
            let numbers = |lines: &[String]| {
                let text = lines
                    .iter()
                    .map(|line| without_ends(line))
                    .collect::<String>();
                let words = text.split([' ', ',', '(', ')']).map(str::to_owned);
                let mut words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
                words.sort_unstable();
                words
            };
            (is_sort || is_thread) && numbers(case.ours) == numbers(case.theirs)
        },
    },
    Difference {
        name: "keys that Dovecot shortens to what they do not mean",
        clause: "RFC 9051 §6.4.4: NOT, OR and AND. Of two limits it keeps the wrong one under NOT; \
                 where all messages are seen or deleted it forgets the other side of OR; above the \
                 highest MODSEQ it forgets NOT",
        is_it: |case| {
            let words = || case.command.split([' ', '(', ')', '\r', '\n']);
            let has = |keys: &[&str]| words().any(|word| keys.contains(&word));
            let is_twice = |key: &&str| words().filter(|word| word == key).count() > 1;
            has(&["NOT"]) && (LIMITS.iter().any(is_twice) || has(&["MODSEQ"]))
                || has(&["OR"]) && has(&["SEEN", "UNSEEN", "DELETED", "UNDELETED"])
        },
    },
    Difference {
        name: "SAVE alone tells nothing",
        clause: "RFC 9051 §6.4.4.1: it is for later; Dovecot tells what MODSEQ added to it",
        is_it: |case| {
            let is_empty = |line: &String| {
                let told = line.strip_prefix("* ESEARCH");
                told.is_some_and(|told| {
                    told.replace("UID", "")
                        .replace("MODSEQ given", "")
                        .trim()
                        .is_empty()
                })
            };
            let is_alone = case.command.contains("RETURN (SAVE) ") && case.ours.is_empty();
            is_alone && case.theirs.iter().all(is_empty)
        },
    },
    Difference {
        name: "the line end behind fields that are not there begins with CR",
        clause: "RFC 9051 §6.4.5: the second octet of it is LF; Dovecot counts from its cache",
        is_it: |case| {
            case.pairs(|item, ours, theirs| {
                let is_part = item.contains("HEADER.FIELDS") && item.contains("]<");
                is_part && ours == "\"\\n\"" && theirs == "\"\\r\""
            })
        },
    },
    Difference {
        name: "a name may be subscribed to before it exists",
        clause: "RFC 9051 §6.3.7: a server may validate the name; a client may come back to it",
        is_it: |case| case.command.starts_with("SUBSCRIBE ") && case.conditions() == ("OK", "NO"),
    },
    Difference {
        name: "no % and no * in a name",
        clause: "RFC 9051 §5.1: a name that LIST takes for a pattern should not be made",
        is_it: |case| case.command == "CREATE \"A%B\"",
    },
    Difference {
        name: "a target that is not there is told, whatever there is to copy",
        clause: "RFC 9051 §6.4.7: if the destination mailbox does not exist, an error is returned",
        is_it: |case| {
            let is_asked = case.starts(&["COPY ", "MOVE "]) && case.command.contains(" NOWHERE");
            is_asked && case.conditions().0.starts_with("NO")
        },
    },
    Difference {
        name: "\\Recent is nobody's to set, and asking for it asks for nothing",
        clause: "RFC 9051 §2.3.2: \\Recent is obsolete; an unknown flag may be ignored",
        is_it: |case| case.command.contains("FLAGS (\\RECENT)"),
    },
    Difference {
        name: "white space in a folded or spaced field",
        clause: "RFC 5322 §2.2.3: unfolding takes away line ends and nothing else",
        is_it: |case| {
            case.pairs(|item, ours, theirs| {
                let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
                let is_told = ["ENVELOPE", " BODY", " BODYSTRUCTURE"];
                is_told.iter().any(|end| item.ends_with(end)) && words(ours) == words(theirs)
            })
        },
    },
    Difference {
        name: "the line end before a boundary belongs to the boundary, also behind an epilogue",
        clause: "RFC 2046 §5.1.1",
        is_it: |case| {
            case.pairs(|item, ours, theirs| {
                let quoted = ours.strip_suffix('"');
                let longer = quoted.map(|text| format!("{text}\\r\\n\""));
                let words = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
                let is_structure = item.ends_with(" BODY") || item.ends_with("STRUCTURE");
                longer.as_deref() == Some(theirs)
                    || item.ends_with("MIME]") && without_line_end(ours) == theirs
                    || is_structure && words(ours) == words(theirs)
            })
        },
    },
    Difference {
        name: "the size of a part is that of what BINARY gives, which is compared",
        clause: "RFC 3516 §4.2: the decoded size; Dovecot tells 2^64 - 7 for some",
        is_it: |case| case.pairs(|item, _, _| item.contains("BINARY.SIZE")),
    },
    Difference {
        name: "every message of STORE is told, changed or not",
        clause: "RFC 9051 §6.4.6: without .SILENT the new value is returned",
        is_it: |case| case.starts(&["STORE "]) && case.theirs.is_empty(),
    },
    Difference {
        name: "a part of a part that has none is nothing",
        clause: "RFC 9051 §6.4.5.1: only multipart and message parts have parts",
        is_it: |case| {
            case.pairs(|item, ours, _| {
                let part = item.split_once('[').map_or("", |(_, part)| part);
                (ours == "\"\"" || ours == "0") && part.contains(".1")
            })
        },
    },
    Difference {
        name: "what cannot be decoded is given as far as it can be",
        clause: "RFC 9051 §6.4.5: UNKNOWN-CTE is for an encoding that the server does not know",
        is_it: |case| {
            let (ours, theirs) = case.conditions();
            case.command.contains("BINARY") && ours == "OK" && theirs == "NO"
        },
    },
    Difference {
        name: "a part's own encoding is undone, not those of the parts in it",
        clause: "RFC 3516 §4.3: the section's Content-Transfer-Encoding",
        is_it: |case| {
            // Also where only a stretch of it is asked for.
            let is_whole = |text: &str| {
                let text = text.to_ascii_lowercase();
                let is_field = ["content-", "-encoding:"]
                    .iter()
                    .any(|part| text.contains(part));
                text.contains("content-type:") || item_is_partial(&text) && is_field
            };
            case.command.contains("BINARY")
                && case.ours.len() == case.theirs.len()
                && case
                    .ours
                    .iter()
                    .chain(case.theirs)
                    .all(|line| line.contains(" BINARY") && is_whole(line))
        },
    },
];
