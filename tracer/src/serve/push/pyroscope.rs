//! The messages of Pyroscope's `push.v1.PusherService/Push`
//! (<https://github.com/grafana/pyroscope/blob/main/api/push/v1/push.proto>), one of its public
//! interfaces: series of labels, each with pprof profiles.

use prost::Message;
use sha2::{Digest as _, Sha256};

/// The path of the method.
pub const PATH: &str = "/push.v1.PusherService/Push";

/// A request.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    pub series: Vec<RawProfileSeries>,
}

/// Profiles of one set of labels.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RawProfileSeries {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<LabelPair>,
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<RawSample>,
}

/// A label.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct LabelPair {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A profile: pprof, gzip.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RawSample {
    #[prost(bytes = "vec", tag = "1")]
    pub raw_profile: Vec<u8>,
    /// A UUID.
    #[prost(string, tag = "2")]
    pub id: String,
}

/// A profile under its labels. Its id is a hash of it: sent again it has the same.
pub fn series(labels: &[(&str, &str)], raw_profile: Vec<u8>) -> RawProfileSeries {
    let label = |(name, value): &(&str, &str)| LabelPair {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    RawProfileSeries {
        labels: labels.iter().map(label).collect(),
        samples: vec![RawSample {
            id: uuid(&raw_profile),
            raw_profile,
        }],
    }
}

/// Of version 8, the one for hashes of one's own (RFC 9562, 5.8).
fn uuid(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hash = hash
        .iter()
        .take(16)
        .fold(0, |all: u128, byte| all << 8 | u128::from(*byte));
    let hash = hash & !(0xf << 76) & !(0x3 << 62) | 0x8 << 76 | 0x2 << 62;
    let digits = format!("{hash:032x}");
    let mut parts = Vec::new();
    let mut rest = digits.as_str();
    for length in [8, 4, 4, 4] {
        let (part, after) = rest.split_at(length);
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    parts.join("-")
}

#[cfg(test)]
mod tests {
    /// An id is a UUID, of the version for hashes, and another for other bytes.
    #[test]
    fn ids_are_uuids() {
        let id = super::uuid(b"a");
        assert_eq!(id, "ca978112-ca1b-8dca-bac2-31b39a23dc4d");
        assert_ne!(id, super::uuid(b"b"));
    }
}
