// An HTTP server that leaks: its request log keeps every body for good.
// Prints the port; each line on standard input asks for as many requests,
// and is answered when they are done.
'use strict';
const http = require('http');
const readline = require('readline');

class RequestLog {
  constructor() { this.bodies = []; }
  remember(body) { this.bodies.push(Buffer.alloc(body.length, body)); }
}

const log = new RequestLog();

const server = http.createServer((request, response) => {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    log.remember(Buffer.concat(pieces));
    response.end('ok');
  });
});

function post(port, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ port, method: 'POST' }, (response) => {
      response.resume();
      response.on('end', resolve);
    });
    request.on('error', reject);
    request.end(body);
  });
}

server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const body = Buffer.alloc(64 * 1024, 'x');
  console.log('ready');
  readline.createInterface({ input: process.stdin }).on('line', async (line) => {
    for (let i = 0; i < Number(line); i++) await post(port, body);
    console.log('done');
  });
});
