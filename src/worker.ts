import { steerHeap } from './heap.js';

// The program of a worker. As in cli.ts.
steerHeap();
await import('./serve-worker.js');
