//! JavaScript heaps: one that grows, and any.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{
    any::{any_frame, any_text},
    frame, small,
};
use crate::model::{
    Frame, JAVASCRIPT, Report, StackEnd,
    javascript_heap::{HeapMoment, JavascriptHeap, JavascriptHeaps, JavascriptSite},
};

const MIB: u64 = 1 << 20;

fn script(name: &str) -> Frame {
    Frame {
        file: Some("/srv/app.js".to_owned()),
        line: Some(7),
        ..frame(name, JAVASCRIPT, 0)
    }
}

/// A site of 16 hexadecimal digits, by the frames' names.
fn site(native: &str, names: &[&str], samples: u64, estimated_bytes: u64) -> JavascriptSite {
    let mut frames = vec![frame(native, "/usr/local/bin/node", 0xbeef)];
    frames.extend(names.iter().map(|name| script(name)));
    JavascriptSite {
        site_id: format!("{:016x}", samples + estimated_bytes),
        samples,
        estimated_bytes,
        estimated_bytes_per_second: estimated_bytes as f64 / 30.0,
        frames,
        stack_end: StackEnd::Root,
    }
}

/// A heap that grows from 40 to 130 MiB; `keep` allocates twice what `format` does, on two
/// ways into V8, and node's own code as much as both.
pub fn with_javascript() -> Report {
    const YOUNG: &str = "v8::internal::Runtime_AllocateInYoungGeneration(int)";
    const OLD: &str = "v8::internal::Runtime_AllocateInOldGeneration(int)";
    let timeline = (0..30_u32).map(|second| HeapMoment {
        seconds: second.into(),
        young_bytes: 16 * MIB,
        old_bytes: (20 + 3 * u64::from(second)) * MIB,
        large_bytes: 3 * MIB,
        code_bytes: MIB,
    });
    let mut inner = site(YOUNG, &["push"], 180, 45 * MIB);
    inner.frames[1].file = Some("node:internal/timers".to_owned());
    let sites = vec![
        inner,
        site(YOUNG, &["keep", "onRequest"], 100, 25 * MIB),
        site(YOUNG, &["format", "onRequest"], 60, 15 * MIB),
        site(OLD, &["keep", "onRequest"], 20, 5 * MIB),
    ];
    let mut report = small();
    report.javascript = Some(JavascriptHeaps {
        lost_samples: 2,
        lost_bytes: 5000,
        processes: vec![JavascriptHeap {
            process: report.processes[0].id,
            timeline: timeline.collect(),
            allocated_bytes: 90 * MIB,
            samples: 360,
            sites,
        }],
    });
    report
}

prop_compose! {
    fn any_moment()(
        seconds in 0.0..1e9,
        (young_bytes, old_bytes, large_bytes, code_bytes) in any::<(u64, u64, u64, u64)>(),
    ) -> HeapMoment {
        HeapMoment { seconds, young_bytes, old_bytes, large_bytes, code_bytes }
    }
}

fn any_script() -> impl Strategy<Value = Frame> {
    (any_frame(), any::<bool>(), any_text()).prop_map(|(frame, is_script, name)| match is_script {
        true => Frame {
            module: JAVASCRIPT.to_owned(),
            function: Some(name),
            ..frame
        },
        false => frame,
    })
}

prop_compose! {
    fn any_site()(
        site_id in "[0-9a-f]{16}",
        (samples, estimated_bytes) in any::<(u64, u64)>(),
        estimated_bytes_per_second in 0.0..1e12,
        frames in vec(any_script(), 0..5),
    ) -> JavascriptSite {
        JavascriptSite {
            site_id, samples, estimated_bytes, estimated_bytes_per_second, frames,
            stack_end: StackEnd::Root,
        }
    }
}

prop_compose! {
    fn any_heap()(
        process in 0_u32..4,
        timeline in vec(any_moment(), 0..5),
        (allocated_bytes, samples) in any::<(u64, u64)>(),
        sites in vec(any_site(), 0..4),
    ) -> JavascriptHeap {
        JavascriptHeap { process, timeline, allocated_bytes, samples, sites }
    }
}

prop_compose! {
    pub fn any_javascript()(
        (lost_samples, lost_bytes) in any::<(u64, u64)>(),
        processes in vec(any_heap(), 0..3),
    ) -> JavascriptHeaps {
        JavascriptHeaps { lost_samples, lost_bytes, processes }
    }
}
