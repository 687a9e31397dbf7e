// The clients of server.js: all of them talk, nineteen of twenty leave.
// Arguments: port, clients.
const WebSocket = require('ws');

const [port, clients] = process.argv.slice(2).map(Number);
const ROUNDS = 12;
const AT_ONCE = 50;
const sockets = [];

const words = Array.from({ length: 400 }, (_, i) => `word${((i * 7919) % 9973).toString(36)}`);
let state = 12345;
function next(below) {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return (state >>> 8) % below;
}
function text() {
  let text = '';
  for (const length = 750 + next(4500); text.length < length;) text += `${words[next(400)]} `;
  return text;
}

function open() {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: { threshold: 1 << 30 } });
    socket.on('open', () => resolve(sockets.push(socket)));
    socket.on('error', reject);
  });
}

function echoed(socket) {
  return new Promise((resolve) => {
    socket.once('message', resolve);
    socket.send(text());
  });
}

const commands = {
  async talk() {
    for (let round = 0; round < ROUNDS; round++) {
      for (let first = 0; first < sockets.length; first += AT_ONCE) {
        await Promise.all(sockets.slice(first, first + AT_ONCE).map(echoed));
      }
    }
  },
  async leave() {
    const leaving = sockets.filter((_, index) => index % 20 !== 0);
    await Promise.all(leaving.map((socket) => new Promise((resolve) => {
      socket.once('close', resolve);
      socket.close();
    })));
  },
};

process.on('message', async (command) => {
  await commands[command]();
  process.send(command);
});
process.on('disconnect', () => process.exit(0));

(async () => {
  for (let count = 0; count < clients; count += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, open));
  process.send('open');
})();
