// Why: one of the four stories: an array of ids that only grows, in a wrapper library that the shop's own
// code does not show. Thousands of small strings, none of them suspicious.
// Right answer: js-heap, and among those that allocate the library's `trackId` or `send`. Bytes: of
// the pool, as V8 counts the heap that is resident.
'use strict';
const { CommandClient } = require('./shop/node_modules/command-client');
const { between, ready } = require('./scenario');

const client = new CommandClient();

function placeOrder() {
  const id = client.send('order');
  client.answered(Number(id.split(':')[1]));
}

ready();
setInterval(() => {
  for (let count = between(1500, 2500); count > 0; count--) placeOrder();
}, 20);
