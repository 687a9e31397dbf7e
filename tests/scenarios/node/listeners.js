// Why: each request subscribes to the bus with a closure and never unsubscribes; the closure keeps
// what the request parsed.
// Right answer: js-heap. What fills it is what the closures keep, made by `readCart`. Bytes: of the pool, as V8 counts
// the heap that is resident.
'use strict';
const { EventEmitter } = require('events');
const { between, ready } = require('./scenario');

const bus = new EventEmitter();
bus.setMaxListeners(0);

function readCart(items) {
  return Array.from({ length: items }, (_, item) => ({ item, price: item * 1.5, name: `item ${item}` }));
}

function handle() {
  const cart = readCart(between(50, 150));
  bus.on('rates', () => cart.length);
  return cart.length;
}

ready();
setInterval(() => {
  for (let request = 0; request < 15; request++) handle();
}, 20);
