// Why: the library of the second story: socket.io with perMessageDeflate, attached to while few are there. Hundreds
// come, talk and leave within the window, and the resident set stays near its peak: it looks like a leak.
// Right answer: retention: zlib's states of those who left were freed, and glibc keeps their whole pages. Bytes: roughly
// the resident growth that is not the JS heap's, since part of it is still live.
'use strict';
const { fork } = require('child_process');
const { between, go, ready } = require('./scenario');

const CLIENTS = 500;
const AT_ONCE = 25;
const ROUNDS = 6;

const words = Array.from({ length: 400 }, (_, number) => `word${((number * 7919) % 9973).toString(36)}`);
const text = () => Array.from({ length: between(150, 900) }, () => words[between(0, 399)]).join(' ');

function serve() {
  const { Server } = require('socket.io');
  const io = new Server({ perMessageDeflate: { threshold: 0 }, maxHttpBufferSize: 1e7 });
  io.on('connection', (socket) => {
    socket.on('message', (message) => socket.emit('message', message));
  });
  io.listen(0);
  io.httpServer.once('listening', async () => {
    // With an input of its own: this one's is the barrier.
    const stdio = ['pipe', 'inherit', 'inherit', 'ipc'];
    const child = fork(__filename, ['clients', io.httpServer.address().port], { stdio });
    const heard = () => new Promise((resolve) => child.once('message', resolve));
    await heard();
    ready();
    await go;
    child.send('visit');
  });
}

async function visit(port) {
  const { io } = require('socket.io-client');
  const open = () => new Promise((resolve, reject) => {
    const socket = io(`http://127.0.0.1:${port}`, { transports: ['websocket'], forceNew: true, reconnection: false });
    socket.once('connect', () => resolve(socket));
    socket.once('connect_error', reject);
  });
  const echoed = (socket) => new Promise((resolve) => {
    socket.once('message', resolve);
    socket.emit('message', text());
  });
  const some = (count, work) => Promise.all(Array.from({ length: count }, (_, number) => work(number)));
  const sockets = await some(AT_ONCE, open);
  await some(AT_ONCE, (number) => echoed(sockets[number]));
  process.send('there');
  await new Promise((resolve) => process.once('message', resolve));
  while (sockets.length < CLIENTS) {
    const first = sockets.length;
    sockets.push(...await some(AT_ONCE, open));
    for (let round = 0; round < ROUNDS; round++) await some(AT_ONCE, (number) => echoed(sockets[first + number]));
  }
  sockets.filter((_, number) => number % 20 !== 0).forEach((socket) => socket.disconnect());
}

if (process.argv[2] === 'clients') {
  process.on('disconnect', () => process.exit(0));
  visit(Number(process.argv[3]));
} else {
  serve();
}
