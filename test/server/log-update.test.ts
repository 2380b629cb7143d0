import { expect } from 'chai';
import type { Logger } from '../../src/log.js';
import type { Verdict } from '../../src/model/verdict.js';
import { createUpdateLog } from '../../src/server/log-update.js';
import type { ResourceUpdate } from '../../src/xds/resource-type.js';

describe('what is logged of updates', () => {
  let lines: string[];
  let tell: ReturnType<typeof createUpdateLog>['tell'];
  beforeEach(() => {
    lines = [];
    const at = (level: string) => (fields: { name?: string }, text: string) =>
      void lines.push(`${level} ${text}${fields.name === undefined ? '' : ` (${fields.name})`}`);
    const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } as unknown as Logger;
    ({ tell } = createUpdateLog(log, 'cluster'));
  });
  const nothing: ResourceUpdate<string> = {
    cause: 'response',
    version: '1',
    changed: [],
    removed: [],
    rejected: [],
    unchanged: [],
  };
  const accepted = (name: string, verdict: Verdict<string>) => ({
    name,
    version: '1',
    bytes: Buffer.alloc(0),
    verdict,
  });
  const problems = [{ path: 'x', message: 'is bad' }];

  it('is each resource by its verdict, and a summary', () => {
    tell({
      ...nothing,
      changed: [
        accepted('a', { kind: 'active', model: 'a', warnings: [] }),
        accepted('w', { kind: 'active', model: 'w', warnings: [{ path: 'y', message: 'ignored' }] }),
        accepted('p', { kind: 'parked', model: undefined, reason: 'no bridge' }),
      ],
      rejected: [{ name: 'b', problems }],
      removed: ['r'],
    });
    expect(lines).to.deep.equal([
      'debug cluster active (a)',
      'warn cluster warned: y: ignored (w)',
      'debug cluster parked: no bridge (p)',
      'error cluster rejected, what ran before goes on: x: is bad (b)',
      'debug cluster removed, or there is none (r)',
      'info cluster update',
    ]);
  });

  it('is remembered of the last 20,000 names', () => {
    const gone = (...removed: string[]) => tell({ ...nothing, removed });
    gone('first');
    for (let i = 0; i < 20_000; i++) gone(`name ${i}`);
    lines.length = 0;
    gone('name 19999');
    expect(lines).to.deep.equal([]);
    gone('first');
    expect(lines).to.deep.equal(['debug cluster removed, or there is none (first)', 'info cluster update']);
  });

  it('is said once, however often it comes and however many hear of it', () => {
    const update: ResourceUpdate<string> = {
      ...nothing,
      changed: [accepted('a', { kind: 'active', model: 'a', warnings: [] })],
      rejected: [{ name: 'b', problems }],
      removed: ['r'],
    };
    tell(update);
    lines.length = 0;
    for (let again = 0; again < 3; again++) tell({ ...update });
    expect(lines).to.deep.equal([]);
    tell({ ...nothing, rejected: [{ name: 'b', problems: [{ path: 'x', message: 'is worse' }] }] });
    expect(lines[0]).to.contain('is worse');
  });

  it('is the way back, too', () => {
    tell({ ...nothing, rejected: [{ name: 'b', problems }] });
    lines.length = 0;
    tell({ ...nothing, unchanged: ['b', 'other'] });
    expect(lines).to.deep.equal(['info cluster: the control plane is back at the version that runs (b)']);
    tell({ ...nothing, rejected: [{ name: 'b', problems }] });
    expect(lines).to.have.lengthOf(3);
  });

  it('is what did not come in time, and what expired', () => {
    tell({ ...nothing, cause: 'initial_fetch_timeout', removed: ['t'] });
    tell({ ...nothing, cause: 'ttl', removed: ['e'] });
    expect(lines).to.deep.equal([
      'warn cluster: no answer within initial_fetch_timeout',
      'debug cluster expired (e)',
      'info cluster update',
    ]);
  });
});
