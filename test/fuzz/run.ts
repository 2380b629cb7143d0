/**
 * Fuzzing for longer than the tests do: `npm run fuzz -- --target http1 --cases 2000000 --seed 1`. Prints what it found, and ends with 1
 * when that is anything. A case has a seed of its own: `--cases 1 --seed N` repeats it. For `xds` the seed is that of all cases, which are
 * rounds over one stream.
 */
import { parseArgs } from 'node:util';
import { fuzzDubbo } from './dubbo/fuzz-dubbo.js';
import { fuzzHttp1 } from './http1/fuzz-http1.js';
import { fuzzXds } from './xds/fuzz-xds.js';

const targets = {
  http1: { run: fuzzHttp1, cases: 1_000_000 },
  dubbo: { run: fuzzDubbo, cases: 1_000_000 },
  xds: { run: fuzzXds, cases: 500 },
};

const { values } = parseArgs({
  options: {
    target: { type: 'string', default: 'http1' },
    cases: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
});
const target = Object.hasOwn(targets, values.target) ? targets[values.target as keyof typeof targets] : undefined;
const [cases, seed] = [Number(values.cases ?? target?.cases), Number(values.seed)];
if (target === undefined || !Number.isSafeInteger(cases) || cases < 1 || !Number.isSafeInteger(seed)) {
  console.error(`--target must be one of ${Object.keys(targets).join(', ')}; --cases and --seed must be whole numbers`);
  process.exit(2);
}
const start = performance.now();
const summary = await target.run({ cases, seed, onProgress: (done) => console.error(`${done} cases`) });
for (const { seed: found, difference, input } of summary.findings) {
  console.log(`seed ${found}: ${difference}\n  ${input}`.slice(0, 4_000));
}
const seconds = ((performance.now() - start) / 1000).toFixed(1);
console.log(
  `${values.target}: ${summary.cases} cases from seed ${seed} in ${seconds} s, ${summary.outcome}, ${summary.findings.length} findings`,
);
process.exitCode = summary.findings.length > 0 ? 1 : 0;
