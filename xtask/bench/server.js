// A small HTTP server; prints its port. `leak` keeps a buffer a request.
'use strict';
const http = require('http');
const kept = [];
const leak = process.argv[2] === 'leak';
const server = http.createServer((request, response) => {
  if (leak) kept.push(Buffer.alloc(4096, 'leak'));
  response.end('hello');
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
