// Why: one of the four stories: seven workers take jobs from a queue, one kind of job leaks, and its worker is
// started again whenever it is too big: the curve of the whole is a saw, and a restart hides its cause.
// Right answer: leak, of `archiveJob`, in the worker of that kind and in no other. Bytes: what that worker
// keeps. `restarting`: it is restarted within the window, and traced from its start.
'use strict';
const { fork } = require('child_process');
const { between, counters, ready } = require('./scenario');

const KINDS = ['mail', 'resize', 'archive', 'invoice', 'export', 'notify', 'sync'];
const LIMIT = 60e6;
const kept = [];

function archiveJob(size) {
  kept.push(Buffer.alloc(size, 'j'));
  counters.leaked_bytes += size;
}

// Small: what a collector takes in time, and from node's pool.
function plainJob(lines) {
  return JSON.stringify(Array.from({ length: lines }, (_, line) => ({ line, price: line * 2 }))).length;
}

function work(kind, restarting) {
  if (kind === 'archive') ready((process.env.SCENARIO_PIDS || '').split(',').filter(Boolean).map(Number));
  process.send('up');
  setInterval(() => {
    if (kind !== 'archive') return plainJob(between(200, 800));
    archiveJob(between(40000, 120000));
    // As a supervisor's memory limit does; the next one stays.
    if (restarting === 'restarting' && counters.leaked_bytes > LIMIT) process.exit(1);
  }, 20);
}

function start(kind, restarting) {
  const child = fork(__filename, [kind, restarting], { stdio: ['pipe', 'inherit', 'inherit', 'ipc'] });
  child.on('exit', () => start(kind, 'settled'));
  return new Promise((resolve) => child.once('message', () => resolve(child.pid)));
}

async function supervise(restarting) {
  const pids = await Promise.all(KINDS.filter((kind) => kind !== 'archive').map((kind) => start(kind, '')));
  // The last: its first line says that all are there.
  process.env.SCENARIO_PIDS = pids.join(',');
  await start('archive', restarting);
}

if (KINDS.includes(process.argv[2])) work(process.argv[2], process.argv[3]);
else supervise(process.argv[2]);
