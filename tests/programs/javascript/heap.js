// Allocates in V8's heap in known shares, or leaks there; says what, by its own count.
'use strict';
const v8 = require('node:v8');

// Bytes of what each call allocates: a header of 24 and a word for each property; a header of
// 32, one of 16 for the elements, and a word each; a header of 16 and a byte a character.
const OBJECT = 24 + 4 * 8;
const ARRAY = 32 + 16 + 100 * 8;
const LARGE = 32 + 16 + 40000 * 8;
const STRING = 16 + 1000;
const characters = Buffer.alloc(1000, 'a');
let sink;

function objects(count) {
  let last;
  for (let i = 0; i < count; i++) last = { a: i, b: i, c: i, d: i };
  return last;
}

function arrays(count) {
  let last;
  for (let i = 0; i < count; i++) last = new Array(100).fill(i);
  return last;
}

function large(count) {
  let last;
  for (let i = 0; i < count; i++) last = new Array(40000).fill(i);
  return last;
}

function strings(count) {
  let last;
  for (let i = 0; i < count; i++) last = characters.latin1Slice(0, 1000);
  return last;
}

// Called from one place, of which the compiler puts none into the caller: an allocation in
// compiled code can be told as that function's.
const KINDS = [[objects, 20000], [arrays, 400], [large, 1], [strings, 150]];

function round() {
  for (const [allocate, count] of KINDS) sink = allocate(count);
}

function shares(rounds) {
  const start = process.cpuUsage();
  for (let done = 0; done < rounds; done++) round();
  const used = process.cpuUsage(start);
  const seconds = (used.user + used.system) / 1e6;
  const bytes = {
    objects: rounds * 20000 * OBJECT,
    arrays: rounds * 400 * ARRAY,
    large: rounds * LARGE,
    strings: rounds * 150 * STRING,
  };
  return { seconds, bytes };
}

// The story this project began with: a list of ids that nobody takes anything from.
const remembered = [];
let next = 0;

function remember(count) {
  for (let i = 0; i < count; i++) remembered.push({ id: next++, at: [i, i] });
}

const WORK = [[remember, 4000], [arrays, 100], [strings, 10]];

function handle() {
  for (const [work, count] of WORK) sink = work(count);
}

const [what, amount] = process.argv.slice(2);
const say = (what) => console.log(JSON.stringify(what));

function truth(more) {
  say({ ...more, physical_bytes: v8.getHeapStatistics().total_physical_size });
}

process.stdin.once('data', () => {
  if (what === 'shares') {
    truth(shares(Number(amount)));
  } else {
    let left = Number(amount);
    const timer = setInterval(() => {
      handle();
      if (--left > 0) return;
      clearInterval(timer);
      truth({});
    }, 20);
  }
  process.stdin.once('data', () => process.exit(0));
});
if (what === 'shares') shares(20);
say({ event: 'ready' });
