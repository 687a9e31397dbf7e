//! What a server's answer means for the message that it is to.

use std::time::{Duration, SystemTime};

use prost::Message as _;

use crate::render::otlp::message::ExportProfilesServiceResponse;

/// What to do with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was taken; of an OTLP message some profiles may not have been.
    Taken {
        /// How many were not.
        rejected: u64,
    },
    /// Not now.
    Later(Option<Duration>),
    /// Never: the same message will not do.
    Refused,
}

/// By its status.
///
/// OTLP asks to send again after 429, 502, 503 and 504 and after no other
/// (<https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>, retryable response codes).
/// Others have no such rule: 408, 429 and whatever failed on the server's side may do better
/// later. Redirects are not followed: a message, and the token with it, goes where it was told
/// to go.
pub fn of_status(status: u16, is_otlp: bool, retry_after: Option<Duration>) -> Reply {
    match status {
        200..=299 => Reply::Taken { rejected: 0 },
        429 | 502 | 503 | 504 => Reply::Later(retry_after),
        408 | 500..=599 if !is_otlp => Reply::Later(retry_after),
        _ => Reply::Refused,
    }
}

/// `Retry-After`: seconds, or a date (RFC 9110, 10.2.3); `None` for what is neither.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// How many profiles a collector did not take of a message that it took; 0 for an answer that
/// is none.
pub fn rejected(answer: &[u8]) -> u64 {
    let answer = ExportProfilesServiceResponse::decode(answer);
    let partial = answer.ok().and_then(|it| it.partial_success);
    partial.map_or(0, |it| u64::try_from(it.rejected_profiles).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;

    /// Each status has its meaning, for OTLP by its specification.
    #[test]
    fn statuses_have_meanings() {
        let later = Reply::Later(None);
        for (status, otlp, other) in [
            (
                200,
                Reply::Taken { rejected: 0 },
                Reply::Taken { rejected: 0 },
            ),
            (
                204,
                Reply::Taken { rejected: 0 },
                Reply::Taken { rejected: 0 },
            ),
            (302, Reply::Refused, Reply::Refused),
            (400, Reply::Refused, Reply::Refused),
            (401, Reply::Refused, Reply::Refused),
            (408, Reply::Refused, later.clone()),
            (429, later.clone(), later.clone()),
            (500, Reply::Refused, later.clone()),
            (503, later.clone(), later.clone()),
        ] {
            assert_eq!(of_status(status, true, None), otlp, "{status}");
            assert_eq!(of_status(status, false, None), other, "{status}");
        }
    }

    /// A server says when to come back as seconds or as a date; a date that is past is now.
    #[test]
    fn reads_retry_after() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777 - 60);
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(date, now), Some(Duration::from_secs(60)));
        let past = now + Duration::from_secs(3600);
        assert_eq!(retry_after(date, past), Some(Duration::ZERO));
        assert_eq!(retry_after("-1", now), None);
        assert_eq!(retry_after("soon", now), None);
    }

    proptest! {
        /// No header and no answer of a server makes it panic.
        #[test]
        fn takes_any_answer(value in any::<String>(), answer in any::<Vec<u8>>()) {
            retry_after(&value, UNIX_EPOCH);
            rejected(&answer);
        }
    }
}
