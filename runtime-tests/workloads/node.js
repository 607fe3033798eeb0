// Timers, a worker thread that answers, and memory that was filled before; an HTTP server tells whether all is well.
const http = require('http');
const crypto = require('crypto');
const { Worker } = require('worker_threads');

const sum = (n) => crypto.createHash('sha256').update(String(n)).digest('hex');
const table = new Map();
for (let i = 0; i < 20000; i++) table.set(i, sum(i));

const counts = { interval: 0, immediate: 0, worker: 0, promise: 0 };
setInterval(() => counts.interval++, 10);
(function again() {
  counts.immediate++;
  setTimeout(() => setImmediate(again), 5);
})();
(async () => {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 7));
    counts.promise++;
  }
})();

const worker = new Worker(
  `const { parentPort } = require('worker_threads');
   parentPort.on('message', (n) => parentPort.postMessage(n + 1));`,
  { eval: true },
);
worker.on('message', (n) => {
  if (n !== counts.worker + 1) throw new Error(`expected ${counts.worker + 1}, found ${n}`);
  counts.worker = n;
  setTimeout(() => worker.postMessage(n), 3);
});
worker.postMessage(0);

let remembered = null;
async function check() {
  for (let i = 0; i < 20000; i++) if (table.get(i) !== sum(i)) return 'the table has changed';
  const before = { ...counts };
  await new Promise((resolve) => setTimeout(resolve, 500));
  for (const key of Object.keys(counts)) {
    if (before[key] < remembered[key]) return `${key} went back`;
    if (counts[key] <= before[key]) return `${key} stands still`;
  }
  return 'good';
}

http
  .createServer(async (request, response) => {
    if (request.url === '/remember') remembered = { ...counts };
    response.setHeader('connection', 'close');
    response.end(request.url === '/check' ? await check() : '');
  })
  .listen(8080, '127.0.0.1');
