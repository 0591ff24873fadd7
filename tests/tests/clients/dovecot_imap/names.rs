//! Commands on names: a few below the other mailbox of the session, made, moved and listed.

use super::commands::Knowledge;
use tests::seed::Seed;

pub(super) fn any(seed: &mut Seed, known: &Knowledge) -> String {
    let root = &known.other;
    let mut name = || format!("{root}/{}", seed.pick(NAMES));
    let (one, other) = (name(), name());
    match seed.below(16) {
        0..3 => format!("CREATE {one}"),
        3 => format!("CREATE {one}/"),
        4 => format!("DELETE {one}"),
        5 => format!("RENAME {one} {other}"),
        6 => format!("SUBSCRIBE {one}"),
        7 => format!("UNSUBSCRIBE {one}"),
        8 => format!("LSUB \"\" {root}/{}", seed.pick(&["*", "%", "a*", "%/%"])),
        9 | 10 => format!(
            "LIST \"\" {root}/{}",
            seed.pick(&["*", "%", "a*", "%/%", "b/%", "a"])
        ),
        11 => format!("LIST {root}/ {}", seed.pick(&["*", "%", "a", "\"\""])),
        12 | 13 => extended(seed, root),
        _ => status(seed, &one, known),
    }
}

fn extended(seed: &mut Seed, root: &str) -> String {
    let select = *seed.pick(&[
        "",
        "(SUBSCRIBED) ",
        "(SUBSCRIBED RECURSIVEMATCH) ",
        "(REMOTE) ",
        "()",
    ]);
    let patterns = *seed.pick(&["%", "*", "a", "b/%"]);
    let options = *seed.pick(&[
        "CHILDREN",
        "SUBSCRIBED",
        "CHILDREN SUBSCRIBED",
        "STATUS (MESSAGES UNSEEN UIDNEXT)",
        "",
    ]);
    let select = if select == "()" { "() " } else { select };
    format!("LIST {select}\"\" ({root}/{patterns}) RETURN ({options})")
}

fn status(seed: &mut Seed, name: &str, known: &Knowledge) -> String {
    let all = [
        "MESSAGES",
        "UIDNEXT",
        "UIDVALIDITY",
        "UNSEEN",
        "SIZE",
        "HIGHESTMODSEQ",
    ];
    let mut items: Vec<&str> = all.into_iter().filter(|_| seed.below(2) == 0).collect();
    if items.is_empty() {
        items.push("MESSAGES");
    }
    let name = match seed.below(3) {
        0 => name,
        1 => &known.mailbox,
        _ => &known.other,
    };
    format!("STATUS {name} ({})", items.join(" "))
}

const NAMES: &[&str] = &["a", "b", "c", "d", "a1", "c&AOQ-"];
