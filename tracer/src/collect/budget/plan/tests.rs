use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;

/// A program whose calls cost so much of a processor, if all are recorded and if only
/// frees are watched; from one moment on, ms.
#[derive(Clone, Copy, Debug)]
struct Load {
    from_ms: u64,
    all: f64,
    frees: f64,
}

/// What became of a simulated trace.
struct Run {
    /// The most that was spent beyond the budget at any moment, ns.
    worst_ns: f64,
    /// What was spent of all time.
    part: f64,
    recorded: Recorded,
    /// Recorded time by its weight, and the time until the last slice's cycle ended.
    represented: f64,
    /// When slices began, ms.
    slices: Vec<u64>,
    /// Frees were not watched, after the first slice.
    had_gaps: bool,
}

/// Runs the planner over loads, in steps of a ms; probes take their time to go.
fn run(percent: f64, processors: u32, loads: &[Load], ms: u64, late_ms: u64) -> Run {
    let mut planner = Planner::new(percent, processors, 0x1234_5678_9abc_def1);
    let (mut cost, mut going) = (Cost::default(), (0, Phase::Nothing));
    let mut run = Run {
        worst_ns: f64::MIN,
        part: 0.0,
        recorded: Recorded::default(),
        represented: 0.0,
        slices: vec![0],
        had_gaps: false,
    };
    let mut phase = planner.phase();
    let mut due = planner.due();
    for now in 1..=ms {
        let load = loads.iter().rev().find(|it| it.from_ms <= now);
        let (all, frees) = load.map_or((0.0, 0.0), |it| (it.all, it.frees));
        let attached = if now <= going.0 { going.1 } else { phase };
        match attached {
            Phase::Slice { .. } => {
                cost.ns += all * MS as f64;
                cost.frees_ns += frees * MS as f64;
            }
            Phase::Frees => {
                cost.ns += frees * MS as f64;
                cost.frees_ns += frees * MS as f64;
            }
            Phase::Nothing => run.had_gaps = true,
        }
        let beyond = cost.ns - percent / 100.0 * (now * MS) as f64;
        run.worst_ns = run.worst_ns.max(beyond);
        if now * MS < due + late_ms * MS {
            continue;
        }
        let before = phase;
        phase = planner.step(now * MS, cost);
        due = planner.due();
        let is_slice = |phase| matches!(phase, Phase::Slice { .. });
        if is_slice(before) && !is_slice(phase) || phase == Phase::Nothing {
            going = (now + LAG_NS / MS, before);
        }
        if is_slice(phase) && !is_slice(before) {
            planner.began(now * MS, cost);
            due = planner.due();
            run.slices.push(now);
        }
    }
    run.part = cost.ns / (ms * MS) as f64;
    run.recorded = planner.recorded();
    run.represented = planner.represented;
    run
}

fn steady(all: f64, frees: f64) -> [Load; 1] {
    [Load {
        from_ms: 0,
        all,
        frees,
    }]
}

/// What costs less than the budget is recorded all the time, and exactly.
#[test]
fn a_quiet_program_is_recorded_whole() {
    let run = run(1.0, 2, &steady(0.005, 0.002), 30_000, 0);
    assert_eq!(run.recorded.slices, 1);
    assert!(run.recorded.sliced_ns > 29_000 * MS);
    assert!(!run.had_gaps && run.part < 0.0051);
}

/// Where watching frees is cheap they are watched all the time, and slices are many
/// enough in each third of the window to tell a trend.
#[test]
fn frees_stay_where_they_can() {
    let run = run(1.0, 2, &steady(0.05, 0.004), 30_000, 0);
    assert!(!run.had_gaps);
    assert!((0.006..0.0101).contains(&run.part), "{}", run.part);
    for third in 0..3 {
        let within = |it: &&u64| (third * 10_000..(third + 1) * 10_000).contains(*it);
        let slices = run.slices.iter().filter(within).count();
        assert!(slices >= 8, "{slices} in third {third}");
    }
    assert!(run.recorded.frees_ns > 29_000 * MS);
}

/// A program that does nothing but allocate is recorded in slices of a few ms, and its
/// frees are let go between them; the budget is used, not exceeded.
#[test]
fn a_hot_program_is_let_go() {
    let run = run(1.0, 2, &steady(0.95, 0.4), 30_000, 0);
    assert!(run.had_gaps);
    assert!((0.006..0.0115).contains(&run.part), "{}", run.part);
    assert!(run.slices.len() >= 12, "{:?}", run.slices);
}

/// Recorded blocks stand for all of the time: their weights are unbiased, also when
/// slices come late.
#[test]
fn blocks_stand_for_all_time() {
    for (all, frees, late) in [(0.05, 0.004, 0), (0.05, 0.004, 3), (0.95, 0.4, 2)] {
        let run = run(1.0, 2, &steady(all, frees), 60_000, late);
        let part = run.represented / (60_000 * MS) as f64;
        assert!(
            (0.93..1.07).contains(&part),
            "{part} at {all}, {late} ms late"
        );
    }
}

/// Slices do not come in step with anything: of a program that allocates in one part
/// of each second, slices meet about that part.
#[test]
fn slices_come_at_random() {
    let run = run(1.0, 2, &steady(0.1, 0.004), 300_000, 0);
    let met = run.slices.iter().filter(|it| **it % 1000 < 250).count();
    let part = met as f64 / run.slices.len() as f64;
    assert!((0.15..0.35).contains(&part), "{part}");
}

prop_compose! {
    fn any_load()(from_ms in 0..20_000_u64, all in 0.0..2.0_f64, part in 0.0..1.0_f64) -> Load {
        Load { from_ms, all, frees: all * part }
    }
}

proptest! {
    /// Whatever a program does, at no moment has more been spent than the budget allows,
    /// but for the first slice, what passes between two looks, and probes that go.
    #[test]
    fn never_beyond_the_budget(
        mut loads in proptest::collection::vec(any_load(), 1..12),
        percent in 0.2..20.0_f64,
    ) {
        loads.sort_by_key(|it| it.from_ms);
        let run = run(percent, 2, &loads, 20_000, 0);
        let looks = CHECK_FREES_NS + CHECK_NS + FIRST_SLICE_NS + 2 * LAG_NS;
        let allowed = 2.0 * looks as f64 + percent / 100.0 * OWED_NS as f64;
        prop_assert!(run.worst_ns <= allowed, "{} ms", run.worst_ns / MS as f64);
    }
}
