//! What is wrong with a request, as JSON problem details (RFC 9457) that name the field.

use crate::wire::http::Response;
use serde_json::{Value, json};

/// Why a request is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    pub status: u16,
    /// The end of its type: what a program decides by.
    pub kind: &'static str,
    pub title: &'static str,
    /// What is wrong with which field; empty where the title says it all.
    pub faults: Vec<Fault>,
    /// Seconds after which it may be tried again.
    pub retry_after: Option<u64>,
}

/// One wrong field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// RFC 6901; empty is the whole body.
    pub pointer: String,
    pub detail: String,
}

impl Fault {
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Fault {
        Fault {
            pointer: pointer.into(),
            detail: detail.into(),
        }
    }
}

impl Problem {
    #[must_use]
    pub fn new(status: u16, kind: &'static str, title: &'static str) -> Problem {
        Problem {
            status,
            kind,
            title,
            faults: Vec::new(),
            retry_after: None,
        }
    }

    /// The body is JSON of another shape than expected.
    #[must_use]
    pub fn invalid(faults: Vec<Fault>) -> Problem {
        Problem {
            faults,
            ..Problem::new(
                422,
                "invalid-request",
                "The request cannot be carried out as it is.",
            )
        }
    }

    #[must_use]
    pub fn after(mut self, secs: u64) -> Problem {
        self.retry_after = Some(secs);
        self
    }

    #[must_use]
    pub fn about(mut self, fault: Fault) -> Problem {
        self.faults.push(fault);
        self
    }

    #[must_use]
    pub fn json(&self) -> Value {
        let mut object = json!({
            "type": format!("{TYPES}{}", self.kind),
            "title": self.title,
            "status": self.status,
        });
        let faults = self.faults.iter().take(FAULTS_MAX);
        let faults: Vec<Value> = faults.map(Fault::json).collect();
        if let (Some(fields), Some(first)) = (object.as_object_mut(), self.faults.first()) {
            fields.insert("detail".to_owned(), Value::from(first.detail.as_str()));
            fields.insert("errors".to_owned(), Value::from(faults));
        }
        object
    }

    /// As it is answered.
    #[must_use]
    pub fn response(&self) -> Response {
        let mut body = self.json().to_string().into_bytes();
        body.push(b'\n');
        let response = Response::new(self.status, "application/problem+json", body);
        match self.retry_after {
            Some(secs) => response.with("Retry-After", secs.to_string()),
            None => response,
        }
    }
}

impl Fault {
    /// The pointer as a URI fragment, as in the examples of RFC 9457 §3.
    fn json(&self) -> Value {
        json!({ "detail": self.detail, "pointer": format!("#{}", self.pointer) })
    }
}

/// Problem types are names, not pages.
const TYPES: &str = "urn:ringpost:problem:";

/// Faults that are told at one time.
const FAULTS_MAX: usize = 50;
