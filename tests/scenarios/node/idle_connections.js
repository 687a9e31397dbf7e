// Why: one of the four stories: twenty thousand connections, nearly all of them idle, and some that asked for a
// feed and do not read it. The server honours back-pressure, so nothing grows in it.
// Right answer: send-buffer, of `pushFeed`: a few dozen peers of the many hold it all. Bytes: the send queues of its port, as
// `ss` tells them (python/queues.py). With `quiet` nobody asks for a feed: healthy.
'use strict';
const { spawn } = require('child_process');
const net = require('net');
const path = require('path');
const { between, go, ready } = require('./scenario');

const CLIENTS = Number(process.argv[2]);
const FEEDS = process.argv[3] === 'quiet' ? 0 : between(30, 40);
const sockets = [];

function pushFeed(socket) {
  if (!socket.writableNeedDrain) socket.write(Buffer.alloc(16384, 'f'));
}

function ping(socket) { socket.write('ping\n'); }

async function serve(port) {
  const queues = path.join(__dirname, '../python/queues.py');
  ready();
  spawn('/usr/bin/python3', [queues, String(port)], { stdio: ['ignore', 'inherit', 'inherit'] });
  await go;
  setInterval(() => sockets.slice(0, FEEDS).forEach(pushFeed), 20);
  let next = FEEDS;
  setInterval(() => {
    for (let count = 0; count < 100; count++) ping(sockets[(next = Math.max(FEEDS, (next + 1) % CLIENTS))]);
  }, 100);
}

const server = net.createServer((socket) => {
  socket.on('error', () => {});
  if (sockets.push(socket) === CLIENTS) serve(server.address().port);
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  const clients = [server.address().port, CLIENTS, FEEDS].map(String);
  spawn(process.env.SCENARIO_CLIENTS, clients, { stdio: ['ignore', 'ignore', 'inherit'] });
});
