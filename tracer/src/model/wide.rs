//! Integers up to 2^64 in JSON that JavaScript readers survive: a number up to
//! 2^53 − 1 (`Number.MAX_SAFE_INTEGER`), a decimal string above. `BigInt(x)`
//! reads both.

use serde::{Deserialize, Deserializer, Serializer, de};

/// The largest integer every JavaScript reader keeps exact.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// For `#[serde(with = "wide")]`.
pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    if *value <= MAX_SAFE_INTEGER {
        serializer.serialize_u64(*value)
    } else {
        serializer.collect_str(value)
    }
}

/// For `#[serde(with = "wide")]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Wide {
        Number(u64),
        Text(String),
    }
    match Wide::deserialize(deserializer)? {
        Wide::Number(number) => Ok(number),
        Wide::Text(text) => text.parse().map_err(de::Error::custom),
    }
}

/// The same for `Option<u64>`, `None` as `null`.
pub mod option {
    use serde::{Deserialize, Deserializer, Serializer};

    /// For `#[serde(with = "wide::option")]`.
    pub fn serialize<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// For `#[serde(with = "wide::option")]`.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u64>, D::Error> {
        #[derive(Deserialize)]
        struct Wrapper(#[serde(with = "super")] u64);
        Ok(Option::<Wrapper>::deserialize(deserializer)?.map(|wrapper| wrapper.0))
    }
}
