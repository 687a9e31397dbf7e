//! Alerts, as JSON, to a webhook.

use std::{future::pending, sync::Arc};

use super::{alerts::Alerts, lane::Lane};
use crate::serve::{Sources, happened::Happened};

/// Gives the lane its alerts; does not end.
pub async fn run(sources: &Sources, since_ms: u64, lane: Option<&Lane>) {
    let Some(lane) = lane else {
        return pending().await;
    };
    let mut views = sources.view.clone();
    let mut happened = Happened::since(since_ms);
    let mut alerts = Alerts::since(since_ms);
    // What is told already is looked at too.
    views.mark_changed();
    while views.changed().await.is_ok() {
        let view = Arc::clone(&views.borrow_and_update());
        let events = happened.take_new(&view);
        for alert in alerts.of(&view, &events) {
            match serde_json::to_vec(&alert) {
                Ok(body) => lane.push(body),
                Err(_) => lane.lost(),
            }
        }
    }
    // Nobody looks any more; what waits is still sent.
    pending().await
}
