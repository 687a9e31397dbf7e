// Why: a real server from npm (fastify), with a benchmark client from there (autocannon) at full speed: JIT, warm
// pools, collectors, connections that come and go.
// Right answer: healthy. It has been warmed up for some seconds.
'use strict';
const { spawn } = require('child_process');
const path = require('path');
const fastify = require('fastify')();
const { between, ready } = require('./scenario');

fastify.get('/', async () => ({ hello: 'world', rows: Array.from({ length: between(10, 60) }, (_, id) => ({ id })) }));

function load(port, seconds) {
  const program = path.join(process.env.SCENARIO_NPM, 'autocannon/autocannon.js');
  const load = ['-c', String(between(10, 30)), '-d', String(seconds), `http://127.0.0.1:${port}/`];
  return spawn(process.execPath, [program, ...load], { stdio: 'ignore' });
}

fastify.listen({ port: 0, host: '127.0.0.1' }).then(() => {
  const { port } = fastify.server.address();
  load(port, 8).on('exit', () => {
    ready();
    load(port, 600);
  });
});
