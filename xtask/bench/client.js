// Sixteen keep-alive connections for some seconds. Every tenth of a second it
// prints the monotonic time, ns, and the answers so far; at last `end`.
'use strict';
const http = require('http');
const [port, seconds] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
let done = 0;
function next() {
  http.get({ host: '127.0.0.1', port, agent }, (response) => {
    response.resume();
    response.on('end', () => { done += 1; next(); });
  });
}
const say = () => console.log(`${process.hrtime.bigint()} ${done}`);
for (let i = 0; i < 16; i += 1) next();
say();
setInterval(say, 100);
setTimeout(() => { say(); console.log('end'); process.exit(0); }, seconds * 1000);
