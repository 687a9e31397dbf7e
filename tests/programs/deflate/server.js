// A server of WebSockets with perMessageDeflate, as many run: clients come, talk,
// and most of them leave. What zlib held for them is freed by then; says how
// much is resident all the same.
// Arguments: clients. NODE_PATH: where `ws` is.
const { fork } = require('child_process');
const path = require('path');
const { WebSocketServer } = require('ws');

const clients = Number(process.argv[2]);
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: { threshold: 0 } });
server.on('connection', (socket) => {
  socket.on('message', (message) => socket.send(message));
});

function say(value, is) { console.log(JSON.stringify({ value, is })); }
const heard = (child) => new Promise((resolve) => child.once('message', resolve));

async function work(child, lines) {
  console.log('{"event":"ready"}');
  await lines.next();
  for (const command of ['talk', 'leave']) {
    child.send(command);
    await heard(child);
  }
  while (server.clients.size > clients / 20) await new Promise(setImmediate);
  for (let round = 0; round < 4; round++) {
    global.gc();
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  const { rss, heapUsed } = process.memoryUsage();
  say('rss', rss);
  say('heapUsed', heapUsed);
  console.log('{"event":"truth"}');
  await lines.next();
  process.exit(0);
}

server.on('listening', async () => {
  const child = fork(path.join(__dirname, 'clients.js'), [server.address().port, clients], { execArgv: [] });
  const lines = require('readline').createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  await heard(child);
  work(child, lines);
});
