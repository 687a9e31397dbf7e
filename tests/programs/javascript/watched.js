// One of the programs of a host: `healthy`, `leaks`, `spikes` or `pushes`. Says `ready`, with
// its port if it has one; `spikes` has a spike for each line on standard input.
'use strict';
const net = require('net');
const readline = require('readline');

const [role] = process.argv.slice(2);
const MIB = 1 << 20;
const log = [];
const update = Buffer.alloc(256 << 10, 'u');

// 6 MiB a second that nobody forgets.
function remember() {
  for (let i = 0; i < 6; i++) log.push(Buffer.alloc(100 << 10, 'l'));
}

// To everybody, whether they read or not, as much as the kernel takes.
function pushUpdates(clients) {
  for (const socket of clients) {
    if (socket.writableLength === 0) socket.write(update);
  }
}

// 256 MiB for a second or two.
function spike() {
  let large = Buffer.alloc(256 * MIB, 's');
  setTimeout(() => {
    large = null;
    global.gc();
  }, 1500);
}

// A little garbage, as everybody has.
setInterval(() => Buffer.alloc(10 << 10), 50);

if (role === 'leaks') setInterval(remember, 100);
if (role === 'spikes') readline.createInterface({ input: process.stdin }).on('line', spike);
if (role === 'pushes') {
  const clients = new Set();
  const server = net.createServer((socket) => {
    clients.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => clients.delete(socket));
  });
  server.listen(0, '127.0.0.1', () => console.log(`ready ${server.address().port}`));
  setInterval(() => pushUpdates(clients), 50);
} else {
  setTimeout(() => console.log('ready 0'), 10);
}
