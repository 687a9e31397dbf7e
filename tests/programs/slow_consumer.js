// Pushes to its clients: waits for those who read, and never for those at the address
// that it is given. `push ROUNDS CLIENTS` on standard input waits for so many clients,
// and is answered by what it has not got rid of when it has written all.
'use strict';
const { once } = require('events');
const net = require('net');
const readline = require('readline');

const PIECE = 32768;
const careless = process.argv[2];
const clients = new Set();

// Whether the client reads or not.
function pushUpdates(socket) {
  socket.write(Buffer.alloc(PIECE, 'u'));
}

function answerPolitely(socket) {
  socket.write(Buffer.alloc(PIECE, 'p'));
}

async function push(rounds) {
  for (let round = 0; round < rounds; round++) {
    for (const socket of clients) {
      if (socket.remoteAddress === careless) {
        pushUpdates(socket);
        continue;
      }
      if (socket.writableNeedDrain) await once(socket, 'drain');
      answerPolitely(socket);
    }
    await new Promise(setImmediate);
  }
}

function tell(name, value) {
  console.log(JSON.stringify({ value: name, is: value }));
}

const server = net.createServer((socket) => {
  clients.add(socket);
  server.emit('client');
});

server.listen(0, '127.0.0.1', () => {
  console.log('{"event":"ready"}');
  readline.createInterface({ input: process.stdin }).on('line', async (line) => {
    const [verb, rounds, count] = line.split(' ');
    if (verb === 'push') {
      while (clients.size < Number(count)) await once(server, 'client');
      await push(Number(rounds));
    }
    let backlog = 0;
    for (const socket of clients) backlog += socket.writableLength;
    tell('backlog', backlog);
    tell('port', server.address().port);
    console.log('{"event":"truth"}');
  });
});
