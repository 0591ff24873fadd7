//! Two-way synchronisation as a law, whatever program does it: what one side changed is on both
//! afterwards, what either side removed is on neither, and nothing else happens.
//!
//! ```text
//! model   what must be there, and what a round does to it   maildir  the side of the program
//! mbsync, offlineimap, interimap  the programs              far      our side
//! ```
//!
//! A round changes both sides at once, so that the changes conflict: one message gets other flags
//! here and there, is removed here and flagged there, or moved here and removed there.

mod far;
mod interimap;
mod maildir;
mod mbsync;
mod model;
mod offlineimap;

use far::Far;
use model::{Change, Messages, Model, Side};
use tests::peer::peer;
use tests::seed::{Seed, number_from_env};
use tests::server::Server;

/// A program that keeps something in step with an account of ours.
trait Program {
    /// What it keeps.
    fn near(&self, server: &Server) -> Box<dyn Holder>;

    /// Runs it to its end; panics with what it said when it fails.
    fn run(&self);

    /// Whether it looks at each flag when both sides changed those of a message.
    fn merges_flags(&self) -> bool {
        true
    }
}

/// Mailboxes with messages that can be changed without the program's knowledge.
trait Holder {
    fn apply(&mut self, change: &Change);

    /// The messages of a mailbox; their octets are checked.
    fn picture(&mut self, mailbox: &str) -> Messages;
}

/// A server of its own for the program `name`, where that is installed, and so many rounds with it.
fn settles<P: Program>(
    name: &str,
    start: impl FnOnce(&Server) -> P,
    count: u64,
    seed: u64,
) -> Option<(Server, P)> {
    peer(name)?;
    let mut server = Server::usual();
    let program = start(&server);
    rounds(&mut server, &program, count, &mut Seed::from_env(seed));
    Some((server, program))
}

/// So many rounds under one seed, the server killed now and then, and each round compared.
fn rounds(server: &mut Server, program: &dyn Program, rounds: u64, seed: &mut Seed) {
    let mut model = Model::with(&["INBOX", "Work"], 12, seed);
    let mut far = Far::open(server);
    far.build(&model);
    program.run();
    let mut near = program.near(server);
    compare(&model, &mut far, &mut *near, "the first run");
    for round in 0..number_from_env("RINGPOST_SYNC_ROUNDS", rounds) {
        let changes = model.draw(round, program.merges_flags(), seed);
        for change in &changes {
            match change.side {
                Side::Near => near.apply(change),
                Side::Far => far.apply(change),
            }
        }
        model.settle(&changes);
        if seed.below(4) == 0 {
            server.kill_and_restart();
            (far, near) = (Far::open(server), program.near(server));
        }
        program.run();
        compare(
            &model,
            &mut far,
            &mut *near,
            &format!("round {round}: {changes:#?}"),
        );
    }
    let settled = far.marks(&model);
    program.run();
    assert_eq!(
        far.marks(&model),
        settled,
        "a run with nothing to do does nothing"
    );
}

/// Names, flags and octets of every message, on both sides.
fn compare(model: &Model, far: &mut Far, near: &mut dyn Holder, when: &str) {
    for (mailbox, messages) in model.mailboxes() {
        assert_eq!(
            &far.picture(mailbox),
            messages,
            "far {mailbox} after {when}"
        );
        assert_eq!(
            &near.picture(mailbox),
            messages,
            "near {mailbox} after {when}"
        );
    }
}
