// What the scenarios in JavaScript share: a seed, a barrier, and telling their truth; see c/scenario.h.
'use strict';
const fs = require('fs');
const v8 = require('v8');

const counters = { leaked_bytes: 0 };
let state = (Number(process.env.SCENARIO_SEED || 1) * 2654435761) >>> 0;

// A number from `least` to `most`, seeded (mulberry32).
function between(least, most) {
  state = (state + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return least + (((mixed ^ (mixed >>> 14)) >>> 0) % (most - least + 1));
}

function anonymousBytes() {
  const fields = fs.readFileSync('/proc/self/statm', 'latin1').split(' ');
  return (fields[1] - fields[2]) * 4096;
}

// From here on the truth is told. `others`: what else is to be traced, by pid.
function ready(others) {
  const file = fs.openSync(process.env.SCENARIO_TRUTH || '/dev/stdout', 'a', 0o600);
  const write = () => {
    const line = {
      ns: 0, pid: process.pid, pids: others, ...counters,
      heap_bytes: v8.getHeapStatistics().total_physical_size, anonymous_bytes: anonymousBytes(),
    };
    const text = JSON.stringify(line).replace('0', String(process.hrtime.bigint()));
    fs.writeSync(file, `${text}\n`);
  };
  write();
  setInterval(write, 100);
}

// Resolves when memtrace traces; the end of standard input ends the program.
const go = new Promise((resolve) => {
  process.stdin.on('data', resolve);
  process.stdin.on('end', () => process.exit(0));
});

module.exports = { between, counters, go, ready };
