//! A request is read: JSON becomes an injection that was checked.

use super::super::hall::Hall;
use super::desk::Held;
use crate::inject::{Bounds, Injection, Principal, Problem, Request, check};
use crate::route::Directory;
use std::sync::Arc;

/// Reads and checks a request: a large one on a thread that serves no connection, because it takes
/// tenths of a second.
pub(super) async fn read(
    hall: &Hall,
    body: &mut Held,
    principal: &Principal,
    bounds: Bounds,
) -> Result<Arc<Injection<'static>>, Problem> {
    let directory = hall.live.directory.load_full();
    if body.octets.len() <= LARGE_BYTES {
        return read_now(&body.octets, principal, &directory, &bounds);
    }
    let (octets, principal) = (std::mem::take(&mut body.octets), principal.clone());
    let work = move || {
        let read = read_now(&octets, &principal, &directory, &bounds);
        (octets, read)
    };
    let (octets, read) = hall.logins.offload(work).await.map_err(|_| crowded())?;
    body.octets = octets;
    read
}

fn read_now(
    octets: &[u8],
    principal: &Principal,
    directory: &Directory,
    bounds: &Bounds,
) -> Result<Arc<Injection<'static>>, Problem> {
    let request = Request::read(octets)?;
    let injection = check(request, principal, directory, bounds)?;
    Ok(Arc::new(injection.into_owned()))
}

fn crowded() -> Problem {
    let title = "Too many large requests are being read.";
    Problem::new(503, "busy", title).after(1)
}

/// What is larger is read, and written, by a thread of its own.
pub(super) const LARGE_BYTES: usize = 256 << 10;
