import { limitYoungGeneration } from './young-generation.js';

// The program of a worker. As in cli.ts.
limitYoungGeneration();
await import('./serve-worker.js');
