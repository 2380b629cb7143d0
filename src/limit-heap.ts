// Imported first by the programs: see `limitYoungGeneration`.
import { limitYoungGeneration } from './young-generation.js';

limitYoungGeneration();
