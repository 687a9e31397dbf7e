use super::*;
use crate::model::{
    Extent, MappingKind, MappingSite, Mappings, ProcessMappings,
    growth::{Growth, Resident, SiteGrowth},
};

const MIB: u64 = 1 << 20;

fn leak_svg(report: &Report) -> String {
    let mut svg = Vec::new();
    write_leak(report, &mut svg).unwrap();
    String::from_utf8(svg).unwrap()
}

/// The first site grew steadily over 30 s, the second was filled at once; a script made
/// the JS heap grow by 36 MiB.
fn growing() -> Report {
    let mut report = sample::small();
    let site = |number: usize, marks: [u64; 3], slope: f64, survivors| SiteGrowth {
        site_id: report.sites[number].site_id.clone(),
        first_trough_bytes: marks[0],
        middle_trough_bytes: marks[1],
        last_trough_bytes: marks[2],
        bytes_per_second: slope,
        error_bytes_per_second: slope / 1000.0,
        survivors,
    };
    let steady = [0, 8 * MIB / 3, 16 * MIB / 3];
    let sites = vec![
        site(0, steady, 8.0 * MIB as f64 / 30.0, [MIB; 8]),
        site(1, [MIB; 3], 0.0, [MIB, 0, 0, 0, 0, 0, 0, 0]),
    ];
    let moment = |second: u64| Resident {
        seconds: second as f64,
        anonymous_bytes: (100 + second * 2) * MIB,
        live_bytes: second * 8 * MIB / 30,
        ..Resident::default()
    };
    report.growth = vec![Growth {
        process: 1,
        runtime: Some("V8".to_owned()),
        timeline: (0..=30).map(moment).collect(),
        sites,
        left_out_bytes: 0,
    }];
    let script = Frame {
        function: Some("remember".to_owned()),
        module: crate::model::JAVASCRIPT.to_owned(),
        file: Some("/srv/ids.js".to_owned()),
        line: Some(12),
        ..Frame::default()
    };
    let mapping = MappingSite {
        site_id: format!("{:016x}", 77),
        source: Source::Mmap,
        kind: MappingKind::Anonymous,
        extent: Extent {
            resident_bytes: 40 * MIB,
            usable_bytes: 40 * MIB,
            reserved_bytes: 0,
        },
        pool: None,
        frames: vec![script, report.sites[0].frames[4].clone()],
    };
    report.mappings = Some(Mappings {
        processes: vec![ProcessMappings {
            process: 1,
            sites: vec![mapping],
            ..ProcessMappings::default()
        }],
        ..Mappings::default()
    });
    report
}

/// The picture changes only on purpose.
#[test]
fn draws_the_kept_picture() {
    assert_golden("leak.svg", &leak_svg(&growing()));
}

/// What grows steadily is drawn in the colour of its source, what does not is told.
#[test]
fn draws_what_grows() {
    let svg = leak_svg(&growing());
    let document = parse(&svg);
    assert_eq!(
        text_of(&document, "title"),
        "memtrace: steady growth in node (4242): 8.0 MiB malloc, 52.0 MiB JS heap"
    );
    assert_eq!(
        text_of(&document, "subtitle"),
        "30.0 s from 2026-11-20 19:58:07 UTC · left out: 1.0 MiB not growing steadily · \
         red: malloc, green: JS heap, grey: several · nothing lost"
    );
    let frames = frames(&document);
    let has = |beginning: &str| frames.iter().any(|it| it.starts_with(beginning));
    assert!(has("leak_buffer (8,3"), "{frames:?}");
    assert!(has("remember /srv/ids.js:12 (41,943,0"), "{frames:?}");
    assert!(
        has("[JS heap that rose, without a script on the stack] (12,"),
        "{frames:?}"
    );
    assert!(!has("calloc"), "{frames:?}");
}

/// Where nothing grows, or nobody knows, the picture says which.
#[test]
fn nothing_is_told() {
    let mut report = growing();
    report.growth[0].sites.remove(0);
    for moment in &mut report.growth[0].timeline {
        moment.anonymous_bytes = 100 * MIB;
    }
    let said = |report: &Report| text_of(&parse(&leak_svg(report)), "empty");
    assert_eq!(said(&report), "Nothing grew steadily through the window.");
    report.growth.clear();
    assert_eq!(
        said(&report),
        "The recording does not tell how its sites grew."
    );
}

/// The heading fits whatever is in it.
#[test]
fn the_heading_of_a_leak_fits() {
    let mut report = growing();
    report.loss = vec![Loss {
        cause: LossCause::LedgerFull,
        calls: 1_000_000_000,
        bytes: Some(1 << 50),
    }];
    report.not_covered = vec![String::new(); 7];
    let svg = leak_svg(&report);
    let subtitle = text_of(&parse(&svg), "subtitle");
    assert!(width(&subtitle) <= SUBTITLE_COLUMNS, "{subtitle}");
    assert!(
        subtitle.contains("LOST: ") && subtitle.contains("NOT COVERED"),
        "{subtitle}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any report gives a picture of all that weighs, unless that cannot be.
    #[test]
    fn any_growth_is_a_picture(report in sample::any_report()) {
        let mut svg = Vec::new();
        let weights = crate::analyze::leak_weight::weigh(&report);
        let whole: u128 = weights.sites.iter().map(|it| u128::from(it.bytes)).sum();
        match write_leak(&report, &mut svg) {
            Ok(()) => {
                let svg = String::from_utf8(svg).unwrap();
                let document = parse(&svg);
                if whole > 0 {
                    let all = format!("all ({} bytes, 100%)", words::count(whole as f64 as u64));
                    prop_assert!(frames(&document).contains(&all));
                }
            }
            Err(_) => prop_assert!(u64::try_from(whole).is_err()),
        }
    }
}
