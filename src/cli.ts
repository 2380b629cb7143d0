#!/usr/bin/env node
import { limitYoungGeneration } from './young-generation.js';

// Before the rest is even loaded, because the heap grows with that.
limitYoungGeneration();
await import('./main.js');
