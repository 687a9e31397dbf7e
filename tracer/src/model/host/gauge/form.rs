//! How a gauge is written: by its fields' names where people or scripts read it (JSON), in
//! few bytes where they do not (CBOR, the history on disk): nothing for no look, one number for
//! one look, else five.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor},
};

use super::Gauge;

#[derive(Serialize, Deserialize)]
struct Named {
    min: u64,
    max: u64,
    last: u64,
    sum: u64,
    looks: u32,
}

impl Serialize for Gauge {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            min,
            max,
            last,
            sum,
            looks,
        } = *self;
        if serializer.is_human_readable() {
            let named = Named {
                min,
                max,
                last,
                sum,
                looks,
            };
            named.serialize(serializer)
        } else if *self == Self::default() {
            serializer.serialize_unit()
        } else if *self == Self::of(last) {
            serializer.serialize_u64(last)
        } else {
            (min, max, last, sum, looks).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Gauge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return deserializer.deserialize_any(Short);
        }
        let Named {
            min,
            max,
            last,
            sum,
            looks,
        } = Named::deserialize(deserializer)?;
        Ok(Self {
            min,
            max,
            last,
            sum,
            looks,
        })
    }
}

struct Short;

impl<'de> Visitor<'de> for Short {
    type Value = Gauge;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing, a number, or five")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Gauge, E> {
        Ok(Gauge::default())
    }

    fn visit_none<E: de::Error>(self) -> Result<Gauge, E> {
        Ok(Gauge::default())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Gauge, E> {
        Ok(Gauge::of(number))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Gauge, A::Error> {
        let mut next = || {
            numbers
                .next_element()?
                .ok_or_else(|| de::Error::invalid_length(0, &self))
        };
        let [min, max, last, sum] = [next()?, next()?, next()?, next()?];
        let looks = numbers.next_element()?;
        Ok(Gauge {
            min,
            max,
            last,
            sum,
            looks: looks.ok_or_else(|| de::Error::invalid_length(4, &self))?,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cbor(gauge: &Gauge) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(gauge, &mut bytes).unwrap();
        bytes
    }

    /// JSON tells every field by name; CBOR takes as little as there is to tell.
    #[test]
    fn is_written_by_who_reads_it() {
        let json = serde_json::to_string(&Gauge::of(7)).unwrap();
        assert_eq!(json, r#"{"min":7,"max":7,"last":7,"sum":7,"looks":1}"#);
        assert_eq!(cbor(&Gauge::of(7)), [7]);
        assert_eq!(cbor(&Gauge::default()), [0xf6]);
        let mut two = Gauge::of(7);
        two.add(&Gauge::of(5));
        assert_eq!(cbor(&two), [0x85, 5, 7, 5, 12, 2]);
    }

    proptest! {
        /// Both forms give back what went in.
        #[test]
        fn comes_back(min: u64, max: u64, last: u64, sum: u64, looks: u32, kind in 0..3) {
            let gauge = match kind {
                0 => Gauge::default(),
                1 => Gauge::of(last),
                _ => Gauge { min, max, last, sum, looks },
            };
            let json = serde_json::to_vec(&gauge).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Gauge>(&json).unwrap(), gauge);
            prop_assert_eq!(ciborium::from_reader::<Gauge, _>(&cbor(&gauge)[..]).unwrap(), gauge);
        }
    }
}
