//! Which request is for what.

use crate::inject::Problem;
use crate::wire::http::{Head, Method, Response};

/// What is asked for.
pub(super) enum Asked {
    /// `POST /v1/messages`
    Send,
    /// `GET /v1/messages/ID`
    Status(String),
}

/// `Err` is the answer.
pub(super) fn find(head: &Head) -> Result<Asked, Response> {
    match (head.path.as_str(), head.method) {
        ("/v1/messages", Method::Post) => {
            check_media(head).map_err(|problem| problem.response())?;
            Ok(Asked::Send)
        }
        ("/v1/messages", _) => Err(not_allowed("POST")),
        (path, method) => match path.strip_prefix("/v1/messages/") {
            Some(id) if !id.is_empty() && !id.contains('/') => match method {
                Method::Get | Method::Head => Ok(Asked::Status(id.to_owned())),
                _ => Err(not_allowed("GET, HEAD")),
            },
            _ => {
                let title = "There is nothing of that name.";
                Err(Problem::new(404, "not-found", title).response())
            }
        },
    }
}

fn check_media(head: &Head) -> Result<(), Problem> {
    let kind = head.content_type.as_deref().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let coding = head.content_encoding.as_deref().unwrap_or("identity");
    if !kind.eq_ignore_ascii_case("application/json") || !coding.eq_ignore_ascii_case("identity") {
        let title = "A request is application/json without a content coding.";
        return Err(Problem::new(415, "unknown-media-type", title));
    }
    Ok(())
}

fn not_allowed(methods: &str) -> Response {
    let title = "This cannot be done with it.";
    let problem = Problem::new(405, "method-not-allowed", title);
    problem.response().with("Allow", methods)
}
