#!/usr/bin/env node
import { steerHeap } from './heap.js';

// Before the rest is even loaded, because the heap grows with that.
steerHeap();
await import('./main.js');
