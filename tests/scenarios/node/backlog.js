// Why: a server that writes without asking whether its clients read (`write() === false` is ignored): what the
// kernel does not take any more waits in the process, as Buffers. It looks exactly like a leak. The
// clients have been there for a while: the kernel's queues for those that stall are full.
// Right answer: backlog, of `pushUpdates`: live bytes grow behind sockets whose peers have closed their windows. Bytes: what
// the sockets have not got rid of (writableLength).
'use strict';
const { spawn } = require('child_process');
const net = require('net');
const { between, counters, go, ready } = require('./scenario');

const CLIENTS = 20;
const STALLED = between(6, 8);
// More than the kernel takes for a peer that does not read.
const history = Buffer.alloc(6 << 20, 'h');
const sockets = new Set();

function pushUpdates(socket) {
  socket.write(Buffer.alloc(between(16384, 32768), 'u'));
}

function waiting() {
  let bytes = 0;
  for (const one of sockets) bytes += one.writableLength;
  return bytes;
}

// What waits when those who read have read it all.
async function settled() {
  for (let before = -1, now = waiting(); ; before = now, now = waiting()) {
    if (before === now) return now;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

const server = net.createServer(async (socket) => {
  socket.on('error', () => {});
  socket.write(history);
  sockets.add(socket);
  if (sockets.size < CLIENTS) return;
  const before = await settled();
  ready();
  await go;
  setInterval(() => {
    for (const one of sockets) pushUpdates(one);
    counters.leaked_bytes = waiting() - before;
  }, 50);
});
server.listen(0, '127.0.0.1', () => {
  const clients = [server.address().port, CLIENTS, STALLED].map(String);
  spawn(process.env.SCENARIO_CLIENTS, clients, { stdio: ['ignore', 'ignore', 'inherit'] });
});
