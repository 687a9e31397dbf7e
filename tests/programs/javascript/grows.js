// Keeps more and more in an array, 400,000 objects each time it is told to.
'use strict';
const kept = [];

function rememberRequest(i) {
  kept.push({ id: i, next: i + 1, text: 'request ' + i });
}

function grow() {
  for (let i = 0; i < 400000; i++) rememberRequest(i);
}

console.log('{"event":"ready"}');
require('node:readline').createInterface({ input: process.stdin }).on('line', () => {
  grow();
  console.log('{"event":"truth"}');
});
