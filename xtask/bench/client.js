// Sixteen keep-alive connections for some seconds; prints requests a second.
'use strict';
const http = require('http');
const [port, seconds] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
let done = 0;
let over = false;
function next() {
  if (over) return;
  http.get({ host: '127.0.0.1', port, agent }, (response) => {
    response.resume();
    response.on('end', () => { done += 1; next(); });
  });
}
for (let i = 0; i < 16; i += 1) next();
setTimeout(() => { over = true; console.log(done / seconds); process.exit(0); }, seconds * 1000);
