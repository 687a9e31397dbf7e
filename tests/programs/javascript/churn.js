// Makes functions without end, each with a name of its own, and drops them: the
// memory of one is soon another's. The size of a block tells which of them
// allocated it.
'use strict';
const FIRST = 50003;
const STEP = 16;

function churn(count) {
  for (let number = 0; number < count; number++) {
    const size = FIRST + number * STEP;
    const name = `churned${number}`;
    const text = `return function ${name}() {\n\n return allocate(${size}); }`;
    new Function('allocate', text)((size) => Buffer.allocUnsafeSlow(size))();
  }
}

process.stdin.once('data', () => {
  churn(Number(process.argv[2]));
  console.log('{"event":"truth"}');
  process.stdin.once('data', () => process.exit(0));
});
console.log('{"event":"ready"}');
