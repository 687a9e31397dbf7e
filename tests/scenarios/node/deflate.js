// Why: one of the four stories: WebSockets with perMessageDeflate. A thousand clients come and talk, nineteen of
// twenty leave, and the resident set stays near its peak for good: it looks like a leak.
// Right answer: retention: zlib's states were freed, and glibc keeps their whole pages (docs/heap.md). Bytes: roughly
// the resident growth that is not the JS heap's, since part of it is still live.
'use strict';
const { fork } = require('child_process');
const path = require('path');
const { WebSocketServer } = require('ws');
const { go, ready } = require('./scenario');

const CLIENTS = 500;
const clients = path.join(__dirname, '../../programs/deflate/clients.js');
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: { threshold: 0 } });
server.on('connection', (socket) => {
  socket.on('message', (message) => socket.send(message));
});
const heard = (child) => new Promise((resolve) => child.once('message', resolve));

server.on('listening', async () => {
  const child = fork(clients, [server.address().port, CLIENTS]);
  await heard(child);
  ready();
  await go;
  for (const command of ['talk', 'leave']) {
    child.send(command);
    await heard(child);
  }
});
