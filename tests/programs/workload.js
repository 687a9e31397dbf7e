// Buffers and zlib, on the main thread and in node's thread pool.
'use strict';
const zlib = require('zlib');

const kept = [];
for (let i = 0; i < 3000; i++) {
  const buffer = Buffer.alloc(4000 + i * 7, i);
  if (i % 3 === 0) kept.push(buffer);
  if (i % 10 === 0) kept.push(zlib.gzipSync(buffer));
}
let waiting = 200;
for (let i = 0; i < 200; i++) {
  zlib.deflate(Buffer.alloc(50000, i), (error, packed) => {
    if (error) throw error;
    zlib.inflate(packed, () => { if (--waiting === 0) console.log(kept.length); });
  });
}
