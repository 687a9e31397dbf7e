use proptest::prelude::*;

use super::*;
use crate::model::{Counts, Frame, Loss, LossCause};
use crate::render::layout::width;
use crate::render::sample;

const PAGE: Page = Page {
    columns: 80,
    colour: false,
};

/// The whole text, as a user reads it.
#[test]
fn shows_a_report() {
    assert_eq!(
        render(&sample::small(), PAGE),
        "\
node (4242)
  /usr/local/bin/node, glibc 2.36, pid 17 in its container
window  30.0 s from 2026-11-20 19:58:07 UTC, attached to the running process:
        what it held before is not counted
level   exact: every call recorded

live         9.0 MiB  in 130 blocks  (9.6 MiB with rounding)
allocated   15.5 MiB  in 213 blocks
freed        6.5 MiB  in 83 blocks
unmatched         24  frees of older blocks, or the allocator's own; not loss

All 3 sites with live bytes:

  1.    8.0 MiB  88.9%, 128 blocks by malloc, oldest 29.5 s
      leak_buffer  src/addon.cc:42
      keep<[u8; 8]> [inlined]  addon.node
      JS:~onRequest /srv/app.js:7:1  [jit]
      v8::Run(int)  node
      main  node

  2.    1.0 MiB  11.1%, 1 block by calloc, oldest 29.5 s
      ~ libuv.so.1+0x1f0
      (the stack ends here: its code has neither unwind table nor frame pointer)

  3.      512 B  <0.1%, 1 block by realloc, oldest 29.5 s
      [stack lost]

~ marks frames that may be wrong: found by a frame pointer, behind code that no
unwind table tells of.

lost  nothing
"
    );
}

/// What went wrong is told in full: why figures are estimates, each loss, how it ended, the notes.
#[test]
fn shows_trouble() {
    let text = render(&sample::troubled(), PAGE);
    for expected in [
        "glibc 2.36, pid 17 in its container, killed by SIGKILL\n",
        "\nlevel   sampled: figures are estimates. After 3.2 s one block in 8 was recorded,\n        \
         and all of 64.0 KiB and more; 123,456 allocations were passed over. Why:\n        \
         the target's threads spent more than 20% of their time in probes\n",
        "\nLOST\n  1,200 calls, 5.6 MiB: not recorded: the ledger is full (raise --max-blocks)\n  \
         34 calls: not recorded: the allocator call never returned\n",
        "\nNOT COVERED\n  jemalloc, by its constants a part of /opt/app\n",
        "\nnote  The process was killed after 30.0 s of the 60 s asked for.\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    let mut report = sample::troubled();
    report.level = Level::Exact;
    let text = render(&report, PAGE);
    assert!(
        text.contains(
            "\nlevel   exact, but for what was lost (see LOST) and what is not covered (see NOT\n        \
             COVERED)\n"
        ),
        "{text}"
    );
}

/// A trace in slices tells how much of the time it recorded, and what may have been freed unseen.
#[test]
fn shows_slices() {
    let mut report = sample::troubled();
    let sampling = report.sampling.as_mut().unwrap();
    sampling.slices = Some(crate::model::Slices {
        count: 24,
        seconds: 0.5,
        frees_seconds: 28.0,
        unresolved_blocks: 1_200,
        unresolved_bytes: 5 << 20,
    });
    let text = render(&report, PAGE);
    let expected = "\nlevel   sampled: figures are estimates. Allocations were recorded in 24 slices of 0.5 s in\n        \
         all, frees watched for 28.0 s; 5.0 MiB in 1,200 blocks may have been freed unseen.\n";
    let joined = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(joined(&text).contains(&joined(expected)), "{text}");
}

/// What waits in sockets stands beside what the process holds, with whose doing it
/// is and for whom; of a trace in which next to nothing waited, one line.
#[test]
fn shows_sockets() {
    let mut report = sample::troubled();
    let text = render(&report, PAGE);
    let from = text.find("In the kernel's queues").unwrap();
    let to = text.find("\nLOST").unwrap();
    assert_eq!(
        &text[from..to],
        "\
In the kernel's queues of sockets at the end:
    37.8 MiB  send queues                                 +34.8 MiB
    63.9 KiB  receive queues
    32.0 KiB  orphans
   101.0 MiB  live in the processes' own heaps           +101.0 MiB
  per connection: 718.0 KiB in the kernel's queues, 1.9 MiB live of their own,
  of 54 connections
  last column: growth in the 29.8 s between the first look and the last; of live
  memory only what was allocated within the window is known
  10 peers do not read:
    10.0.0.1:51001 (4.0 MiB), 10.0.0.2:51002 (3.9 MiB),
    10.0.0.3:51003 (3.9 MiB), 10.0.0.4:51004 (3.8 MiB),
    10.0.0.5:51005 (3.8 MiB), and 5 more
    35.8 MiB  sent by JS:*broadcast /srv/app.js:31:12 < JS:~tick
              /srv/app.js:50:3 < main, on 43 sockets
     2.0 MiB  in send queues without a stack: sent before the trace
  TCP's accounting on this host: 203.2 MiB raised, 28.9 MiB forced, 230.2 MiB
  reduced, which makes +1.9 MiB; its sockets hold +2.0 MiB: 132.0 KiB (0.1% of
  what was raised) not explained.
  pressure: 3 times over a limit of the kernel's, 12 segments sent again
  Stacks were taken at the tracepoints of send and receive; bytes are those of
  the last look.
  fentry does not load here: EPERM.
"
    );
    let sockets = report.sockets.as_mut().unwrap();
    for moment in &mut sockets.timeline {
        moment.send_bytes = 1280;
    }
    let text = render(&report, PAGE);
    let line = "\nsockets  97.2 KiB in the kernel's queues of 54 connections at the end, never\n         \
                more than 97.2 KiB\n";
    assert!(text.contains(line), "{text}");
}

/// Whether anyone reads stands with a receive queue; stacks whose lines would look the same
/// are one line, of at least one socket and of both's at most.
#[test]
fn shows_who_reads() {
    let mut report = sample::troubled();
    let sockets = report.sockets.as_mut().unwrap();
    let mut twin = sockets.sites[0].clone();
    twin.site_id = "00000000000000aa".to_owned();
    (twin.bytes, twin.sockets) = (1 << 20, 2);
    sockets.sites.push(twin);
    sockets.sites[1].bytes = 65_536;
    let text = render(&report, PAGE);
    for expected in [
        "    36.8 MiB  sent by JS:*broadcast /srv/app.js:31:12 < JS:~tick\n              \
         /srv/app.js:50:3 < main, on 43 to 45 sockets\n",
        "    64.0 KiB  received, and last read by JS:~onRequest /srv/app.js:7:1 < main,\n              \
         on 1 socket: with no byte read for at least 24.9 s\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
}

/// Of many sites the ten largest are shown; of deep stacks the frames next to the allocator.
#[test]
fn shows_the_largest() {
    let text = render(&sample::node_sized(1_000), PAGE);
    assert!(text.contains("\nThe 10 largest of 1,000 sites with live bytes:\n"));
    assert!(text.contains("\n 10. ") && !text.contains("\n 11. "));
    assert_eq!(
        text.matches("… 12 more, from node::module_29::Class<int>::method_")
            .count(),
        10
    );
    assert_eq!(text.matches("node::module_17::Class").count(), 10);
    assert_eq!(text.matches("node::module_18::Class").count(), 0);
}

/// A trace without live blocks says so instead of showing an empty table.
#[test]
fn shows_nothing_live() {
    let text = render(&sample::empty(), PAGE);
    assert!(text.contains("\nNothing allocated within the window was live at its end.\n"));
    assert!(text.contains("\nlive             0 B  in 0 blocks"));
    assert!(text.ends_with("\nlost  nothing\n"));
}

/// With several processes each site tells whose it is, and a crowd is counted.
#[test]
fn shows_several_processes() {
    let mut report = sample::small();
    let mut child = report.processes[0].clone();
    child.id = 2;
    child.pid = 4243;
    child.exit = Some(Exit::Status(3));
    child.followed = Some(Followed {
        parent: 4242,
        since: Beginning::Fork,
        gap_ms: 6.4,
    });
    report.processes = vec![report.processes[0].clone(); 9];
    report.processes[1] = child;
    report.sites[0].process = 2;
    let text = render(&report, PAGE);
    assert!(
        text.contains("forked by 4242, its first 6 ms not counted, exited"),
        "{text}"
    );
    assert!(text.contains("\nand 1 more, with less live\n"));
    assert!(text.contains("by malloc, oldest 29.5 s, in node (4243)\n"));
}

/// Long names lose their end, long paths their beginning; both keep a share of the line.
#[test]
fn long_names_leave_room_for_the_place() {
    let mut report = sample::small();
    report.sites.truncate(1);
    report.sites[0].frames = vec![Frame {
        function: Some("n".repeat(200)),
        file: Some(format!("/{}/app.c", "p".repeat(200))),
        line: Some(42),
        ..Frame::default()
    }];
    let text = render(&report, PAGE);
    let line = text.lines().find(|line| line.contains("nnn")).unwrap();
    assert_eq!(width(line), 80);
    assert!(
        line.ends_with("p/app.c:42") && line.contains("n…  …p"),
        "{line}"
    );
}

/// Colour adds attributes and nothing else.
#[test]
fn colour_changes_no_word() {
    let plain = render(&sample::troubled(), PAGE);
    let coloured = render(
        &sample::troubled(),
        Page {
            colour: true,
            ..PAGE
        },
    );
    assert!(coloured.contains("\u{1b}[1;31mLOST\u{1b}[0m"));
    let stripped = ["1", "2", "1;31", "0"].iter().fold(coloured, |text, code| {
        text.replace(&format!("\u{1b}[{code}m"), "")
    });
    assert_eq!(stripped, plain);
}

/// Figures at the limits of 64 bits, which only damage can bring, are shown and not a panic.
#[test]
fn shows_impossible_figures() {
    let mut report = sample::small();
    for site in &mut report.sites {
        site.counts = Counts::new(u64::MAX, u64::MAX, 0, 0);
        site.oldest_seconds = 1e308;
    }
    report.totals.counts = Counts::new(u64::MAX, u64::MAX, 0, 0);
    report.loss = vec![
        Loss {
            cause: LossCause::Unknown,
            calls: u64::MAX,
            bytes: Some(u64::MAX)
        };
        3
    ];
    assert!(render(&report, PAGE).contains("16.0 EiB"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the names, no line is wider than the page, and nothing steers the terminal.
    #[test]
    fn any_report_fits_the_page(report in sample::any_report(), columns in 0_usize..200) {
        let page = Page { columns, colour: false };
        let text = render(&report, page);
        prop_assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
        for line in text.lines() {
            prop_assert!(width(line) <= columns.max(COLUMNS_MIN), "{line}");
        }
    }
}

/// The JavaScript heap is told with its functions, each once, and as an estimate.
#[test]
fn tells_javascript_heaps() {
    let text = render(&sample::with_javascript(), PAGE);
    for words in [
        "JavaScript heap (V8):",
        "127.0 MiB resident at the end (40.0 MiB at the start)",
        "90.0 MiB allocated meanwhile, collected or not.",
        "33.3%  ~  30.0 MiB  keep",
        "16.7%  ~  15.0 MiB  format",
        "2 samples of allocation without a stack are missing: 4.9 KiB.",
    ] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
}
