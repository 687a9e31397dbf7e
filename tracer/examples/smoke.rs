#![allow(missing_docs, clippy::all)]
use tracer::probe::*;
use tracer_common::{control::*, source::Source};
fn main() {
    let pid: u32 = std::env::args().nth(1).unwrap().parse().unwrap();
    let multi = std::env::args().nth(2).as_deref() != Some("single");
    let t = std::time::Instant::now();
    let mut k = match Kernel::load(&Limits::default(), multi) {
        Ok(k) => k,
        Err(e) => {
            eprintln!("{e}");
            std::process::exit(1)
        }
    };
    eprintln!("loaded {:?} multi {}", t.elapsed(), k.is_multi());
    let f = std::fs::File::open("/lib/x86_64-linux-gnu/libc.so.6").unwrap();
    k.attach_life().unwrap();
    k.set_space(1, &SpaceSettings::default()).unwrap();
    k.add_site_without_stack(1).unwrap();
    k.set_target(
        pid,
        &Target {
            mm: 0,
            space: 1,
            flags: 0,
        },
    )
    .unwrap();
    let pts = [
        (0x98930u64, Source::Malloc),
        (0x996e0, Source::Calloc),
        (0x99130, Source::Realloc),
    ]
    .map(|(o, s)| Point {
        offset: o,
        cookie: s as u64,
    });
    if std::env::args().nth(3).as_deref() == Some("floor") {
        let pts = &pts[..1];
        k.attach(ProgramName::EmptyReturn, &f, &pts, pid).unwrap();
        k.attach(ProgramName::EmptyEntry, &f, &pts, pid).unwrap();
        k.attach(
            ProgramName::EmptyEntry,
            &f,
            &[Point {
                offset: 0x98ef3,
                cookie: 0,
            }],
            pid,
        )
        .unwrap();
    } else {
        k.attach(ProgramName::Return, &f, &pts, pid).unwrap();
        k.attach(ProgramName::Entry, &f, &pts, pid).unwrap();
        k.attach(
            ProgramName::Free,
            &f,
            &[Point {
                offset: 0x98ef3,
                cookie: 0,
            }],
            pid,
        )
        .unwrap();
    }
    eprintln!("attached {:?}", t.elapsed());
    let mut ts = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut ts) };
    let c = Control {
        gate: 1,
        start_ns: ts.tv_sec as u64 * 1000000000 + ts.tv_nsec as u64,
        seed: 1,
        sample_shift: std::env::var("SHIFT").map_or(0, |v| v.parse().unwrap()),
        always_bytes: u32::MAX,
    };
    k.set_control(&c).unwrap();
    let _st = std::env::var("STATS")
        .is_ok()
        .then(|| aya::sys::enable_stats(aya::sys::Stats::RunTime).unwrap());
    eprintln!("ready");
    let mut s = String::new();
    std::io::stdin().read_line(&mut s).unwrap();
    k.set_control(&Control { gate: 0, ..c }).unwrap();
    for n in ProgramName::ALL {
        if let Some((c, t)) = k.run_statistics(n) {
            if c > 0 {
                eprintln!("{n:?} {c} {} ns", t / c)
            }
        }
    }
    let t = std::time::Instant::now();
    k.detach();
    eprintln!("detach {:?}", t.elapsed());
    let t = std::time::Instant::now();
    let mut n = 0;
    let mut b = 0;
    k.blocks(|_, v| {
        n += 1;
        b += v.size
    })
    .unwrap();
    eprintln!("blocks {n} {b} {:?}", t.elapsed());
    k.sites(|key, s| {
        if s.allocated_blocks > 0 {
            eprintln!(
                "{key:x} {:?} alloc {}/{} freed {}/{} frames {:x?}",
                s.identity,
                s.allocated_blocks,
                s.allocated_bytes,
                s.freed_blocks,
                s.freed_bytes,
                &s.frames[..s.identity.frames as usize]
            )
        }
    })
    .unwrap();
    eprintln!("{:?} map bytes {}", k.counts().unwrap(), k.map_bytes());
}
