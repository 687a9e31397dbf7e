// Why: a server that writes without asking whether its clients read (`write() === false` is ignored): what the
// kernel does not take any more waits in the process, as Buffers. It looks exactly like a leak.
// Right answer: backlog, of `pushUpdates`: live bytes grow behind sockets whose peers have closed their windows. Bytes: what
// the sockets have not got rid of (writableLength).
'use strict';
const { spawn } = require('child_process');
const net = require('net');
const { between, counters, go, ready } = require('./scenario');

const CLIENTS = 50;
const STALLED = between(4, 6);
const sockets = new Set();

function pushUpdates(socket) {
  socket.write(Buffer.alloc(between(16384, 32768), 'u'));
}

const server = net.createServer(async (socket) => {
  socket.on('error', () => {});
  sockets.add(socket);
  if (sockets.size < CLIENTS) return;
  ready();
  await go;
  setInterval(() => {
    for (const one of sockets) pushUpdates(one);
    counters.leaked_bytes = 0;
    for (const one of sockets) counters.leaked_bytes += one.writableLength;
  }, 25);
});
server.listen(0, '127.0.0.1', () => {
  const clients = [server.address().port, CLIENTS, STALLED].map(String);
  spawn(process.env.SCENARIO_CLIENTS, clients, { stdio: ['ignore', 'ignore', 'inherit'] });
});
