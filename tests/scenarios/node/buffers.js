// Why: uploads that a server remembers as Buffers. The JS heap hardly grows: the bytes are outside
// it, in the allocator, and a heap snapshot shows small objects.
// Right answer: leak, of `keepUpload`. Bytes: the Buffers' lengths.
'use strict';
const { between, counters, ready } = require('./scenario');

const uploads = [];

function keepUpload(size) {
  uploads.push(Buffer.alloc(size, 'u'));
  counters.leaked_bytes += size;
}

function passUpload(size) {
  return Buffer.alloc(size, 'p').subarray(0, 10).toString();
}

ready();
setInterval(() => {
  keepUpload(between(20000, 100000));
  passUpload(between(2000, 8000));
}, 20);
