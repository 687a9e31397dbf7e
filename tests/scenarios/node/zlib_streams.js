// Why: compressors that are made for each response and never closed: each holds some 260 KB of
// zlib's state outside the JS heap, while the object itself is small.
// Right answer: leak, of `compressResponse`. Bytes: of the pool: what zlib asks for is more than what it touches,
// so it is the resident growth less the JS heap's.
'use strict';
const zlib = require('zlib');
const { between, ready } = require('./scenario');

const open = [];

function compressResponse(text) {
  const stream = zlib.createDeflateRaw();
  stream.write(text);
  stream.flush();
  open.push(stream);
}

ready();
setInterval(() => {
  compressResponse(Buffer.from('response '.repeat(between(1000, 6000))));
}, 50);
