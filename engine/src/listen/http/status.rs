//! `GET /v1/messages/ID`: what the recipients of a message that have not ended wait for.

use super::super::hall::Hall;
use crate::inject::{Principal, Problem};
use crate::intake::queue_id;
use crate::post::{Letter, Order, QueueAnswer, QueueAsk, QueueShown};
use crate::reactor::oneshot::oneshot;
use crate::reactor::sleep;
use crate::wire::http::Response;
use serde_json::{Value, json};
use std::rc::Rc;
use std::time::Duration;
use store::mail::id::QueueId;

pub(super) async fn status(hall: &Rc<Hall>, principal: &Principal, id: &str) -> Response {
    let found = match queue_id::parse(id) {
        Some(parsed) => find_soon(hall, &id.to_ascii_uppercase(), parsed).await,
        None => Ok(Vec::new()),
    };
    let mut shown = match found {
        Ok(shown) => shown,
        Err(problem) => return problem.response(),
    };
    shown.retain(|one| principal.tenants.contains(&one.line.tenant));
    if shown.is_empty() {
        let title = "No recipient of such a message of yours waits: it has ended, or never was.";
        return Problem::new(404, "not-waiting", title).response();
    }
    let recipients: Vec<Value> = shown.iter().map(line).collect();
    let object = json!({ "id": id.to_ascii_uppercase(), "waiting": recipients });
    let mut body = object.to_string().into_bytes();
    body.push(b'\n');
    Response::new(200, "application/json", body)
}

fn line(shown: &QueueShown) -> Value {
    let line = &shown.line;
    let last = shown.last.as_ref().map(|last| {
        json!({ "at": last.at_secs, "host": last.host, "code": last.code, "reply": last.text })
    });
    json!({
        "item": line.item,
        "email": shown.recipient,
        "state": line.state,
        "why": line.why,
        "until": line.until_secs,
        "attempts": line.attempts,
        "expires": line.expiry_secs,
        "last": last,
    })
}

/// What was just taken may be on its way to the shard that keeps its queue.
async fn find_soon(hall: &Rc<Hall>, id: &str, parsed: QueueId) -> Result<Vec<QueueShown>, Problem> {
    for _ in 0..LOOKS_MAX {
        let found = find(hall, id).await?;
        let age = hall
            .now()
            .unix_secs()
            .saturating_sub(queue_id::secs(parsed));
        if !found.is_empty() || age > FRESH_SECS {
            return Ok(found);
        }
        sleep(LOOK).await;
    }
    find(hall, id).await
}

async fn find(hall: &Rc<Hall>, id: &str) -> Result<Vec<QueueShown>, Problem> {
    let mut found = Vec::new();
    for shard in 0..usize::from(hall.live.directory.load().shards()) {
        let ask = QueueAsk::OfMessage(id.to_owned());
        let answer = match (shard == hall.shard, hall.inject.queue()) {
            (_, None) => return Ok(Vec::new()),
            (true, Some(queue)) => queue.answer(ask).await,
            (false, Some(_)) => {
                let (done, answer) = oneshot();
                let letter = Letter::Order(Order::Queue { ask, done });
                let gone = |_| Problem::new(503, "try-again", "The server ends.").after(5);
                hall.post.send(shard, letter).await.map_err(gone)?;
                answer.await.unwrap_or(QueueAnswer::Off)
            }
        };
        if let QueueAnswer::All(more) = answer {
            found.extend(more);
        }
    }
    Ok(found)
}

/// How long a message counts as just taken, and how often it is looked for then.
const FRESH_SECS: u64 = 5;
const LOOKS_MAX: usize = 20;
const LOOK: Duration = Duration::from_millis(50);
