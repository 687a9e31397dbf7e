// Blocks allocated by native code through a dozen JavaScript functions, some
// of them put into others by the compiler. Each line on standard input asks
// for a round; the answer is CPU and wall time of a block in ns.
'use strict';

const BLOCKS = Number(process.argv[2]);
const BYTES = 4096;

const through = [
  (n) => Buffer.allocUnsafeSlow(n),
  function second(n) { return through[0](n); },
  (n) => [n].map((x) => through[1](x))[0],
  (n) => through[2](n),
];

class Layer {
  constructor(next) { this.next = next; }
  handle(n) { return this.next ? this.next.handle(n) : through[3](n); }
}
const layers = new Layer(new Layer(new Layer(null)));

function round() {
  const cpu = process.cpuUsage();
  const start = process.hrtime.bigint();
  for (let i = 0; i < BLOCKS; i++) layers.handle(BYTES);
  const wall = Number(process.hrtime.bigint() - start);
  const { user, system } = process.cpuUsage(cpu);
  return [(user + system) * 1000 / BLOCKS, wall / BLOCKS];
}

for (let i = 0; i < 5; i++) round();
process.stdin.setEncoding('utf8');
process.stdin.on('data', (text) => {
  for (const _ of text.trim().split('\n')) console.log(round().join(' '));
});
console.log('up');
