//! Any growth that a trace could have seen.

use proptest::{collection::vec, option::of, prelude::*};

use crate::model::growth::{Growth, Resident, SiteGrowth};

fn any_bytes() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..1 << 20, 0_u64..1 << 49]
}

prop_compose! {
    fn any_resident()(
        seconds in 0.0..1e6_f64,
        (anonymous_bytes, file_bytes, shared_bytes) in (any_bytes(), any_bytes(), any_bytes()),
        (swapped_bytes, live_bytes) in (any_bytes(), any_bytes()),
    ) -> Resident {
        Resident { seconds, anonymous_bytes, file_bytes, shared_bytes, swapped_bytes, live_bytes }
    }
}

prop_compose! {
    fn any_site_growth()(
        site_id in "[0-9a-f]{16}",
        (first_trough_bytes, middle_trough_bytes) in (any_bytes(), any_bytes()),
        last_trough_bytes in any_bytes(),
        bytes_per_second in -1e12..1e12_f64,
        error_bytes_per_second in 0.0..1e12_f64,
        survivors in prop::array::uniform8(any_bytes()),
    ) -> SiteGrowth {
        SiteGrowth {
            site_id,
            first_trough_bytes,
            middle_trough_bytes,
            last_trough_bytes,
            bytes_per_second,
            error_bytes_per_second,
            survivors,
        }
    }
}

prop_compose! {
    pub fn any_growth(text: impl Strategy<Value = String>)(
        process in 0..4_u32,
        runtime in of(text),
        mut timeline in vec(any_resident(), 0..12),
        sites in vec(any_site_growth(), 0..4),
        left_out_bytes in any_bytes(),
    ) -> Growth {
        timeline.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        Growth { process, runtime, timeline, sites, left_out_bytes }
    }
}
