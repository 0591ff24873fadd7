//! What a request is told: one state for each recipient, in the order of the request.

use super::check::{Injection, Recipient};
use super::compose::Plan;
use super::problem::Problem;
use super::progress::Outcome;
use crate::intake::queue_id;
use crate::wire::http::Response;
use serde_json::{Value, json};
use store::mail::id::QueueId;

/// What became of one recipient, and of which message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecipientState {
    pub outcome: Outcome,
    /// Empty where it is not taken.
    pub id: String,
    /// Where `outcome` has no words of its own.
    pub detail: String,
}

/// What became of all of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Names the request in the log and in events.
    pub id: String,
    /// One for each recipient.
    pub states: Vec<RecipientState>,
}

/// 200 where one recipient was taken at least; else what is wrong with the first, and all of them.
#[must_use]
pub fn answer(injection: &Injection<'_>, answer: &Answer) -> Response {
    let taken = answer
        .states
        .iter()
        .filter(|state| state.outcome == Outcome::Taken)
        .count();
    let passing = answer
        .states
        .iter()
        .filter(|state| state.outcome.is_passing())
        .count();
    let shown = injection.recipients.iter().zip(&answer.states);
    let shown: Vec<Value> = shown
        .map(|(recipient, state)| line(recipient, state))
        .collect();
    let mut object = match (taken, passing) {
        (0, 0) => {
            let title = "No recipient can be taken.";
            Problem::new(422, "no-recipient-taken", title).json()
        }
        (0, _) => Problem::new(503, "try-again", "No recipient can be taken now.").json(),
        _ => json!({}),
    };
    let status = object.get("status").and_then(Value::as_u64).unwrap_or(200);
    if let Some(fields) = object.as_object_mut() {
        fields.insert("id".to_owned(), Value::from(answer.id.as_str()));
        fields.insert("accepted".to_owned(), Value::from(taken));
        fields.insert(
            "refused".to_owned(),
            Value::from(answer.states.len() - taken),
        );
        fields.insert("recipients".to_owned(), Value::from(shown));
    }
    let mut body = object.to_string().into_bytes();
    body.push(b'\n');
    let kind = match status {
        200 => "application/json",
        _ => "application/problem+json",
    };
    let response = Response::new(u16::try_from(status).unwrap_or(500), kind, body);
    match status {
        503 => response.with("Retry-After", RETRY_SECS.to_string()),
        _ => response,
    }
}

/// As [`answer`], of a request that was carried out before.
#[must_use]
pub fn replayed(response: Response) -> Response {
    response.with("Idempotency-Replayed", "true")
}

fn line(recipient: &Recipient<'_>, state: &RecipientState) -> Value {
    let email = recipient.email.as_str();
    if state.outcome == Outcome::Taken {
        return json!({ "email": email, "status": "accepted", "id": state.id });
    }
    let (code, title) = state.outcome.says();
    let detail = match state.detail.is_empty() {
        true => title,
        false => state.detail.as_str(),
    };
    let status = if state.outcome.is_passing() {
        "deferred"
    } else {
        "refused"
    };
    json!({ "email": email, "status": status, "code": code, "detail": detail })
}

/// The states of recipients whose message has the id `base` + its number.
pub(super) fn states(
    plan: Plan,
    base: QueueId,
    outcomes: &[(Outcome, String)],
) -> Vec<RecipientState> {
    let mut states = Vec::with_capacity(outcomes.len());
    for message in 0..plan.messages() {
        let id = queue_id::text(id_of(base, message));
        for place in plan.recipients_of(message) {
            let (outcome, detail) = match outcomes.get(place) {
                Some((outcome, detail)) => (*outcome, detail.clone()),
                None => (Outcome::Later, String::new()),
            };
            states.push(RecipientState {
                id: if outcome == Outcome::Taken {
                    id.clone()
                } else {
                    String::new()
                },
                outcome,
                detail,
            });
        }
    }
    states
}

/// The id of message `n`: [`queue_id::QueueIds`] gives them out one behind the other.
#[must_use]
pub fn id_of(base: QueueId, n: usize) -> QueueId {
    QueueId(base.0.saturating_add((n as u64) << queue_id::SHARD_BITS))
}

impl Answer {
    #[must_use]
    pub fn new(plan: Plan, base: QueueId, outcomes: &[(Outcome, String)]) -> Answer {
        Answer {
            id: queue_id::text(base),
            states: states(plan, base, outcomes),
        }
    }
}

/// After a refusal that passes.
const RETRY_SECS: u64 = 10;
