#!/usr/bin/env node
import { letLargeHeapGrow } from './heap-growth.js';
import { limitYoungGeneration } from './young-generation.js';

// Before the rest is even loaded, because the heap grows with that.
limitYoungGeneration();
letLargeHeapGrow();
await import('./main.js');
