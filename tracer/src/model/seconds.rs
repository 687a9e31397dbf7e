//! Seconds in JSON: always a finite number.

use serde::Serializer;

/// For `#[serde(serialize_with = "seconds::serialize")]`. JSON has no word for
/// infinity, and serde writes `null`, which no reader of the schema expects:
/// one quotient gone wrong must not make a whole report unreadable.
pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(if value.is_finite() { *value } else { 0.0 })
}
