// A server with a leak nobody suspects: its request log keeps every body.
// It sends itself some hundred requests a second.
'use strict';
const http = require('http');
const zlib = require('zlib');

const requestLog = [];

function rememberRequest(url, body) {
  requestLog.push({ url, body: Buffer.from(body) });
}

function readBody(request, done) {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => done(Buffer.concat(chunks)));
}

function handleRequest(request, response) {
  readBody(request, (body) => {
    rememberRequest(request.url, body);
    zlib.deflate(body, (error, packed) => response.end(packed));
  });
}

const server = http.createServer(handleRequest);
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const body = Buffer.alloc(16 * 1024, 'a request ');
  const send = () => {
    const request = http.request({ port, agent, method: 'POST', path: '/orders' }, (response) => response.resume());
    request.on('error', () => {});
    request.end(body);
  };
  setInterval(send, 4);
  console.log('ready');
});
