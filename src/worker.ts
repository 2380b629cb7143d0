import { letLargeHeapGrow } from './heap-growth.js';
import { limitYoungGeneration } from './young-generation.js';

// The program of a worker. As in cli.ts.
limitYoungGeneration();
letLargeHeapGrow();
await import('./serve-worker.js');
