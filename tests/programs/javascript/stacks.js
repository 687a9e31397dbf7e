// Allocates through JavaScript of many kinds. The size of each block tells its
// stack, which `Error.captureStackTrace` takes on the line that allocates.
'use strict';
const { EventEmitter } = require('events');
const { isMainThread, parentPort, Worker, workerData } = require('worker_threads');
const path = require('path');

Error.stackTraceLimit = Infinity;

// Of sizes that nobody else asks for.
const STEP = 16;
let next = isMainThread ? 50003 : workerData;
// Stack → size, frames, and how many blocks of it there were.
const seen = new Map();

function stack() {
  const before = Error.prepareStackTrace;
  Error.prepareStackTrace = (_, sites) => sites.filter((site) => !site.isAsync()).map((site) =>
    [site.getFunctionName() || '', site.getFileName() || '', site.getLineNumber(), site.isEval()]);
  const taken = {};
  Error.captureStackTrace(taken, stack);
  const { stack: frames } = taken;
  Error.prepareStackTrace = before;
  return frames;
}

function sizeOf(frames) {
  const key = JSON.stringify(frames);
  let known = seen.get(key);
  if (!known) {
    known = { size: next, frames, blocks: 0 };
    next += STEP;
    seen.set(key, known);
  }
  known.blocks++;
  return known.size;
}

function here() { const size = sizeOf(stack()); return Buffer.allocUnsafeSlow(size); }

module.exports = { here };

function outer() { return middle(1); }
function middle(x) { return x ? inner(x) : null; }
function inner() {
  return here();
}

const makeClosure = (label) => {
  const deep = () => () => (label ? here() : null);
  return function closure() {
    return deep()();
  };
};
const closure = makeClosure('kept');

class Base {
  constructor(now) { if (now) this.made = here(); }
  method() { return here(); }
  static make(now) { return new this(now); }
}
class Derived extends Base {
  #secret() { return super.method(); }
  method() {
    return this.#secret();
  }
  get taken() { return here(); }
  set taken(value) { here(value); }
  * generate() { yield here(); yield here(); }
}

const record = {
  shorthand() { return here(); },
  assigned: function () { return here(); },
  arrow: () => here(),
  async later() { await null; return here(); },
};

function recurse(depth) { return depth === 0 ? here() : recurse(depth - 1); }

function manyLines(first,
  second = here()) {
  return [
    first,
    here(),
    second,
  ].map((x) => x ||
    here());
}

function callbacks() {
  [3, 1, 2].forEach(function each() { here(); });
  [3, 1, 2].map((x) => here(x));
  [3, 1, 2].reduce((sum, x) => { here(); return sum + x; }, 0);
  [3, 1, 2].sort((a, b) => { here(); return a - b; });
  'abc'.replace(/b/, () => { here(); return ''; });
  JSON.parse('[1]', (key, value) => { here(); return value; });
  Reflect.apply(outer, null, []);
  inner.call(null);
  inner.apply(null, []);
  inner.bind(null)();
  new Function('here', 'here();\nhere();')(here);
}

function guarded() {
  try {
    throw new Error('for the handler');
  } catch {
    here();
  } finally {
    here();
  }
}

const emitter = new EventEmitter();
emitter.on('event', function onEvent() { here(); });

async function awaits() {
  here();
  await null;
  here();
  for await (const _ of (async function* stream() { yield here(); })()) here();
  await Promise.all([1].map(async () => { await null; here(); }));
}

const later = (set) => new Promise((resolve) => set(function called() { resolve(here()); }));

// Compiled, with the functions that it calls put into it.
function hot(rounds, allocates) {
  let sum = 0;
  for (let i = 0; i < rounds; i++) {
    const now = allocates && i === rounds / 2;
    sum += branch(i, now);
  }
  return sum;
}
// The same without a loop of its own: V8 calls it for each letter.
const letters = 'x'.repeat(1000);
let calls = 0;
function many() {
  letters.replace(/x/g, function called() { return String(warm(1, ++calls % 5000 === 0)); });
}
const stepper = { current: null };
function warm(i, now) {
  return arrow(i, now) +
    bound(i, now) +
    stepper.current.step(i, now);
}
class Stepper {
  step(i, now) { return this.#inner(i, now); }
  #inner(i, now) {
    return branch(i, now);
  }
}
const arrow = (i, now) => leaf(i,
  now);
const bound = leaf.bind(null);
stepper.current = new Stepper();
function branch(i, now) { return leaf(i, now) + 1; }
function leaf(i, now) {
  if (now) here();
  return i & 3;
}

function atOnce() {
  outer();
  closure();
  Base.make(true);
  Derived.make(true);
  const derived = new Derived(false);
  derived.method();
  derived.taken = derived.taken;
  for (const _ of derived.generate()) here();
  record.shorthand();
  record.assigned();
  record.arrow();
  recurse(20);
  manyLines(0);
  callbacks();
  guarded();
  emitter.emit('event');
}

async function once(round, fromModule) {
  atOnce();
  fromModule(here);
  for (let k = 0; k < 6; k++) hot(2000, round % 10 === 0);
  many();
  if (round % 20 === 0) {
    await record.later();
    await awaits();
    await later(setImmediate);
    await later(process.nextTick);
    await later((then) => setTimeout(then, 0));
    await Promise.resolve().then(() => here());
  }
}

// One after the other as a server's requests come, in no loop.
async function work(rounds) {
  const { fromModule } = await import('./module.mjs');
  const from = (round) => (round < rounds
    ? once(round, fromModule).then(() => from(round + 1))
    : [...seen.values()]);
  return from(0);
}

async function main() {
  const rounds = Number(process.argv[2]);
  const input = require('readline').createInterface({ input: process.stdin });
  const lines = input[Symbol.asyncIterator]();
  console.log('{"event":"ready"}');
  await lines.next();
  const own = await work(rounds);
  const worker = new Worker(__filename, { argv: [String(rounds / 10)], workerData: next });
  const others = await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  for (const stack of [...own, ...others]) console.log(JSON.stringify(stack));
  console.log('{"event":"truth"}');
  await lines.next();
  input.close();
}

if (isMainThread) {
  main();
} else {
  work(Number(process.argv[2])).then((stacks) => parentPort.postMessage(stacks));
}
