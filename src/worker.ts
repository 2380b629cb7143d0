import { putEventLoopFirst } from './engine-threads.js';
import { steerHeap } from './heap.js';

// The program of a worker. As in cli.ts.
steerHeap();
putEventLoopFirst();
await import('./serve-worker.js');
