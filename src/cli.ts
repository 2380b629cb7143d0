#!/usr/bin/env node
import { putEventLoopFirst } from './engine-threads.js';
import { steerHeap } from './heap.js';

// Before the rest is even loaded, because the heap grows with that.
steerHeap();
putEventLoopFirst();
await import('./main.js');
