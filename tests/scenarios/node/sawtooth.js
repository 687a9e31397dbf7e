// Why: a server at work: each request makes garbage, some of it lives for a second, and the collector takes
// it in big steps. The heap's curve is a saw of tens of megabytes.
// Right answer: healthy: the troughs do not rise. It has been running for a while.
'use strict';
const { between, ready } = require('./scenario');

const recent = [];
const source = JSON.stringify(Array.from({ length: 300 }, (_, id) => ({ id, name: `row ${id}`, tags: ['a', 'b'] })));

function handle() {
  const rows = JSON.parse(source);
  recent.push(rows.map((row) => ({ ...row, seen: between(0, 9) })));
  if (recent.length > 400) recent.shift();
}

setInterval(() => {
  for (let request = 0; request < 6; request++) handle();
}, 10);
setTimeout(ready, 6000);
