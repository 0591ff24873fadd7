//! Metrics and health over HTTP, on the service thread.
//!
//! `GET /metrics` is the OpenMetrics text, `GET /healthz` says 200 while mail can be taken and 503
//! with the reason otherwise.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

/// What the pages ask of the server. Called on the service thread.
pub trait Seen: Send + Sync + 'static {
    /// The OpenMetrics text.
    fn metrics(&self) -> String;
    /// `Err` is why no mail is taken.
    fn health(&self) -> Result<(), String>;
    /// Our host name.
    fn hostname(&self) -> String;
}

/// The pages as a service for `axum::serve`.
pub fn pages(seen: Arc<dyn Seen>) -> Router {
    Router::new()
        .route("/", get(front))
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .with_state(seen)
}

async fn front(State(seen): State<Arc<dyn Seen>>) -> Html<String> {
    let hostname = escape(&seen.hostname());
    let health = match seen.health() {
        Ok(()) => "takes mail".to_owned(),
        Err(why) => format!("takes no mail: {}", escape(&why)),
    };
    Html(format!(
        "<!doctype html><meta charset=utf-8><title>Ringpost on {hostname}</title>\
         <style>body{{font:16px/1.5 system-ui;margin:3em auto;max-width:40em}}</style>\
         <h1>Ringpost</h1><p>{hostname} {health}.</p>\
         <ul><li><a href=/metrics>Metrics</a><li><a href=/healthz>Health</a></ul>"
    ))
}

async fn metrics(State(seen): State<Arc<dyn Seen>>) -> Response {
    ([(header::CONTENT_TYPE, OPENMETRICS)], seen.metrics()).into_response()
}

async fn health(State(seen): State<Arc<dyn Seen>>) -> (StatusCode, String) {
    match seen.health() {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
